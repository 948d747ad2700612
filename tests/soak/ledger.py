"""What came of it all: every rollout with its end, and every answer held against the version that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soak.disturbances import Disturbance
from soak.terms import Terms
from soak.versions import Breed
from tidemill.api.inferenceservice import Outcome
from traffic.remote import Counters


@dataclass(frozen=True, slots=True)
class Rollout:
    """One version that was brought, and how that ended."""

    version: str
    breed: Breed
    disturbance: Disturbance
    outcome: Outcome
    seconds: float

    @property
    def as_expected(self) -> bool:
        return self.outcome.outcome == self.breed.outcome


@dataclass(frozen=True, slots=True)
class Ledger:
    """All of a soak."""

    terms: Terms
    rollouts: Sequence[Rollout]
    counted: Counters
    digests: Mapping[str, str]
    """Version to the digest of its artifact, as the API server has it."""

    @property
    def misnamed(self) -> dict[str, list[str]]:
        """Versions that answered under another digest than theirs, or that is unknown."""
        return {
            version: sorted(seen)
            for version, seen in self.counted.digests().items()
            if set(seen) != {self.digests.get(version)}
        }

    @property
    def problems(self) -> list[str]:
        """Everything that breaks the promise; empty is good."""
        results = [
            f"{rollout.version} ended {rollout.outcome.outcome} ({rollout.outcome.reason}: {rollout.outcome.message})"
            for rollout in self.rollouts
            if not rollout.as_expected
        ]
        if len(self.rollouts) < len(self.terms.programme):
            results.append(f"{len(self.rollouts)} rollouts of {len(self.terms.programme)} came to an end in time")
        if self.counted.answered < self.terms.least:
            results.append(f"{self.counted.answered} requests were answered, and {self.terms.least} were to be")
        if self.counted.failed:
            results.append(f"{self.counted.failed} requests failed: {list(self.counted.failures)[:5]}")
        results += [f"{version} answered as {', '.join(seen)}" for version, seen in self.misnamed.items()]
        return results

    def summary(self) -> str:
        """The ledger as text, a line for each kind of version."""
        lines = [f"{'version':<14}{'rollouts':>9}{'as expected':>13}  reasons"]
        for breed in Breed:
            of = [rollout for rollout in self.rollouts if rollout.breed is breed]
            if of:
                reasons = ", ".join(sorted({rollout.outcome.reason or rollout.outcome.outcome for rollout in of}))
                lines.append(f"{breed:<14}{len(of):>9}{sum(each.as_expected for each in of):>13}  {reasons}")
        done = sorted({rollout.disturbance for rollout in self.rollouts} - {Disturbance.NOTHING})
        counted = {
            disturbance: sum(rollout.disturbance is disturbance for rollout in self.rollouts) for disturbance in done
        }
        lines += [f"disturbed: {disturbance} × {count}" for disturbance, count in counted.items()]
        lines += [
            f"requests: {self.counted.sent} sent, {self.counted.answered} answered, {self.counted.failed} failed",
            f"labels:   {self.counted.labels_sent} sent, {self.counted.labels_failed} failed",
            f"answers whose version, digest or body do not agree: {len(self.misnamed)}",
            f"latency at the client: p95 {1000 * (self.counted.p95 or 0):.0f} ms, slowest {1000 * self.counted.slowest:.0f} ms",
        ]
        return "\n".join(lines)
