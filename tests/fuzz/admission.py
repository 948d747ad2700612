"""M1, first half: what the API server takes and what it refuses, held against our own reading of the schema."""

from __future__ import annotations

import asyncio
import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fuzz import mutations, schemas, specimens
from fuzz.cases import Case, Failure, digest
from fuzz.harness import Answer, Harness, key, made
from fuzz.schemas import Location
from fuzz.specimens import ABSENT
from fuzz.verdicts import verdict
from tidemill.plan.world import Key

AT_ONCE = 24
_FROZEN = re.compile(r"self\.(?:spec\.)?(\w+) == oldSelf\.(?:spec\.)?\1")


@dataclass
class Admitted:
    """A spec that the API server takes, as it would keep it."""

    case: Case
    kept: Any


@dataclass
class Admission:
    """Tries specs on the API server without keeping them."""

    harness: Harness
    tried: int = 0
    refused: int = 0
    updates: int = 0
    untold: int = 0
    """Specs of which our reading says nothing."""
    ways: dict[str, set[str]] = field(default_factory=dict)
    """By location: the mutations tried there."""
    hostless: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    admitted: dict[str, Admitted] = field(default_factory=dict)
    """By digest of what is kept, so that the same spec is not tried again under another name."""
    known: set[str] = field(default_factory=set)

    async def prepare(self) -> None:
        """An object of each kind that updates are tried on."""
        for kind, schema in schemas.specs().items():
            answer = await self.harness.create(made(kind, "base", specimens.seed(kind, schema)))
            assert answer.admitted, answer.causes
        await self.harness.settle([self._key(kind) for kind in schemas.specs()], 60)
        self.harness.keep()

    def _key(self, kind: str) -> Key:
        return key(kind, "base")

    async def host(self, location: Location, rng: random.Random, which: int) -> Any:
        """A spec that has a value at the location and that the API server takes, or at least the schema if a rule allows none."""
        schema, result = schemas.specs()[location.kind], None
        fallback = None
        for number, spec in enumerate(specimens.hosts(location.kind, schema, location.path, rng)):
            if number > 80:
                break
            if verdict(schema, spec) != "Admit":
                continue
            fallback = spec if fallback is None else fallback
            if which:
                full = specimens.anything(location.kind, schema, rng, 0.5)
                head = location.path[0] if location.path else ""
                spec = {**full, **specimens.seed(location.kind, schema), **({head: spec[head]} if head else {})}
            if (await self.harness.create(made(location.kind, "host", spec), dry=True)).admitted:
                result = spec
                if number >= which:
                    break
        if result is None and which == 0:
            self.hostless.append(str(location))
            return fallback
        return result

    async def location(self, location: Location, rng: random.Random, which: int = 0, *, step: int = 1) -> None:
        """Try every mutation (every n-th with `step`) at one location, in the n-th host."""
        host = await self.host(location, rng, which)
        if host is None:
            return
        cases = []
        valid = specimens.at(host, location.path)
        for name, value in list(mutations.mutations(location, valid, rng))[which % step :: step]:
            self.ways.setdefault(str(location), set()).add(name)
            spec = specimens.put(copy.deepcopy(host), location.path, value) if location.path else value
            cases.append(Case("M1", location.kind, f"{schemas.spelled(location.path)}: {name}", (_wire(spec),)))
        await self.cases(cases)

    async def by_chance(self, kind: str, rng: random.Random, count: int) -> None:
        """Try specs by chance, some of them with several mutations at once."""
        await self.cases(list(self._random(kind, rng, count)))

    def _random(self, kind: str, rng: random.Random, count: int) -> Iterator[Case]:
        schema = schemas.specs()[kind]
        for _ in range(count):
            spec = specimens.anything(kind, schema, rng, rng.choice((0.2, 0.5, 0.9)))
            if rng.random() < 0.7:
                # Most refer to what there is, so that they come to something.
                spec |= {k: v for k, v in specimens.seed(kind, schema).items() if k not in ("checks", "rollout")}
            changed = []
            for _ in range(rng.choice((0, 1, 1, 2, 3))):
                path, node = rng.choice([(p, n) for p, n in schemas.walk(schema) if p])
                try:
                    valid = specimens.at(spec, path)
                    ways = list(mutations.mutations(Location(kind, path, node), valid, rng))
                except (KeyError, IndexError, StopIteration, TypeError, AttributeError):
                    continue  # nothing is there, or what an earlier change has put there instead
                name, value = rng.choice(ways)
                spec = specimens.put(spec, path, value)
                changed.append(f"{schemas.spelled(path)}: {name}")
                self.ways.setdefault(f"{kind} {schemas.spelled(path)}", set()).add(name)
            yield Case("M1", kind, "; ".join(changed) or "by chance", (spec,))

    async def cases(self, cases: list[Case]) -> None:
        turn = asyncio.Semaphore(AT_ONCE)

        async def bounded(case: Case) -> None:
            async with turn:
                await self.try_case(case)

        await asyncio.gather(*map(bounded, cases))

    async def try_case(self, case: Case) -> None:
        """Try one spec as a new object, and as a change of one that is there."""
        fingerprint = digest([case.kind, case.specs])
        if fingerprint in self.known:
            return
        self.known.add(fingerprint)
        self.tried += 1
        [spec] = case.specs
        manifest = made(case.kind, "tried", spec)
        if spec is None:
            del manifest["spec"]
        answer = await self.harness.create(manifest, dry=True)
        expected = verdict(schemas.specs()[case.kind], spec)
        self.untold += expected == "Either"
        problem = wrong(case.kind, expected, answer)
        if problem:
            self.failures.append(Failure(case, (problem,)))
        if not answer.admitted:
            self.refused += 1
            return
        kept = answer.body["spec"]
        if len(str(kept)) < 1_000_000:
            self.admitted.setdefault(digest([case.kind, kept]), Admitted(case, kept))
        await self._update(case, kept)

    async def _update(self, case: Case, kept: Any) -> None:
        base = self.harness.mirror.get(*self._key(case.kind))
        if base is None:
            return
        self.updates += 1
        answer = await self.harness.replace({**base, "spec": kept}, dry=True)
        if answer.code == 409:
            return
        may_move = started_only(case.kind) if not _has_started(base) else frozenset()
        moved = sorted(field for field in frozen(case.kind) - may_move if kept.get(field) != base["spec"].get(field))
        if moved and answer.admitted:
            self.failures.append(Failure(case, (f"{', '.join(moved)} can be changed, and a rule says it cannot",)))
        elif not moved and not answer.admitted:
            self.failures.append(
                Failure(case, (f"admitted as new, refused as a change that touches nothing frozen: {answer.causes}",))
            )


def frozen(kind: str) -> frozenset[str]:
    """Return the fields of a spec that a rule keeps as they are, at once or from the start of a run."""
    rules = " ".join(rule["rule"] for rule in schemas.specs()[kind].get("x-kubernetes-validations", ()))
    return frozenset(_FROZEN.findall(rules)) | started_only(kind)


def started_only(kind: str) -> frozenset[str]:
    """Return the fields that are kept as they are once a run has started."""
    rules = " ".join(rule["rule"] for rule in schemas.roots()[kind].get("x-kubernetes-validations", ()))
    return frozenset(_FROZEN.findall(rules))


def _has_started(manifest: Any) -> bool:
    return bool((manifest.get("status") or {}).get("dataset")) or bool(manifest["spec"].get("startedBy"))


def wrong(kind: str, expected: str, answer: Answer) -> str:
    """How the API server's answer differs from what the schema says; empty where it does not."""
    if answer.code >= 500 or answer.code in (401, 403, 404, 409, 429):
        return f"the API server answers {answer.code}: {answer.causes}"
    if expected == "Refuse" and answer.admitted:
        return "the API server admits what the schema refuses"
    if expected == "Admit" and not answer.admitted:
        # A rule may refuse what the schema admits; nothing else may.
        others = [cause for cause in answer.causes if not _by_rule(kind, cause)]
        if others or not answer.causes:
            return f"the API server refuses what the schema admits: {others}"
    return ""


def _by_rule(kind: str, cause: str) -> bool:
    return any(cause.endswith(message) for message in schemas.messages(kind))


def _wire(spec: Any) -> Any:
    return None if spec is ABSENT else spec
