"""When a run was good: the same end as without faults, made once, at rest, without orphans, by an operator that lives.

Names, uids, digests and times differ between two runs of the same life; everything else must not.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.api import GROUP
from tidemill.children import names
from tidemill.engine.kinds import resource_of
from tidemill.plan.world import Manifest

_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_LONG = re.compile(r"\b[0-9a-f]{12,64}\b")
_SHORT = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8}\b|\b[a-f]{8}\b")
_ADDRESS = re.compile(r"\b127(?:\.\d+){3}\b")
_METADATA = ("uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "namespace", "selfLink")
# How many windows were looked at is a matter of time, not of faults.
_OF_TIME = ("checks", "lastRun", "firedAt", "attempt")
Count = Counter[str]
BURST, WITHIN = 25, 5.0


@dataclass(frozen=True)
class Ending:
    """What is left of a run, in words that are the same for every run."""

    objects: tuple[str, ...]
    """Every object, normalised, as JSON."""
    deeds: Count
    """How often each object was created and deleted by the operator, by the audit log."""
    left: frozenset[str] = frozenset()
    """What is there, as resource and name."""


def ending(objects: Sequence[Manifest], deeds: Iterable[tuple[str, str, str]], namespace: str) -> Ending:
    """The ending of a run; `deeds` are verb, resource and name of what was created or deleted."""
    normal = sorted(normalised(manifest, namespace) for manifest in objects if not _is_check(manifest))
    checks = {manifest["metadata"]["name"] for manifest in objects if manifest["kind"] == "DriftMonitor"}
    counted = Counter(
        f"{verb} {resource} {plain(name, namespace)}"
        for verb, resource, name in deeds
        if not (resource == "jobs" and _SHORT.sub("", name).removesuffix("--1").removesuffix("-check") in checks)
    )
    left = {
        f"{resource_of(manifest['kind']).plural} {plain(manifest['metadata']['name'], namespace)}"
        for manifest in objects
    }
    return Ending(tuple(normal), counted, frozenset(left))


def normalised(manifest: Manifest, namespace: str) -> str:
    """An object without what differs from run to run."""
    normal = json.loads(json.dumps(manifest))
    for name in _METADATA:
        normal["metadata"].pop(name, None)
    (normal.get("status") or {}).pop("observedGeneration", None)
    if normal["kind"] == "DriftMonitor":
        for name in _OF_TIME:
            normal["status"].pop(name, None)
    if normal["kind"] == "Pod" and normal["metadata"].get("annotations", {}).get(names.ROUTES) == "{}":
        # An empty routing table says the same as none.
        del normal["metadata"]["annotations"][names.ROUTES]
    if normal["kind"] == "Service":
        for name in ("clusterIP", "clusterIPs"):
            normal["spec"].pop(name, None)
    for condition in (normal.get("status") or {}).get("conditions") or ():
        condition.pop("observedGeneration", None)
    return plain(json.dumps(normal, sort_keys=True, indent=1, ensure_ascii=False), namespace)


def plain(text: str, namespace: str) -> str:
    """`text` without uids, times and digests.

    >>> plain("iris-0a1b2c3d-1 in ns at 2026-01-01T00:00:00Z", "ns")
    'iris-# in NAMESPACE at TIME'
    """
    text = _LONG.sub("#", _TIME.sub("TIME", _UID.sub("UID", _ADDRESS.sub("ADDRESS", text))))
    text = re.sub(rf"\b{re.escape(namespace)}\b", "NAMESPACE", text)
    return re.sub(r"#-\d+\b", "#", _SHORT.sub("#", text))


def same_end(reference: Ending, result: Ending) -> list[str]:
    """O1: every object is as it would be without faults."""
    if reference.objects == result.objects:
        return []
    expected, actual = ("\n".join(ending.objects).splitlines() for ending in (reference, result))
    difference = list(difflib.unified_diff(expected, actual, "without faults", "with faults", lineterm="", n=4))
    return ["O1: another end state\n" + "\n".join(difference[:80])]


def made_once(
    reference: Ending, ending: Ending, *, log_may_lack: bool = False, owner_may_be_unseen: bool = False
) -> list[str]:
    """O2: what is made and deleted is made and deleted as often as without faults.

    An API server that is killed between a commit and its line in the audit log has made more than it says: `log_may_lack`.
    Who cannot see yet that an owner is gone may give it a child once more, which the garbage collector takes away again as
    it has taken the first: `owner_may_be_unseen` forgives what is made too often if nothing of it is left.
    """
    problems = []
    for deed in sorted(reference.deeds.keys() | ending.deeds.keys()):
        count, expected = ending.deeds[deed], reference.deeds[deed]
        verb, _, thing = deed.partition(" ")
        if log_may_lack and count < expected:
            continue
        if owner_may_be_unseen and verb == "create" and count > expected and thing not in ending.left:
            continue
        if count != expected:
            problems.append(f"O2: {deed}: {count} times, {expected} without faults")
    return problems


def nothing_said_twice(idle: Sequence[str]) -> list[str]:
    """O2: no write that changes nothing."""
    return [f"O2: a write that changed nothing: {write}" for write in idle]


def not_in_a_hurry(refused: Sequence[tuple[float, str]]) -> list[str]:
    """O3: what was refused is not asked again more than five times a second."""
    moments: dict[str, list[float]] = {}
    for moment, path in refused:
        moments.setdefault(path, []).append(moment)
    return [
        f"O3: {BURST} refused requests within {WITHIN:.0f} s: {path}"
        for path, times in moments.items()
        if any(later - earlier < WITHIN for earlier, later in zip(times, times[BURST - 1 :], strict=False))
    ]


def one_run_per_window(objects: Sequence[Manifest]) -> list[str]:
    """O2: no two TrainingJobs answer the same window of a monitor."""
    causes = Counter(
        str((manifest.get("metadata", {}).get("annotations") or {}).get(names.CAUSE))
        for manifest in objects
        if manifest["kind"] == "TrainingJob" and names.MONITOR in (manifest["metadata"].get("labels") or {})
    )
    return [f"O2: {count} TrainingJobs for one window: {cause}" for cause, count in causes.items() if count > 1]


def each_run_counted_once(statuses: Iterable[Manifest]) -> list[str]:
    """O2: a monitor counts a window once, no matter who checked it and however often it was told; `statuses` in order of time.

    With a new reference it begins again.
    """
    problems = []
    counted: dict[str, int] = {}
    window: Manifest = {}
    for status in statuses:
        now = {check["name"]: check.get("consecutive", 0) for check in status.get("checks") or ()}
        last = status.get("lastRun") or {}
        if last and window and last["end"] < window["end"]:
            problems.append(f"O2: the window of {window['end']} was forgotten for that of {last['end']}")
        elif last and last == window and now != counted:
            problems.append(f"O2: the window of {last['end']} was counted again: {counted}, then {now}")
        window, counted = last, now
    return problems


def no_orphans(objects: Sequence[Manifest]) -> list[str]:
    """O4: an object that names an owner names one that exists."""
    uids = {manifest["metadata"]["uid"] for manifest in objects}
    return [
        f"O4: {manifest['kind']} {manifest['metadata']['name']} outlived its owner {owner['name']}"
        for manifest in objects
        for owner in manifest["metadata"].get("ownerReferences") or ()
        if owner["uid"] not in uids
    ]


def nothing_held(objects: Sequence[Manifest]) -> list[str]:
    """O4: nothing has to wait for the operator before it may go: no finalizer, and no note of kopf's."""
    held = [manifest for manifest in objects if manifest["metadata"].get("finalizers")]
    noted = [
        manifest
        for manifest in objects
        if any("kopf" in name for name in manifest["metadata"].get("annotations") or ())
    ]
    return [
        f"O4: {manifest['kind']} {manifest['metadata']['name']} is held by a finalizer or noted on"
        for manifest in (*held, *noted)
    ]


def up_to_date(objects: Sequence[Manifest]) -> list[str]:
    """O6: every status, and each of its conditions, speaks of the newest spec."""
    return [
        f"O6: the status of {manifest['kind']} {manifest['metadata']['name']} speaks of an older spec"
        for manifest in objects
        if manifest["apiVersion"].startswith(GROUP) and _generations(manifest) != {manifest["metadata"]["generation"]}
    ]


def _generations(manifest: Manifest) -> set[Any]:
    status = manifest.get("status") or {}
    return {condition.get("observedGeneration") for condition in (status, *(status.get("conditions") or ()))}


def _is_check(manifest: Manifest) -> bool:
    labels: dict[str, Any] = manifest["metadata"].get("labels") or {}
    return labels.get(names.COMPONENT) == "check"
