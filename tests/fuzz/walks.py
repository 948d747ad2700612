"""M3 and M4: whatever a spec has been in between, what is left is what a fresh object with the last spec has.

A run's own past stays in its status (revisions, outcomes, how often it was tried), and so do Jobs that are over until their
time to live ends, on the terms (resources, deadlines) on which they ran; everything else must be as if the other specs had
never been. Where the last spec is refused or suspends, what was there before stays, and only that it says so must be the same.
"""

from __future__ import annotations

import asyncio
import copy
import difflib
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos import oracles
from fuzz import schemas, specimens
from fuzz.admission import frozen
from fuzz.cases import Case, Failure
from fuzz.harness import NAMESPACE, Harness, key, made
from tidemill.children import names
from tidemill.engine.apply import is_true
from tidemill.plan.world import Key, Manifest

PATIENCE = 60.0
"""Seconds in which a walk must come to the same end, however busy the machine is."""
AT_ONCE = 10
HISTORY = ("revisions", "history", "startedAt", "completedAt")
"""What a status tells of the past."""
RUNS = ("Dataset", "TrainingJob")
"""Kinds whose one run, once it has succeeded, is a fact."""
UNSETTLED_WALK = -1.0
STEPS = 20


@dataclass
class Walks:
    """Lets objects go through several specs."""

    harness: Harness
    tried: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    async def all(self, cases: Sequence[Case], first: int = 0) -> None:
        """Walk, several at a time; then the operator's log and the neighbours are looked at."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def bounded(number: int, case: Case) -> None:
            async with turn:
                if problem := await self.try_case(case, f"w{number:05}"):
                    self.failures.append(Failure(case, (problem,)))
                self.tried[case.of] = self.tried.get(case.of, 0) + 1

        await asyncio.gather(*(bounded(first + number, case) for number, case in enumerate(cases)))
        common = [*self.harness.alarms(), *self.harness.disturbed(), *await self.harness.tidy()]
        if common and cases:
            numbered = {f"w{first + number:05}": case for number, case in enumerate(cases)}
            for problem in common:
                guilty = next((case for name, case in numbered.items() if name in problem), cases[0])
                self.failures.append(Failure(guilty, (f"one of these {len(cases)}: {problem}",)))

    async def try_case(self, case: Case, name: str) -> str:
        """Walk one object through the specs of a case; what is wrong at its end, empty where nothing is."""
        walked, fresh = key(case.kind, f"{name}w"), key(case.kind, f"{name}f")
        harness = self.harness
        if case.kind == "TrainingJob":
            # A run that is over is a fact, so it must not end on the way.
            harness.kubelet.held.add(walked.name)
        first, *others = [_for(walked, spec) for spec in case.specs]
        answer = await harness.create(made(case.kind, walked.name, first))
        if not answer.admitted:
            return f"the first spec is refused: {answer.causes}"
        waits = case.waits or (0.0,) * len(others)
        for spec, wait in zip(others, waits, strict=True):
            if wait < 0:
                await harness.settle([walked])
            else:
                await asyncio.sleep(wait)
            # What is refused on the way changes nothing; the last one must not be.
            answer = await harness.edit(case.kind, walked.name, spec)
        if not answer.admitted:
            again = await harness.create(made(case.kind, fresh.name, _for(fresh, case.specs[-1])), dry=True)
            # A long walk may end at a spec that cannot be joined with what its object may not change.
            return "" if case.of == "M4" and not again.admitted else f"the way back is refused: {answer.causes}"
        if walked.name in harness.kubelet.held:
            # A run that ends before the operator has seen the last spec has ended under the one before.
            await harness.settle([walked], PATIENCE)
            await asyncio.sleep(1)
            harness.kubelet.let_go(NAMESPACE, walked.name)
        answer = await harness.create(made(case.kind, fresh.name, _for(fresh, case.specs[-1])))
        if not answer.admitted:
            return f"the last spec is refused: {answer.causes}"
        return await self._same(walked, fresh)

    async def _same(self, walked: Key, fresh: Key) -> str:
        harness, deadline = self.harness, time.monotonic() + PATIENCE
        while True:
            await asyncio.sleep(0.5)
            ended = not harness.unsettled(walked) and not harness.unsettled(fresh)
            succeeded = walked.kind in RUNS and is_true(harness.mirror.get(*walked), "Ready")
            if ended and succeeded and self._comes_to_nothing(fresh):
                # The same run succeeded on the terms of an earlier spec, and is not begun again on worse ones.
                return ""
            drawn = summary if _is_held(harness.mirror.get(*fresh)) else portrait
            ways = [drawn(harness, item) for item in (fresh, walked)]
            if ended and ways[0] == ways[1]:
                return ""
            if time.monotonic() > deadline:
                difference = difflib.unified_diff(ways[0], ways[1], "fresh", "walked", lineterm="", n=3)
                differences = [
                    f"{item}: {harness.unsettled(item)}" for item in (fresh, walked) if harness.unsettled(item)
                ]
                return "another end than that of a fresh object\n" + "\n".join([*differences, *list(difference)[:70]])

    def _comes_to_nothing(self, of: Key) -> bool:
        """Whether the object's own run failed, or may not be made on the terms of its spec."""
        manifest = self.harness.mirror.get(*of) or {}
        attempt = (manifest.get("status") or {}).get("attempt") or {}
        refused = self.harness.ready(of)[1] == "Refused"
        return is_true(manifest, "Stalled") and (refused or attempt.get("outcome") == "Failed")


def portrait(harness: Harness, of: Key) -> list[str]:
    """An object and what it has made, without what differs between two of them; line by line."""
    manifest = harness.mirror.get(*of)
    if manifest is None:
        return ["gone"]
    uid, portrayed = manifest["metadata"]["uid"], [manifest]
    attempt = (manifest.get("status") or {}).get("attempt") or {}
    task = {"Dataset": "Ingest", "TrainingJob": "Train"}.get(of.kind, "Check")
    run = names.run(of.name, task, attempt["order"], attempt["number"]) if attempt else ""
    for item in harness.mirror.all(of.namespace):
        labels = item["metadata"].get("labels") or {}
        made_by_run = item["kind"] == "ModelVersion" and labels.get(names.TRAINING_JOB) == of.name
        if item["kind"] == "Pod" or not (labels.get(names.OWNER_UID) == uid or made_by_run):
            continue
        if item["kind"] != "Job" or (item["metadata"]["name"] == run and of.kind != "DriftMonitor"):
            portrayed.append(item)
    return "\n".join(sorted(_plain(item, of) for item in portrayed)).splitlines()


def summary(harness: Harness, of: Key) -> list[str]:
    """That an object refuses its spec, or is suspended; who has a past may have more than one reason to refuse it."""
    manifest = harness.mirror.get(*of)
    if is_true(manifest, "Stalled"):
        return ["Stalled"]
    return [harness.ready(of)[1]]


def _is_held(manifest: Manifest | None) -> bool:
    """Whether nothing is begun for the object."""
    return is_true(manifest, "Stalled") or bool(((manifest or {}).get("spec") or {}).get("suspend"))


def _plain(manifest: Manifest, of: Key) -> str:
    plain = copy.deepcopy(manifest)
    status = plain.get("status") or {}
    for name in HISTORY:
        status.pop(name, None)
    if status.get("attempt"):
        status["attempt"].pop("number", None)
    if manifest["kind"] == "Dataset" and not is_true(manifest, "Ready"):
        # A revision stays in use where no newer one can be made.
        status.pop("revision", None)
    if manifest["kind"] == "ModelVersion":
        # Versions of a model are counted.
        status.pop("version", None)
    plain["metadata"].pop("managedFields", None)
    if manifest["kind"] == "Job":
        # The number of the attempt is part of the name, and of a label.
        plain["spec"]["template"]["metadata"]["labels"].pop(names.ATTEMPT, None)
        if status.get("completionTime") or is_true(manifest, "Failed"):
            for term in ("activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"):
                plain["spec"].pop(term, None)
            plain["metadata"].get("annotations", {}).pop(names.TERMS, None)
            for container in plain["spec"]["template"]["spec"]["containers"]:
                container.pop("resources", None)
        for label in [
            event
            for event in plain["metadata"].get("labels") or {}
            if event.startswith(("batch.", "job-name", "controller"))
        ]:
            plain["metadata"]["labels"].pop(label)
    text = json.dumps(plain).replace(of.name, "NAME")
    return oracles.normalised(json.loads(text), of.namespace)


def _for(key: Key, spec: Any) -> Any:
    """A TrainingJob makes versions of a model of its own, so that no service takes them."""
    if key.kind == "TrainingJob" and isinstance(spec, dict):
        return {**spec, "modelName": key.name}
    return spec


def walks(kind: str, pool: Sequence[Any], rng: random.Random, *, steps: int) -> Iterator[Case]:
    """Walks through specs of `pool` by chance, without end: there and back (two steps), or many steps."""
    bad = list(unfit(kind))
    while True:
        home = _calm(kind, rng.choice(pool) if rng.random() < 0.7 else specimens.seed(kind, schemas.specs()[kind]))
        if steps > 2:
            way = [_unaffected(kind, home, rng.choice([*pool, *bad])) for _ in range(steps)]
            yield Case("M4", kind, f"{steps} steps", (home, *way[:-1], _calm(kind, way[-1])), (0.0,) * steps)
            continue
        away = _unaffected(kind, home, rng.choice(bad) if bad and rng.random() < 0.4 else rng.choice(pool))
        waits = (rng.choice((UNSETTLED_WALK, UNSETTLED_WALK, 0.0, 0.3)), rng.choice((UNSETTLED_WALK, 0.0, 0.5)))
        yield Case("M3", kind, "there and back", (home, away, home), waits)


def _unaffected(kind: str, home: Any, spec: Any) -> Any:
    """`spec`, with what cannot be changed as it is at home."""
    kept = {name: home[name] for name in frozen(kind) if name in home}
    return {**{name: value for name, value in spec.items() if name not in frozen(kind)}, **kept}


def _calm(kind: str, spec: Any) -> Any:
    """A spec under which an object comes to rest: nothing in it repeats within seconds, nothing hangs on the time of day."""
    calm = copy.deepcopy(spec)
    if kind == "Dataset":
        calm.pop("refresh", None)
    if kind == "DriftMonitor":
        calm["interval"] = "10s"
    return calm


def unfit(kind: str) -> Iterator[Any]:
    """Specs that are admitted, and cannot come to anything good."""
    schema = schemas.specs()[kind]
    base = specimens.seed(kind, schema)
    if "resources" in schema["properties"]:
        for wrong in (
            {"requests": {"cpu": "1e9"}},
            {"requests": {"memory": "4Ei"}},
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            {"requests": {"cpu": "-1"}},
            {"limits": {"any/thing": "0.5"}},
            {"limits": {"cpu": "0"}},
            {"limits": {"memory": "1Mi"}},
        ):
            yield {**base, "resources": wrong}
    for name, values in _MISSING.get(kind, {}).items():
        for value in values:
            yield {**base, name: value}


_MISSING: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "InferenceService": {"model": ({"name": "nowhere"}, {"name": "known", "version": "nowhere"})},
    "DriftMonitor": {"target": ({"inferenceService": "nowhere"},)},
    "Dataset": {"credentials": ({"secretRef": {"name": "nowhere"}},)},
}
