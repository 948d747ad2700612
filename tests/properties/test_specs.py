"""Laws that every planner keeps for any spec that the schemas admit, while whole lives with such specs are played.

The specs come from the generated schemas, so that new fields take part by themselves: they are random within bounds, or
sit exactly on them. A seed is a life; Hypothesis looks for one that breaks a law.
"""

from __future__ import annotations

import copy
import functools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz import mutations, schemas, specimens, tampering
from fuzz.tampering import without_nulls
from fuzz.verdicts import verdict
from stories import script
from stories.fake_cluster import INSTALLATION, OURS, FakeCluster
from tidemill import plan
from tidemill.api.conditions import Reason
from tidemill.api.crds import NAME_LIMIT
from tidemill.children import names
from tidemill.plan import Key, Manifest, Plan

seeds = st.integers(0, 2**32)
LIVES = settings(
    # A seed cannot be made simpler, so there is nothing to shrink.
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
SMALL = 20_000
"""Letters of a spec beyond which a life takes too long; the real API server and operator get the larger ones."""
REFERENCES = ("modelName", "dataset", "target", "model")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
NOT_ENFORCED = {"VerifiedOnLoad"}
"""Reasons of conditions other than Ready that have no member of their own."""

Law = Callable[[Manifest, Plan], None]


@functools.cache
def edges(kind: str) -> tuple[Any, ...]:
    """Specs with one value at the edge of what is admitted."""
    rng, result = random.Random(7), []
    schema = schemas.specs()[kind]
    for location in schemas.locations():
        if location.kind != kind or not location.path:
            continue
        host = next(
            (specimen for specimen in specimens.hosts(kind, schema, location.path, rng) if fits(kind, specimen)), None
        )
        assert host is not None, f"nothing that is admitted has a value at {location}"
        for _, value in mutations.mutations(location, specimens.at(host, location.path), rng):
            if len(str(value)) > SMALL:
                continue
            spec = without_nulls(specimens.put(host, location.path, value))
            if fits(kind, spec):
                result.append(spec)
    return tuple(result)


def fits(kind: str, spec: Any) -> bool:
    return verdict(schemas.specs()[kind], spec) == "Admit"


def spec(kind: str, rng: random.Random) -> Any:
    if rng.random() < 0.6:
        return copy.deepcopy(rng.choice(edges(kind)))
    return specimens.anything(kind, schemas.specs()[kind], rng)


def wired(manifest: Manifest, rng: random.Random) -> Manifest:
    """The object of a story with another spec; mostly it still refers to the others."""
    made = spec(manifest["kind"], rng)
    for name in REFERENCES:
        if name in manifest["spec"] and rng.random() < 0.8:
            made[name] = manifest["spec"][name]
    return {**manifest, "spec": made}


def lives(seed: int, law: Law) -> None:
    """Play a life in which `law` holds after every visit."""
    rng = random.Random(seed)

    class Watched(FakeCluster):
        def _look(self, key: Key) -> None:
            manifest = self.world.get(*key)
            decided = None
            if manifest is not None:
                # Rules in CEL are not read here, so what they forbid may turn up, and is then refused with a reason.
                try:
                    decided = plan.visit(key, self.world, INSTALLATION, self.now)
                except plan.InvalidObjectError:
                    assert not fits(key.kind, manifest["spec"]), f"{key} is admitted but cannot be read"
                    return
                super()._look(key)
            if manifest is not None and decided is not None:
                law(manifest, decided)

    theatre = Watched()
    theatre.reports |= {
        "Ingest": script.ingests,
        "Train": script.trains(),
        "Check": script.checks(rng.choice(("Passing", "Failing", "NoData"))),
    }
    cast = [script.dataset(), script.training_job(), script.service(), script.monitor()]
    for manifest in cast:
        theatre.apply(wired(manifest, rng) if rng.random() < 0.5 else manifest)
    theatre.run(seconds=rng.choice((1, 8, 40)))
    for _ in range(3):
        theatre.apply(wired(copy.deepcopy(rng.choice(cast)), rng))
        theatre.run(seconds=rng.choice((0, 4, 15)))


def children(decided: Plan) -> Iterator[Manifest]:
    yield from decided.ensure


@given(seeds)
@LIVES
def test_no_admitted_spec_makes_a_planner_raise_or_hesitate(seed: int) -> None:
    """The theatre plans each visit twice and compares, and gives up on a life that never comes to rest."""
    lives(seed, lambda *_: None)


@given(seeds)
@LIVES
def test_a_status_is_one_that_its_own_schema_admits_and_speaks_of_the_spec_at_hand(seed: int) -> None:
    def law(manifest: Manifest, decided: Plan) -> None:
        status = decided.status.to_wire()
        assert verdict(schemas.statuses()[manifest["kind"]], status) != "Refuse", status
        assert decided.status.observed_generation == manifest["metadata"]["generation"]
        [ready] = [condition for condition in decided.status.conditions if condition.type == "Ready"]
        assert ready.reason in set(Reason) | NOT_ENFORCED, ready

    lives(seed, law)


@given(seeds)
@LIVES
def test_what_is_made_is_legal_and_can_be_traced_to_its_owner(seed: int) -> None:
    def law(manifest: Manifest, decided: Plan) -> None:
        for child in decided.ensure:
            metadata = child["metadata"]
            assert len(metadata["name"]) <= (NAME_LIMIT if child["kind"] in OURS else names.LIMIT), metadata["name"]
            assert metadata["namespace"] == manifest["metadata"]["namespace"]
            assert metadata["labels"][names.MANAGED_BY] == names.MANAGER
            assert all(LABEL.fullmatch(value) for value in metadata["labels"].values()), metadata["labels"]
            owned = any(owner["uid"] == manifest["metadata"]["uid"] for owner in metadata.get("ownerReferences", ()))
            assert owned or child["kind"] in {"ModelVersion", "TrainingJob"}
            if child["kind"] in OURS:
                assert verdict(schemas.specs()[child["kind"]], child["spec"]) != "Refuse", child["spec"]

    lives(seed, law)


@given(seeds)
@LIVES
def test_a_monitor_never_has_two_live_retrainings(seed: int) -> None:
    ordered: set[str] = set()

    def law(manifest: Manifest, decided: Plan) -> None:
        made = {child["metadata"]["name"] for child in decided.ensure if child["kind"] == "TrainingJob"}
        assert len(made) <= 1
        if manifest["kind"] == "DriftMonitor" and made:
            active = (manifest.get("status") or {}).get("retraining", {}).get("active", "")
            assert not active or active in made, "one runs, and another is ordered"
            ordered.update(made)

    lives(seed, law)


@given(seeds)
@LIVES
def test_a_status_that_somebody_forged_makes_no_planner_raise(seed: int) -> None:
    """A client that may write a status may write anything that its schema admits."""
    rng = random.Random(seed)
    seen: list[tuple[Manifest, Plan]] = []
    theatre_worlds: list[tuple[list[Manifest], Any]] = []

    class Recorded(FakeCluster):
        def _look(self, key: Key) -> None:
            super()._look(key)
            theatre_worlds.append((list(self.objects.values()), self.now))

    theatre = Recorded()
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks("Failing")}
    if rng.random() < 0.3:
        theatre.reports["Ingest"] = script.cannot_reach
    for manifest in (script.dataset(), script.training_job(), script.service(), script.monitor()):
        theatre.apply(manifest)
    theatre.run(seconds=rng.choice((4, 12, 70)))
    for _ in range(6):
        manifests, now = rng.choice(theatre_worlds)
        world = plan.World(copy.deepcopy(manifests))
        for key in list(world):
            if key.kind in OURS and rng.random() < 0.6:
                manifest = world.get(*key)
                assert manifest is not None
                forged = tampering.forged(key.kind, manifest.get("status") or {}, rng, rng.randint(1, 3))
                world.put({**manifest, "status": forged})
        for key in list(world):
            if key.kind in OURS:
                try:
                    decided = plan.visit(key, world, INSTALLATION, now)
                except plan.InvalidObjectError:
                    continue
                manifest = world.get(*key)
                assert manifest is not None
                assert decided is not None
                seen.append((manifest, decided))
    for manifest, decided in seen:
        status = decided.status.to_wire()
        assert verdict(schemas.statuses()[manifest["kind"]], status) != "Refuse", status
