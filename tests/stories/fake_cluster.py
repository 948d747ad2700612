"""A pretend cluster in which stories play: a dict of objects, a clock, and a scripted kubelet; the planners are the real ones.

The cluster keeps time by itself: it runs until nothing wants to happen before the time a story asks for, and writes down
every change in one line. With `shuffled` the controllers take turns in another order; with `restarts` the operator forgets
everything it holds in memory before each visit. Neither may change how a story ends.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from stories.workloads import Workloads
from tidemill import plan
from tidemill.api import API_VERSION, KINDS
from tidemill.children.installation import Installation
from tidemill.contract.reports import RunReport
from tidemill.plan import Key, Manifest, World, key_of
from tidemill.plan.types import CheckRequest, CheckResponse, ObservedEvents

START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
INSTALLATION = Installation(workload_image="tidemill/workload:1", server_image="tidemill/server:1")
OURS = {kind.kind_name for kind in KINDS}
WORKER_SECONDS = 2.0
Report = Callable[[dict[str, Any]], RunReport | str]


@dataclass
class FakeCluster:
    """One cluster, one namespace, one story."""

    shuffled: random.Random | None = None
    restarts: bool = False
    reports: dict[str, Report] = field(default_factory=dict)
    """What a run of each task answers; a text is a crash with that reason."""
    measurements: Callable[[], plan.Answers] = tuple
    """What the stable pods say about a candidate."""
    start_pod: Callable[[Manifest], bool] = lambda pod: True  # noqa: ARG005
    """Whether a serving pod gets ready; otherwise it crashes."""
    trouble: Callable[[Manifest], str] = lambda pod: ""  # noqa: ARG005
    """What keeps a serving pod, or that of a user's Job, from running: a kind of `STUCK`, "quota", or nothing."""
    pods_allowed: int | None = None
    """A quota on serving pods."""
    passes: Callable[[Manifest], bool] = lambda job: True  # noqa: ARG005
    """Whether a user's Job that judges a candidate succeeds."""
    judge_trouble: Literal["", "quota", "full node", "out of memory", "slow pull"] = ""
    """What keeps only such a Job from running."""
    worker_answers: bool = True
    """Whether warm workers can be heard."""
    installation: Installation = INSTALLATION
    run_seconds: float = 5.0
    now: datetime = START
    lines: list[str] = field(default_factory=list)
    writes: int = 0

    def __post_init__(self) -> None:
        self.objects: dict[Key, Manifest] = {}
        self.world = World()
        self.events: dict[str, tuple[Manifest, ...]] = {}
        self.workloads = Workloads(self)
        self.numbers = itertools.count(1)
        self.wakes: dict[Key, datetime] = {}
        self.checks_begun: dict[str, datetime] = {}
        self.checks_ended: dict[str, RunReport] = {}
        self.dirty: dict[Key, None] = {}
        self.pending: list[tuple[datetime, int, Callable[[], None]]] = []

    # what a user does

    def apply(self, manifest: Manifest) -> None:
        """What `kubectl apply` does: create, or change the spec."""
        manifest = copy.deepcopy(manifest)
        manifest["metadata"].setdefault("namespace", "shop")
        key = key_of(manifest)
        self.say(f"the user applies {key.kind} {key.name}")
        self.put(key, manifest)

    def delete(self, kind: str, name: str) -> None:
        self.say(f"the user deletes {kind} {name}")
        self.remove(Key(kind, "shop", name))

    def annotate(self, kind: str, name: str, annotation: str, value: str) -> None:
        """What `kubectl annotate` does; the operator takes an empty value as a missing annotation."""
        self.say(f"the user annotates {kind} {name} with {annotation}={value!r}")
        manifest = copy.deepcopy(self.get(kind, name))
        manifest["metadata"].setdefault("annotations", {})[annotation] = value
        self.put(Key(kind, "shop", name), manifest)

    def autoscale(self, name: str, replicas: int) -> None:
        """What the autoscaler does: the Deployment's number, and a note in its own status."""
        self.say(f"the autoscaler sets {name} to {replicas} pods")
        deployment = copy.deepcopy(self.get("Deployment", name))
        deployment["spec"]["replicas"] = replicas
        self.put(Key("Deployment", "shop", name), deployment)
        autoscaler = self.get("HorizontalPodAutoscaler", name)
        moment = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.objects[key_of(autoscaler)] = {**autoscaler, "status": {"lastScaleTime": moment}}
        self.nudge(self.objects[key_of(autoscaler)])

    def admit(self) -> None:
        """The queue lets every Job begin that it holds back."""
        for key, job in list(self.objects.items()):
            if key.kind == "Job" and job["spec"].get("suspend"):
                self.say(f"the queue admits {key.name}")
                job["spec"]["suspend"] = False
                self.nudge(job)
                self.workloads.start(key, job)

    def get(self, kind: str, name: str) -> Manifest:
        return self.objects[Key(kind, "shop", name)]

    def named(self, kind: str) -> list[str]:
        return sorted(key.name for key in self.objects if key.kind == kind)

    def say(self, line: str) -> None:
        self.lines.append(f"{self.now:%H:%M:%S} {line}")

    def timestamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    # how time passes

    def run(self, **duration: float) -> None:
        """Let time pass: every visit, wake and pod in its order."""
        end = self.now + timedelta(**duration)
        for _ in range(20_000):
            if self.dirty:
                self._visit(self._next_dirty())
                continue
            moments = [moment for moment, _, _ in self.pending] + list(self.wakes.values())
            if not moments or min(moments) > end:
                self.now = end
                return
            self.now = max(self.now, min(moments))
            self._happen()
        raise AssertionError("the story does not come to rest:\n" + "\n".join(self.lines[-40:]))

    def revisit(self, key: Key) -> None:
        """Visit an object although nothing happened to it."""
        if key.kind in OURS:
            self._look(key)

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        self.pending.append((self.now + timedelta(seconds=seconds), next(self.numbers), deed))

    def _happen(self) -> None:
        due = sorted(entry for entry in self.pending if entry[0] <= self.now)
        self.pending = [entry for entry in self.pending if entry[0] > self.now]
        for _, _, deed in due:
            deed()
        for key in [key for key, moment in self.wakes.items() if moment <= self.now]:
            del self.wakes[key]
            self.dirty[key] = None

    def _next_dirty(self) -> Key:
        keys = list(self.dirty)
        key = self.shuffled.choice(keys) if self.shuffled else keys[0]
        del self.dirty[key]
        return key

    # what the operator does

    def _visit(self, key: Key) -> None:
        if self.restarts:
            # A fresh operator knows no wakes and visits everything once.
            self.wakes.clear()
            for other in list(self.objects):
                if other.kind in OURS and other != key:
                    self._look(other)
        self._look(key)

    def _look(self, key: Key) -> None:
        world = self.world
        if world.get(*key) is None:
            return
        answers = self._answer(plan.questions(key, world, self.now))
        decided = plan.visit(key, world, self.installation, self.now, answers)
        again = plan.visit(key, world, self.installation, self.now, answers)
        assert decided == again, "the same world makes the same plan"
        if decided is None:
            return
        for manifest in decided.ensure:
            self._ensure(manifest)
        for mark in decided.marks:
            self._mark(mark)
        changed = self._write_status(key, decided.status.to_wire())
        if changed:
            for notice in decided.notices:
                self.lines.append(f"         ! {key.kind} {key.name}: {notice.reason}: {notice.message}")
        for retirement in decided.retire:
            resource = self.objects.get(retirement.key)
            if resource and resource["metadata"]["uid"] == retirement.uid:
                self.lines.append(f"         - {retirement.key.kind} {retirement.key.name}")
                self.remove(retirement.key)
        if decided.wake is not None:
            self.wakes[key] = self.now + timedelta(seconds=max(decided.wake, 0.001))

    def _answer(self, question: plan.Question | None) -> plan.Answers:
        """What is said to the operator before it decides."""
        if question is None:
            return ()
        measured = self.measurements() if question.urls or question.queries else ()
        events = (ObservedEvents(query.uid, self.events.get(query.uid, ())) for query in question.events)
        return (*measured, *map(self._check, question.checks), *events)

    def _check(self, request: CheckRequest) -> CheckResponse:
        """What a warm worker does: a run begins when it is asked for first, and is remembered while its pod lives."""
        if not self.worker_answers:
            return CheckResponse(request.run, "Unheard", message="does not answer: TimeoutError")
        began = self.checks_begun.setdefault(request.url, self.now)
        if self.now < began + timedelta(seconds=WORKER_SECONDS):
            return CheckResponse(request.run, "Running")
        if request.url not in self.checks_ended:
            answer = self.reports["Check"](json.loads(request.order))
            assert isinstance(answer, RunReport)
            self.checks_ended[request.url] = RunReport.model_validate_json(answer.to_message())
            self.lines.append(f"{self.now:%H:%M:%S} the warm worker ends {request.run}")
        return CheckResponse(request.run, "Reported", self.checks_ended[request.url])

    def _ensure(self, manifest: Manifest) -> None:
        key = key_of(manifest)
        resource = self.objects.get(key)
        if resource is not None and _holds(manifest, resource):
            return
        assert resource is None or key.kind != "Job", f"a Job is immutable, and {key.name} was to be changed"
        self.lines.append(f"         {'+' if resource is None else '~'} {key.kind} {key.name}")
        merged = _merge(copy.deepcopy(resource), manifest) if resource else copy.deepcopy(manifest)
        self.put(key, merged)

    def _mark(self, mark: plan.Mark) -> None:
        manifest = self.objects.get(mark.key)
        if manifest is None:
            return
        annotations = manifest["metadata"].setdefault("annotations", {})
        wanted = {name: value for name, value in mark.annotations.items() if value is not None}
        if any(annotations.get(name) != value for name, value in wanted.items()):
            annotations.update(wanted)
            self.put(mark.key, manifest)

    def _write_status(self, key: Key, status: Manifest) -> bool:
        manifest = self.objects[key]
        if manifest.get("status") == status:
            return False
        self._tell(key, manifest.get("status") or {}, status)
        manifest = {**manifest, "status": status}
        self.objects[key] = manifest
        self.writes += 1
        self.nudge(manifest)
        return True

    def _tell(self, key: Key, before: Manifest, after: Manifest) -> None:
        """One line for each condition that turned."""
        known = {c["type"]: (c["status"], c["reason"]) for c in before.get("conditions", ())}
        for condition in after.get("conditions", ()):
            if condition["type"] in {"Reconciling", "Stalled"}:
                continue
            if known.get(condition["type"]) != (condition["status"], condition["reason"]):
                message = f": {condition['message']}" if condition["message"] else ""
                self.lines.append(
                    f"         = {key.kind} {key.name} {condition['type']}={condition['status']} {condition['reason']}{message}"
                )

    # what the API server does

    def put(self, key: Key, manifest: Manifest) -> None:
        before = self.objects.get(key)
        metadata = manifest["metadata"]
        if before is None:
            metadata["uid"] = f"uid-{key.kind.lower()}-{key.name}-{next(self.numbers)}"
            metadata["creationTimestamp"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata["generation"] = 1
            if key.kind in OURS:
                manifest.setdefault("apiVersion", API_VERSION)
                manifest["status"] = {"observedGeneration": -1}
        else:
            for name in ("uid", "creationTimestamp"):
                metadata[name] = before["metadata"][name]
            changed = manifest.get("spec") != before.get("spec")
            metadata["generation"] = before["metadata"]["generation"] + changed
            metadata["annotations"] = {**before["metadata"].get("annotations", {}), **metadata.get("annotations", {})}
            manifest["status"] = before.get("status")
        self.objects[key] = manifest
        self.nudge(manifest)
        if key.kind == "Job" and before is None:
            # What Kueue's webhook does to a Job that names a queue.
            if "kueue.x-k8s.io/queue-name" in metadata["labels"]:
                manifest["spec"]["suspend"] = True
                return
            self.workloads.start(key, manifest)
        elif key.kind == "Deployment":
            self.workloads.roll(key, manifest, before)

    def nudge(self, manifest: Manifest) -> None:
        """The watch shows `manifest`."""
        self.world.put(manifest)
        self._concern(manifest)

    def _concern(self, manifest: Manifest) -> None:
        for key in sorted(plan.dependents(manifest, self.world)):
            if key in self.objects:
                self.dirty[key] = None

    def remove(self, key: Key) -> None:
        gone = self.objects.pop(key, None)
        if gone is None:
            return
        self.world.remove(key)
        self._concern(gone)
        for other, manifest in list(self.objects.items()):
            owners = manifest["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == gone["metadata"]["uid"] for owner in owners):
                self.remove(other)


def _holds(wanted: Any, manifest: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(manifest, dict) and all(
            name in manifest and _holds(value, manifest[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(manifest, list) and len(wanted) == len(manifest) and all(map(_holds, wanted, manifest))
    return bool(wanted == manifest)


def _merge(manifest: Any, wanted: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(manifest, dict):
        return {**manifest, **{name: _merge(manifest.get(name), value) for name, value in wanted.items()}}
    return copy.deepcopy(wanted)
