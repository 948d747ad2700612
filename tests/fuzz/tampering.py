"""M5: objects that were tampered with: the others are not affected, and the tampered one can be deleted."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fuzz import mutations, schemas, specimens
from fuzz.cases import Case, Failure
from fuzz.harness import NAMESPACE, Harness, key, made
from fuzz.schemas import Schema
from fuzz.verdicts import verdict
from tidemill.children import names
from tidemill.engine.kinds import BY_KIND
from tidemill.plan.world import Manifest

OURS = sorted(
    str(value) for name, value in vars(names).items() if name.isupper() and str(value).startswith("tidemill.dev/")
)
ANNOTATIONS = (
    *OURS,
    "kopf.zalando.org/last-handled-configuration",
    "kopf.zalando.org/KopfFinalizerMarker",
    "kopf.dev/x",
)
JUNK = (
    "",
    "{",
    "null",
    "[]",
    '{"reason": 1}',
    '"text"',
    "\x00\x1b",
    "🌊" * 50,
    "x" * 200_000,
    '{"kind":"User","at":"0000"}',
)
LABELS: tuple[str, ...] = (
    names.OWNER_UID,
    names.OWNER_KIND,
    names.OWNER_NAME,
    names.MONITOR,
    names.MODEL,
    names.TRAINING_JOB,
    names.MODEL_VERSION,
    names.ROLE,
    names.MANAGED_BY,
    names.COMPONENT,
    *names.QUEUE_LABELS,
)
FORGED = ("neighbour", "known", "nowhere", "", "DriftMonitor", "Pod", "stable", "tidemill", "a" * 63)
MEGABYTES = 1_400_000
DONE = 30.0
"""Seconds in which what is deleted must be gone."""
AT_ONCE = 8


@dataclass
class Tampering:
    """Put objects that were tampered with among healthy ones."""

    harness: Harness
    tried: int = 0
    refused: int = 0
    failures: list[Failure] = field(default_factory=list)

    async def all(self, cases: Sequence[Case], first: int = 0) -> None:
        """Tampering some objects at a time; a healthy one of each kind is made meanwhile, and must not notice."""
        turn = asyncio.Semaphore(AT_ONCE)
        harness = self.harness

        async def bounded(number: int, case: Case) -> None:
            async with turn:
                problems = await self.try_case(case, f"q{number:05}")
                self.tried += 1
                if problems:
                    self.failures.append(Failure(case, tuple(problems)))

        healthy = [key(kind, f"h{first:05}") for kind in schemas.specs()]
        for each in healthy:
            await harness.create(made(each.kind, each.name, specimens.seed(each.kind, schemas.specs()[each.kind])))
        await asyncio.gather(*(bounded(first + number, case) for number, case in enumerate(cases)))
        common = [
            f"a healthy object beside: {item}: {what}" for item, what in (await harness.settle(healthy, 60)).items()
        ]
        common += [*harness.alarms(), *harness.disturbed(), *await harness.tidy()]
        for problem in common:
            numbered = {f"q{first + number:05}": case for number, case in enumerate(cases)}
            guilty = next((case for name, case in numbered.items() if name in problem), cases[0])
            self.failures.append(Failure(guilty, (f"one of these {len(cases)}: {problem}",)))

    async def try_case(self, case: Case, name: str) -> list[str]:
        """Make, tampering, look, delete."""
        harness, of, more = self.harness, key(case.kind, name), case.more or {}
        metadata = {"name": name, "namespace": NAMESPACE, **more.get("metadata", {})}
        manifest = {**made(case.kind, name, case.specs[0]), "metadata": metadata}
        began, before = time.monotonic(), dict(harness.account.requests)
        answer = await harness.create(manifest)
        if not answer.admitted:
            self.refused += 1
            return (
                [f"the API server answers {answer.code}"]
                if answer.code == 500 and "too large" not in str(answer.causes)
                else []
            )
        problems = []
        if "status" in more:
            await harness.settle([of])
            path = BY_KIND[case.kind].path(NAMESPACE, name, "status")
            answer = await harness.ask("PATCH", path, {"status": more["status"]}, "application/merge-patch+json")
            self.refused += not answer.admitted
        problems += [f"{item}: {what}" for item, what in (await harness.settle([of], 60)).items()]
        await asyncio.sleep(1)
        path = BY_KIND[case.kind].path(NAMESPACE, name)
        await harness.ask("DELETE", path, {"propagationPolicy": "Background"})
        if metadata.get("finalizers"):
            await asyncio.sleep(1)
            if harness.mirror.get(*of) is None:
                problems.append("somebody took a finalizer away that is not theirs")
            await harness.ask("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        deadline = time.monotonic() + DONE
        while harness.mirror.get(*of) is not None:
            if time.monotonic() > deadline:
                return [*problems, "it cannot be deleted"]
            await asyncio.sleep(0.1)
        return [*problems, *harness.busy([name], began, before)]


def tamperings(rng: random.Random) -> Iterator[Case]:
    """Every kind with every tampering, in an order by chance."""
    results = [case for kind, schema in schemas.specs().items() for case in _of_kind(kind, schema, rng)]
    rng.shuffle(results)
    yield from results


def _of_kind(kind: str, schema: Schema, rng: random.Random) -> Iterator[Case]:
    spec = specimens.seed(kind, schema)

    def case(title: str, **more: Any) -> Case:
        return Case("M5", kind, title, (more.pop("spec", spec),), more=more)

    for annotation in ANNOTATIONS:
        for number, junk in enumerate(JUNK):
            yield case(f"annotation {annotation} {number}", metadata={"annotations": {annotation: junk}})
    yield case("every annotation", metadata={"annotations": dict.fromkeys(ANNOTATIONS, "{")})
    for label in LABELS:
        for value in rng.sample(FORGED, 3):
            yield case(f"label {label}={value}", metadata={"labels": {label: value}})
    yield case("every label", metadata={"labels": dict.fromkeys(LABELS, "neighbour")})
    yield case("a finalizer of others", metadata={"finalizers": ["example.com/hold"]})
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "nowhere", "uid": "0a1b2c3d-0000-4000-8000-000000000000"}
    yield case("an owner of its own", metadata={"ownerReferences": [{**owner, "controller": False}]})
    yield case("as large as can be", spec=large(kind, schema))
    for number in range(40):
        yield case(f"status {number}", status=forged(kind, {}, rng, rng.randint(1, 4)))


def forged(kind: str, status: Any, rng: random.Random, changes: int) -> Any:
    """A status with values that its schema admits and the operator never wrote."""
    schema = schemas.statuses()[kind]
    if not status:
        status = specimens.anything(kind, schema, rng, 0.7) if rng.random() < 0.5 else {"observedGeneration": 1}
    results = [(path, node) for path, node in schemas.walk(schema) if path]
    for _ in range(changes):
        path, node = rng.choice(results)
        try:
            valid = specimens.at(status, path)
        except (KeyError, IndexError, StopIteration, TypeError):
            continue
        values = [value for _, value in mutations.mutations(schemas.Location(f"{kind}.status", path, node), valid, rng)]
        values.append(specimens.least(node, rng))
        rng.shuffle(values)
        for value in values:
            tried = without_nulls(specimens.put(copy.deepcopy(status), path, value))
            if verdict(schema, tried) == "Admit":
                status = tried
                break
    return status


def without_nulls(value: Any) -> Any:
    """What the API server keeps of `value`."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def large(kind: str, schema: Schema) -> Manifest:
    """A spec of about as many bytes as the API server can keep, as far as the bounds of the kind let it grow."""
    spec: Manifest = specimens.seed(kind, schema)
    for name, inner in schema["properties"].items():
        if name in spec and inner.get("type") != "array":
            continue
        grown = {**spec, name: _grown(inner, MEGABYTES - len(json.dumps(spec, ensure_ascii=False).encode()))}
        if verdict(schema, grown) == "Admit":
            spec = grown
    return spec


def _grown(schema: Schema, room: int) -> Any:
    if schema.get("type") == "array" and room > 0:
        item = _grown(schema["items"], room)
        size = max(len(json.dumps(item, ensure_ascii=False).encode()), 1)
        return mutations.several(
            schema, item, max(min(schema.get("maxItems", 1), room // (size + 8)), schema.get("minItems", 0))
        )
    if schema.get("properties"):
        return {
            name: _grown(inner, room // 4)
            for name, inner in schema["properties"].items()
            if name in schema.get("required", ()) or inner.get("type") == "array" or _is_text(inner)
        }
    if _is_text(schema):
        return "🌊" * min(schema.get("maxLength", 1), max(room // 4, schema.get("minLength", 1)))
    return specimens.least(schema, random.Random(1))


def _is_text(schema: Schema) -> bool:
    return schema.get("type") == "string" and not {"pattern", "enum", "format"} & schema.keys()
