"""Job and Deployment controllers, kubelet and garbage collector in one: real API objects, but no containers.

What a run reports comes from a script; all pods of a namespace have one address on loopback, where `serving` answers.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from chaos.mirror import Mirror, Refused
from tidemill.children import names
from tidemill.contract.reports import RunReport
from tidemill.contract.serving import Measurements
from tidemill.plan.world import Key, Manifest, key_of

RUN_SECONDS = 0.15
START_SECONDS = 0.15
ADOPTION_SECONDS = 1.0
REFUSED_SECONDS = 0.3
"""How long a pod that may not be created is not tried again."""
PREEMPTION = ". preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
UNSCHEDULABLE = {
    "FullNode": f"0/1 nodes are available: 1 Insufficient cpu{PREEMPTION}",
    "Cordon": f"0/1 nodes are available: 1 node(s) were unschedulable{PREEMPTION}",
}
LEAVING_SECONDS = 0.1
"""How long an object whose owner is nowhere to be seen is left alone: the owner may only be late."""


@dataclass
class Script:
    """What happens in the pods of one namespace."""

    reports: dict[str, Callable[[Manifest], RunReport]]
    measurements: Callable[[str], tuple[Measurements, ...]] = lambda candidate: ()  # noqa: ARG005
    """What a stable pod says of the candidate with this name."""
    address: str = "127.0.0.1"
    held: set[str] = field(default_factory=set)
    """Tasks whose runs do not end yet."""
    scarce: str = ""
    """What keeps new pods from running: FullNode, Cordon, SlowPull or OutOfMemory."""


class Kubelet:
    """Does for every object in the mirror what the controllers and the kubelet of a cluster would do."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self.scripts: dict[str, Script] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tending: set[Key] = set()
        self._again: set[Key] = set()
        self._announced: set[tuple[str, str]] = set()
        """Events that are recorded: the uid of the object, and the reason."""
        self.stuck: dict[Key, float] = {}
        """Jobs and Deployments that have a pod which may not be created or does not start, and since when."""
        mirror.listeners.append(self._happened)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def release(self, namespace: str, task: str) -> None:
        """Runs of `task` may end from now on."""
        self.scripts[namespace].held.discard(task)
        for job in self._mirror.all(namespace, "Job"):
            self._nudge(key_of(job))

    async def make_room(self, namespace: str) -> None:
        """Let pods run that were held up."""
        self.scripts[namespace].scarce = ""
        for pod in self._mirror.all(namespace, "Pod"):
            await self._let_start(pod)
        for owner in (*self._mirror.all(namespace, "Job"), *self._mirror.all(namespace, "Deployment")):
            self._nudge(key_of(owner))

    async def _let_start(self, pod: Manifest) -> None:
        """Take back what a pod that was held up says of it."""
        if _is_held_up(pod):
            await self._mirror.report(key_of(pod), {"conditions": None, "containerStatuses": None})

    def _happened(self, happened: str, manifest: Manifest) -> None:
        key, metadata = key_of(manifest), manifest["metadata"]
        if key.namespace not in self.scripts:
            return
        owners = metadata.get("ownerReferences") or ()
        if happened == "DELETED":
            self._start(self._collect(key.namespace, metadata["uid"]))
        elif happened == "ADDED" and owners:
            self._start(self._collect_orphan(key, metadata["uid"], {owner["uid"] for owner in owners}))
        if key.kind == "Pod":
            for owner in owners:
                self._nudge(Key(owner["kind"], key.namespace, owner["name"]))
        elif key.kind in {"Job", "Deployment"}:
            self._nudge(key)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _nudge(self, key: Key) -> None:
        if key in self._tending:
            self._again.add(key)
            return
        self._tending.add(key)
        self._start(self._tend(key))

    async def _tend(self, key: Key) -> None:
        try:
            while True:
                self._again.discard(key)
                manifest = self._mirror.get(*key)
                try:
                    if manifest is not None and key.namespace in self.scripts:
                        await (self._run(manifest) if key.kind == "Job" else self._roll(manifest))
                except (Refused, aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(0.3)
                    self._again.add(key)
                if key not in self._again:
                    return
        finally:
            self._tending.discard(key)

    async def _collect(self, namespace: str, uid: str) -> None:
        """The garbage collector: what the deleted object owned goes too."""
        for manifest in self._mirror.all(namespace):
            if any(owner["uid"] == uid for owner in manifest["metadata"].get("ownerReferences") or ()):
                await self._mirror.delete(key_of(manifest), manifest["metadata"]["uid"])

    async def _collect_orphan(self, key: Key, uid: str, owners: set[str]) -> None:
        await asyncio.sleep(ADOPTION_SECONDS)
        if not owners & {manifest["metadata"]["uid"] for manifest in self._mirror.all(key.namespace)}:
            await self._mirror.delete(key, uid)

    async def _run(self, job: Manifest) -> None:
        """A Job makes one pod, which ends with the script's report."""
        key, script = key_of(job), self.scripts[job["metadata"]["namespace"]]
        if job["spec"].get("suspend") or (job.get("status") or {}).get("conditions"):
            return
        pod_key = Key("Pod", key.namespace, f"{key.name}-pod")
        pod = self._mirror.get(*pod_key)
        if pod is None:
            await self._create(job, pod_key.name)
            return
        if await self._is_anothers(pod, job):
            return
        if script.scarce and not (pod.get("status") or {}).get("containerStatuses"):
            await self._hold_up(job, pod, script.scarce)
        if _is_held_up(live := self._mirror.get(*pod_key) or pod) or (script.scarce and key in self.stuck):
            if not script.scarce:
                await self._let_start(live)  # held up by a report that was under way when room was made
            return
        self.stuck.pop(key, None)
        order = json.loads(pod["metadata"].get("annotations", {}).get(names.ORDER, "null"))
        # A user's Job that judges a candidate has no order, and passes.
        task = order["task"] if order else "Judge"
        if task in script.held:
            return
        now = moment()
        if not (pod.get("status") or {}).get("containerStatuses"):
            await asyncio.sleep(RUN_SECONDS)
            if task in script.held or not self._is_there(job):
                return
            report = script.reports[task](order) if order else RunReport()
            await self._mirror.report(pod_key, _ended(report, pod, now))
        done = [
            {"type": condition, "status": "True", "lastTransitionTime": now}
            for condition in ("SuccessCriteriaMet", "Complete")
        ]
        status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": done}
        if self._is_there(job):
            await self._mirror.report(key, status)

    async def _create(self, owner: Manifest, name: str) -> bool:
        """Create a pod, or report as the controllers of Kubernetes do that it may not be created."""
        key = key_of(owner)
        try:
            await self._mirror.create(pod_of(owner, name))
        except Refused as refusal:
            if refusal.status not in (403, 422):
                raise
            self.stuck.setdefault(key, time.monotonic())
            if key.kind == "Job":
                await self._record(owner, "Warning", "FailedCreate", f"Error creating: {refusal.message}")
            else:
                failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
                values = {**failure, "message": refusal.message, "lastTransitionTime": moment()}
                before = (owner.get("status") or {}).get("conditions") or [{}]
                if before[0].get("message") != refusal.message:
                    generation = owner["metadata"]["generation"]
                    await self._mirror.report(key, {"observedGeneration": generation, "conditions": [values]})
            await asyncio.sleep(REFUSED_SECONDS)
            self._again.add(key)
            return False
        self.stuck.pop(key, None)
        return True

    async def _hold_up(self, owner: Manifest, pod: Manifest, why: str) -> None:
        """No node has room for the pod, or its image takes its time."""
        self.stuck.setdefault(key_of(owner), time.monotonic())
        if _is_held_up(pod):
            return
        if why in UNSCHEDULABLE:
            full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULABLE[why]}
            await self._mirror.report(key_of(pod), {"conditions": [{**full, "lastTransitionTime": moment()}]})
            return
        container = pod["spec"]["containers"][0]
        status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False}
        waiting: Manifest = {**status, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}
        if why == "OutOfMemory":
            ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": moment(), "finishedAt": moment()}
            waiting |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
        await self._mirror.report(key_of(pod), {"containerStatuses": [waiting]})
        await self._record(pod, "Normal", "Pulling", f'Pulling image "{container["image"]}"')

    async def _record(self, about: Manifest, type_: str, reason: str, message: str) -> None:
        """Record an Event, once for each object and reason."""
        key, uid = key_of(about), about["metadata"]["uid"]
        if (uid, reason) in self._announced:
            return
        self._announced.add((uid, reason))
        now = moment()
        event = {
            "metadata": {"generateName": f"{key.name}."},
            "involvedObject": {"kind": key.kind, "namespace": key.namespace, "name": key.name, "uid": uid},
            "type": type_,
            "reason": reason,
            "message": message,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._mirror.ask("POST", f"/api/v1/namespaces/{key.namespace}/events", event)

    def _is_there(self, job: Manifest) -> bool:
        """Whether the Job is still the one of its name."""
        manifest = self._mirror.get(*key_of(job))
        return manifest is not None and bool(manifest["metadata"]["uid"] == job["metadata"]["uid"])

    async def _is_anothers(self, pod: Manifest, job: Manifest) -> bool:
        """Whether the pod is that of an earlier Job of the same name, which goes soon; the Job is looked at again then."""
        if _is_of(pod, job["metadata"]["uid"]):
            return False
        await asyncio.sleep(LEAVING_SECONDS)
        self._again.add(key_of(job))
        return True

    async def _roll(self, deployment: Manifest) -> None:
        """A Deployment has its pods; old ones go when the new ones are ready."""
        key, spec = key_of(deployment), deployment["spec"]
        uid, wanted = deployment["metadata"]["uid"], spec.get("replicas", 1)
        script = self.scripts[key.namespace]
        template = names.short(json.dumps(spec["template"], sort_keys=True))
        fresh = {f"{key.name}-{template}-{number}" for number in range(wanted)}
        pods = {pod["metadata"]["name"]: pod for pod in self._mirror.all(key.namespace, "Pod") if _is_of(pod, uid)}
        for name in sorted(fresh - pods.keys()):
            if not await self._create(deployment, name):
                return
        unready = sorted(name for name in fresh & pods.keys() if not _is_ready(pods[name]))
        if unready and not script.scarce:
            await asyncio.sleep(START_SECONDS)
        if script.scarce:
            for name in unready:
                await self._hold_up(deployment, pods[name], script.scarce)
            unready = []
        else:
            self.stuck.pop(key, None)
            for name in unready:
                await self._let_start(pods[name])
        for name in unready:
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": moment()}
            status = {"phase": "Running", "podIP": script.address, "conditions": [ready]}
            await self._mirror.report(Key("Pod", key.namespace, name), status)
        ready_ones = [name for name in fresh & pods.keys() if _is_ready(pods[name])]
        if len(ready_ones) == wanted:
            for name in sorted(pods.keys() - fresh):
                await self._mirror.delete(Key("Pod", key.namespace, name))
        counts = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(fresh & pods.keys()),
            "readyReplicas": sum(map(_is_ready, pods.values())),
            "availableReplicas": sum(map(_is_ready, pods.values())),
        }
        before = deployment.get("status") or {}
        if before.get("conditions"):
            counts["conditions"] = []
        if any(before.get(name, 0) != count for name, count in counts.items()):
            await self._mirror.report(key, counts)


def pod_of(owner: Manifest, name: str) -> Manifest:
    template, metadata = owner["spec"]["template"], owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [{**reference, "uid": metadata["uid"], "controller": True}],
        },
        # As if a scheduler had found a node for it.
        "spec": {**template["spec"], "nodeName": "node"},
    }


def _ended(report: RunReport, pod: Manifest, now: str) -> Manifest:
    container = pod["spec"]["containers"][0]
    code = 1 if report.failure else 0
    ended = {"exitCode": code, "reason": "Completed", "message": report.to_message(), "startedAt": now}
    status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False, "restartCount": 0}
    return {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [{**status, "state": {"terminated": {**ended, "finishedAt": now}}}],
    }


def _is_of(pod: Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())


def _is_held_up(pod: Manifest) -> bool:
    """Whether the pod waits for room or for its image."""
    status = pod.get("status") or {}
    waiting = any("waiting" in (item.get("state") or {}) for item in status.get("containerStatuses") or ())
    return waiting or any(
        item["type"] == "PodScheduled" and item["status"] == "False" for item in status.get("conditions") or ()
    )


def _is_ready(pod: Manifest) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in (pod.get("status") or {}).get("conditions") or ()
    )


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
