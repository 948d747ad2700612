"""What the controllers of Jobs and Deployments and the kubelet do in a pretend cluster: pods that start, report and crash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.children import names
from tidemill.plan import Key, Manifest, key_of

if TYPE_CHECKING:
    from stories.fake_cluster import FakeCluster


@dataclass(frozen=True)
class Workloads:
    """Runs the Jobs and Deployments of one cluster."""

    cluster: FakeCluster

    def start(self, key: Key, job: Manifest) -> None:
        """Run a Job: its pod reports what the story says, after a while."""
        template = job["spec"]["template"]
        if names.ORDER not in template["metadata"].get("annotations", {}):
            self._start_judge(key, job)
            return
        pod_key = Key("Pod", key.namespace, f"{key.name}-pod")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod_key.name,
                "namespace": key.namespace,
                "labels": dict(template["metadata"]["labels"]),
                "annotations": dict(template["metadata"]["annotations"]),
                "ownerReferences": [{"kind": "Job", "name": key.name, "uid": job["metadata"]["uid"]}],
            },
            "spec": template["spec"],
        }
        self.cluster.put(pod_key, pod)
        order = json.loads(pod["metadata"]["annotations"][names.ORDER])

        def end() -> None:
            if pod_key not in self.cluster.objects:
                return
            answer = self.cluster.reports[order["task"]](order)
            ended: Manifest = {"exitCode": 0, "reason": "Completed"}
            if isinstance(answer, str):
                ended = {"exitCode": 137, "reason": answer}
            else:
                ended["message"] = answer.to_message()
                ended["exitCode"] = 1 if answer.failure else 0
            self.cluster.lines.append(
                f"{self.cluster.now:%H:%M:%S} pod of {key.name} ends: {ended['reason']}, exit code {ended['exitCode']}"
            )
            status = {"phase": "Succeeded", "containerStatuses": [{"name": "workload", "state": {"terminated": ended}}]}
            self.cluster.objects[pod_key]["status"] = status
            self.cluster.nudge(self.cluster.objects[pod_key])

        self.cluster.later(self.cluster.run_seconds, end)

    def _has_room(self, deployment: Manifest, old: int) -> bool:
        """Return whether the quota leaves room for one pod more, which a Deployment needs before it removes an old one."""
        if self.cluster.pods_allowed is None or (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            return True
        serving = [
            k for k in self.cluster.objects if k.kind == "Pod" and ("-stable-" in k.name or "-candidate-" in k.name)
        ]
        return len(serving) + (1 if old else deployment["spec"]["replicas"]) <= self.cluster.pods_allowed

    def _report_pods(self, deployment: Manifest, ready: int, updated: int) -> None:
        """Report the pods of a Deployment, whose others may not be created."""
        limit = self.cluster.pods_allowed or 1
        refused = {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": _forbidden(limit),
        }
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": ready,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [] if updated else [refused],
        }
        self.cluster.nudge(deployment)

    def _start_judge(self, key: Key, job: Manifest) -> None:
        """Run a user's Job, whose pod tells nothing but its exit code; its deadline counts from its creation."""
        uid = job["metadata"]["uid"]
        pod_key = Key("Pod", key.namespace, f"{key.name}-pod")

        def is_over() -> bool:
            known = self.cluster.objects.get(key)
            return known is None or known["metadata"]["uid"] != uid or ("status" in known and bool(known["status"]))

        def report(status: Manifest) -> None:
            if pod_key not in self.cluster.objects:
                self.cluster.put(pod_key, _pod(pod_key, job))
            self.cluster.objects[pod_key]["status"] = status
            self.cluster.nudge(self.cluster.objects[pod_key])

        def start() -> None:
            if is_over():
                return
            pod = {"metadata": {"name": key.name, "labels": job["metadata"]["labels"]}}
            kind = self.cluster.judge_trouble or self.cluster.trouble(pod)
            self.cluster.events.pop(uid, None)
            if kind == "quota":
                self.cluster.events[uid] = ({"reason": "FailedCreate", "message": f"Error creating: {_forbidden(1)}"},)
            elif kind == "out of memory":
                killed = {"exitCode": 137, "reason": "OOMKilled", "startedAt": self.cluster.timestamp()}
                report({"phase": "Failed", "containerStatuses": [{"name": "judge", "state": {"terminated": killed}}]})
                self._end_job(key, job, "Failed", "BackoffLimitExceeded")
            elif kind and pod_key not in self.cluster.objects:
                self._report_stuck(pod_key, job, kind)
            elif not kind:
                began = self.cluster.timestamp()
                running = {"name": "judge", "state": {"running": {"startedAt": began}}}
                report({"phase": "Running", "containerStatuses": [running]})
                self.cluster.later(self.cluster.run_seconds, lambda: end(began))
                return
            self.cluster.later(3.0, start)

        def end(began: str) -> None:
            if is_over():
                return
            passed = self.cluster.passes(job)
            ended = {"exitCode": 0 if passed else 1, "reason": "Completed" if passed else "Error", "startedAt": began}
            phase = "Succeeded" if passed else "Failed"
            report({"phase": phase, "containerStatuses": [{"name": "judge", "state": {"terminated": ended}}]})
            self._end_job(key, job, "Complete" if passed else "Failed", "" if passed else "BackoffLimitExceeded")

        def expire() -> None:
            if not is_over():
                self.cluster.events.pop(uid, None)
                self.cluster.remove(pod_key)
                self._end_job(key, job, "Failed", "DeadlineExceeded")

        start()
        self.cluster.later(job["spec"]["activeDeadlineSeconds"], expire)

    def _end_job(self, key: Key, job: Manifest, verdict: str, reason: str) -> None:
        self.cluster.lines.append(f"{self.cluster.now:%H:%M:%S} {key.name} ends: {verdict} {reason}".rstrip())
        condition = {"type": verdict, "status": "True", "lastTransitionTime": self.cluster.timestamp()}
        if reason:
            condition["reason"] = reason
        self.cluster.objects[key] = {**job, "status": {"conditions": [condition]}}
        self.cluster.nudge(self.cluster.objects[key])

    def lose_pods(self, name: str) -> None:
        """What happens when a node goes: the pods of a Deployment are gone, and others are to take their place."""
        key = Key("Deployment", "shop", name)
        deployment = self.cluster.objects[key]
        for k in [k for k, m in self.cluster.objects.items() if k.kind == "Pod" and _owned(m, deployment)]:
            self.cluster.remove(k)
        self._report_pods(deployment, 0, 1)
        self.roll(key, deployment, None)

    def _report_stuck(self, pod_key: Key, owner: Manifest, kind: str) -> None:
        """Report a pod that does not run, and the Event that says so where the pod does not."""
        pod = _pod(pod_key, owner)
        if kind == "slow pull":
            pod["spec"] = {**pod["spec"], "nodeName": "node"}
        self.cluster.put(pod_key, pod)
        self.cluster.objects[pod_key]["status"] = STUCK[kind]
        if kind == "slow pull":
            image = pod["spec"]["containers"][0]["image"]
            pulling = {"reason": "Pulling", "message": f'Pulling image "{image}"'}
            self.cluster.events[self.cluster.objects[pod_key]["metadata"]["uid"]] = (pulling,)
        self.cluster.nudge(self.cluster.objects[pod_key])

    def stall(self, name: str, seconds: float) -> None:
        """What a process does that answers no probe for some time: its pods run without being ready."""
        deployment = self.cluster.objects[Key("Deployment", "shop", name)]
        mine = [pod for key, pod in self.cluster.objects.items() if key.kind == "Pod" and _owned(pod, deployment)]
        moment = self.cluster.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        for pod in mine:
            before = pod["status"]
            pod["status"] = {
                **before,
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": moment}],
                "containerStatuses": [{"name": "server", "state": {"running": {"startedAt": moment}}}],
            }
            self.cluster.nudge(pod)
            self.cluster.later(seconds, lambda pod=pod, before=before: self._recover(pod, before))
        self._report_pods(deployment, 0, len(mine))

    def _recover(self, pod: Manifest, status: Manifest) -> None:
        if key_of(pod) not in self.cluster.objects:
            return
        pod["status"] = status
        self.cluster.nudge(pod)
        for deployment in [d for key, d in self.cluster.objects.items() if key.kind == "Deployment" and _owned(pod, d)]:
            self._report_pods(deployment, deployment["spec"]["replicas"], deployment["spec"]["replicas"])

    def _put_stuck(self, key: Key, deployment: Manifest, kind: str) -> None:
        """Create a pod that does not run."""
        pod_key = Key("Pod", key.namespace, f"{key.name}-{next(self.cluster.numbers)}-stuck")
        self._report_stuck(pod_key, deployment, kind)

    def roll(self, key: Key, deployment: Manifest, before: Manifest | None) -> None:
        """Replace the pods of a Deployment whose template or size has changed."""
        wanted = deployment["spec"].setdefault("replicas", 1)
        if before is not None and before["spec"] == deployment["spec"]:
            return
        template = deployment["spec"]["template"]
        number = next(self.cluster.numbers)

        def start() -> None:
            if self.cluster.objects.get(key) is not deployment or deployment["spec"]["template"] is not template:
                return
            mine = [k for k, m in self.cluster.objects.items() if k.kind == "Pod" and _owned(m, deployment)]
            if (
                before is not None
                and mine
                and len(mine) == wanted
                and all(_is_of(self.cluster.objects[k], template) for k in mine)
            ):
                self._report_pods(deployment, len(mine), len(mine))
                return
            stuck = [k for k in mine if _is_stuck(self.cluster.objects[k])]
            kind = self.cluster.trouble({"metadata": {"name": key.name, "labels": template["metadata"]["labels"]}})
            if kind == "quota" or not self._has_room(deployment, len(mine)):
                self._report_pods(deployment, len(mine) - len(stuck), 0)
                self.cluster.later(3.0, start)
                return
            if kind:
                if not stuck:
                    self._put_stuck(key, deployment, kind)
                self._report_pods(deployment, len([k for k in mine if k not in stuck]), 1)
                self.cluster.later(3.0, start)
                return
            for pod_key in stuck:
                self.cluster.remove(pod_key)
            fresh = []
            for index in range(wanted):
                pod_key = Key("Pod", key.namespace, f"{key.name}-{number}-{index}")
                pod = _pod(pod_key, deployment)
                works = self.cluster.start_pod(pod)
                pod["status"] = {
                    "podIP": f"10.0.0.{next(self.cluster.numbers)}",
                    "conditions": [{"type": "Ready", "status": "True" if works else "False"}],
                    "containerStatuses": [] if works else [_crashed()],
                }
                fresh.append((pod_key, pod, works))
            works = all(ready for _, _, ready in fresh)
            recreated = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
            if works or before is None or recreated or "candidate" in key.name:
                for old in [k for k, m in self.cluster.objects.items() if k.kind == "Pod" and _owned(m, deployment)]:
                    self.cluster.remove(old)
            for pod_key, pod, _ in fresh:
                status = pod.pop("status")
                self.cluster.put(pod_key, pod)
                self.cluster.objects[pod_key]["status"] = status
                self.cluster.nudge(self.cluster.objects[pod_key])
            ready = wanted if works else 0
            deployment["status"] = {
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": wanted,
                "updatedReplicas": wanted,
                "readyReplicas": ready,
                "availableReplicas": ready,
            }
            self.cluster.nudge(deployment)

        self.cluster.later(3.0, start)


def _forbidden(limit: int) -> str:
    quota = f"requested: pods=1, used: pods={limit}, limited: pods={limit}"
    return f'pods "fraud-" is forbidden: exceeded quota: pods, {quota}'


STUCK: Mapping[str, Manifest] = {
    "full node": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu.",
            }
        ],
    },
    "slow pull": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]},
    "out of memory": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "server",
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            }
        ],
    },
}
"""What pods report that do not run, by the trouble that they are in."""


def _is_stuck(pod: Manifest) -> bool:
    return any(pod.get("status") == status for status in STUCK.values())


def _is_of(pod: Manifest, template: Manifest) -> bool:
    return bool(pod["spec"] == template["spec"] and pod["metadata"]["labels"] == template["metadata"]["labels"])


def _crashed() -> Manifest:
    return {
        "name": "server",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 1}},
    }


def _pod(key: Key, owner: Manifest) -> Manifest:
    """Return a new pod of a Deployment or a Job."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": dict(template["metadata"]["labels"]),
            "ownerReferences": [{"kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}],
        },
        "spec": template["spec"],
    }


def _owned(manifest: Manifest, owner: Manifest) -> bool:
    return any(o["uid"] == owner["metadata"]["uid"] for o in manifest["metadata"].get("ownerReferences") or ())
