"""Read what a pod and its containers report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from tidemill.api.conditions import Reason
from tidemill.plan.diagnosis.refusals import shortened
from tidemill.plan.diagnosis.scheduling import unschedulable
from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.world import Manifest

IMAGE_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
CREATION_REASONS: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
)
STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_MOUNT_REASONS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_PULLED: Final = frozenset({"Pulled", "Created", "Started"})
_NODE_REFUSALS: Final = ("OutOfmemory", "OutOfcpu", "OutOfpods", "UnexpectedAdmissionError")

Events = Mapping[str, tuple[Manifest, ...]]
"""Events of Kubernetes by the uid of the object that they are about, the newest first."""
NO_EVENTS: Final[Events] = {}


class Problem(NamedTuple):
    """Why a pod does not start or does not stay up."""

    reason: Reason
    message: str
    """The problem with its remedy."""


def pod_problem(pod: Manifest, events: Events = NO_EVENTS) -> str:
    """Return why a pod does not start or does not stay up, with the remedy; empty if no problem is known."""
    problem = problem_of(pod, events)
    return problem.message if problem else ""


def problem_of(pod: Manifest, events: Events = NO_EVENTS) -> Problem | None:
    """Return the problem of a pod; None if none is known."""
    if removed := _removed(pod):
        return removed
    for condition in get_path(pod, "status", "conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            if condition.get("reason") == "SchedulingGated":
                return Problem(
                    Reason.UNSCHEDULABLE, "a scheduling gate holds the pod back; remove it, or wait for its controller"
                )
            return Problem(
                Reason.UNSCHEDULABLE, unschedulable(condition.get("message") or condition.get("reason") or "")
            )
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in get_path(pod, "status", kind) or ():
            if problem := _container_problem(pod, container):
                return problem
    return _delayed(events.get(pod["metadata"].get("uid", ""), ())) if is_starting(pod) else None


def pods_problem(pods: Iterable[Manifest], events: Events = NO_EVENTS) -> str:
    """Return the first problem of pods that are not being deleted; empty if none is known."""
    problem = first_problem(pods, events)
    return problem.message if problem else ""


def first_problem(pods: Iterable[Manifest], events: Events = NO_EVENTS) -> Problem | None:
    """Return the first problem of pods that are not being deleted; None if none is known."""
    live = (problem_of(pod, events) for pod in pods if not is_being_deleted(pod))
    return next((problem for problem in live if problem), None)


def failed_pods_problem(pods: Iterable[Manifest]) -> str:
    """Return why the node or the scheduler removed one of `pods`; empty if none was removed."""
    return next((problem.message for pod in pods if (problem := _removed(pod))), "")


def is_starting(pod: Manifest) -> bool:
    """Return whether a node has the pod, and none of its containers has run or reports a problem yet."""
    if is_being_deleted(pod) or get_path(pod, "status", "phase") not in (None, "", "Pending"):
        return False
    statuses = [
        status
        for kind in ("initContainerStatuses", "containerStatuses")
        for status in get_path(pod, "status", kind) or ()
    ]
    waiting = all((get_path(status, "state", "waiting", "reason") or "") in STARTING for status in statuses)
    return bool(get_path(pod, "spec", "nodeName")) and waiting and not has_started(pod)


def is_unplaced(pod: Manifest) -> bool:
    """Return whether no node takes the pod."""
    return any(
        condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        for condition in get_path(pod, "status", "conditions") or ()
    )


def has_started(pod: Manifest) -> bool:
    """Return whether a container of the pod runs or has run."""
    return any(
        get_path(container, "state", "running") is not None or _terminated(container)
        for container in get_path(pod, "status", "containerStatuses") or ()
    )


def memory_limit(pod: Manifest, name: str = "") -> str:
    """Return the memory limit of a pod's container, the first one by default; empty if none is set."""
    containers = get_path(pod, "spec", "containers") or ()
    container = next((c for c in containers if c.get("name") == name), containers[0] if containers else {})
    return str(get_path(container, "resources", "limits", "memory") or "")


def memory_remedy(pod: Manifest, name: str = "") -> str:
    """Return what to do about a pod's container that was killed for want of memory."""
    if limit := memory_limit(pod, name):
        return f"raise spec.resources.limits.memory (now {limit})"
    return (
        "it has no memory limit, so its node ran out of memory; free some, or set spec.resources.requests.memory "
        "to get a larger node"
    )


def _removed(pod: Manifest) -> Problem | None:
    """Return why the pod was taken from its node, or was refused by it; None if it was not."""
    reason, message = get_path(pod, "status", "reason") or "", get_path(pod, "status", "message") or ""
    because = f": {shortened(message)}" if message else ""
    if reason == "Evicted":
        return Problem(
            Reason.UNSCHEDULABLE,
            f"the pod was evicted{because}; free memory or disk space of the node, or raise spec.resources.requests",
        )
    if get_path(pod, "status", "phase") != "Failed":
        return None
    if reason in _NODE_REFUSALS:
        return Problem(Reason.UNSCHEDULABLE, f"the node refused the pod ({reason}){because}; free a node, or add one")
    for condition in get_path(pod, "status", "conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            why = shortened(condition.get("message") or "the pod was removed from its node")
            return Problem(Reason.UNSCHEDULABLE, f"the pod was disrupted ({condition.get('reason')}): {why}")
    return None


def _container_problem(pod: Manifest, container: Manifest) -> Problem | None:
    waiting = get_path(container, "state", "waiting") or {}
    reason = waiting.get("reason") or ""
    if reason in IMAGE_REASONS:
        return Problem(
            Reason.IMAGE_UNAVAILABLE,
            f"cannot pull image {container.get('image')} ({reason}); check the image values of the chart",
        )
    if reason in CREATION_REASONS:
        because = shortened(waiting.get("message") or reason)
        remedy = "create what is missing" if "not found" in because else "see kubectl describe pod"
        return Problem(Reason.DEPENDENCY_NOT_READY, f"the container cannot start: {because}; {remedy}")
    if ended := _terminated(container):
        return None if ended.get("exitCode") == 0 else _termination(pod, container, ended)
    if reason == "CrashLoopBackOff":
        return Problem(Reason.INTERNAL_ERROR, "the container is crash-looping; check its logs")
    if reason in STARTING:
        return None
    return Problem(Reason.PROGRESSING, f"{reason}: {shortened(waiting.get('message') or 'see kubectl describe pod')}")


def _termination(pod: Manifest, container: Manifest, ended: Manifest) -> Problem:
    restarts = container.get("restartCount") or 0
    again = f" {restarts} times" if restarts > 1 else ""
    if ended.get("reason") == "OOMKilled":
        remedy = memory_remedy(pod, container.get("name") or "")
        return Problem(Reason.OUT_OF_MEMORY, f"the container was OOMKilled{again}; {remedy}")
    message = f": {ended['message'].strip()}" if (ended.get("message") or "").strip() else ""
    text = (
        f"the container crashed{again} with {ended.get('reason') or 'Error'} (exit code {ended.get('exitCode')}){message}; "
        "check its logs"
    )
    return Problem(Reason.INTERNAL_ERROR, text[:500])


def _terminated(container: Manifest) -> Manifest | None:
    """Return how a container ended last; None if it has not ended, or runs again."""
    ended: Manifest | None = get_path(container, "state", "terminated")
    if ended or get_path(container, "state", "running") is not None:
        return ended
    last: Manifest | None = get_path(container, "lastState", "terminated")
    return last


def _delayed(events: tuple[Manifest, ...]) -> Problem | None:
    """Return why a pod that a node has does not start, from its Events, the newest first; None if these do not say it."""
    for event in events:
        reason, message = event.get("reason") or "", event.get("message") or ""
        if reason in _MOUNT_REASONS:
            remedy = "create what is missing" if "not found" in message else "check the volume and its driver"
            return Problem(
                Reason.DEPENDENCY_NOT_READY, f"a volume cannot be mounted: {shortened(_mount(message))}; {remedy}"
            )
        if reason == "FailedCreatePodSandBox":
            return Problem(
                Reason.DEPENDENCY_NOT_READY,
                f"the node cannot prepare the pod: {shortened(message)}; check its container runtime and network",
            )
        if reason == "Pulling":
            return Problem(
                Reason.PROGRESSING, f"{_lower(shortened(message))}; wait, or check the network and the registry"
            )
        if reason in _PULLED:
            return None
    return None


def _mount(message: str) -> str:
    """Return the message of a failed mount without the parts that differ at each try.

    >>> _mount('MountVolume.SetUp failed for volume "keys" : secret "keys" not found')
    'volume "keys": secret "keys" not found'
    """
    return message.removeprefix("MountVolume.SetUp failed for ").replace('" : ', '": ', 1)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
