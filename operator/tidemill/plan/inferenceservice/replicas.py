"""How many pods: what the user says, or what the autoscaler makes of the load.

Whoever applies a number owns it, and an owner that stops applying it takes it away. So the number goes along with the rest of
the Deployment until the autoscaler has written one of its own, and never again after that.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.api import InferenceService
from tidemill.children import names, scaling
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.lookup import get_path, is_being_deleted, is_ours
from tidemill.plan.types import Retirement
from tidemill.plan.world import Key, Manifest, World

AUTOSCALER = "HorizontalPodAutoscaler"
BUDGET = "PodDisruptionBudget"


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of pods in one visit, and what keeps to them."""

    stable: int | None
    """What is applied; None leaves the number to its owner."""
    candidate: int
    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()
    trouble: str = ""
    """Why the autoscaler does not scale."""


def scale(service: InferenceService, seen: ServiceState, course: RolloutDecision, world: World) -> Scale:
    """The numbers of pods that `course` needs."""
    there = {kind: _ours(service, world, kind) for kind in (AUTOSCALER, BUDGET)}
    answers = course.serve is not None or seen.stable is not None
    wish = service.spec.autoscaling
    running = get_path(seen.stable, "spec", "replicas")
    ensure: list[Manifest] = []
    if wish is None:
        stable, most = service.spec.replicas, service.spec.replicas or 1
        tried = max(service.spec.replicas or 1, 1)
    else:
        most = wish.max_replicas
        live = running or wish.min_replicas
        acted = get_path(there[AUTOSCALER], "status", "lastScaleTime")
        stable = None if acted and running else live
        # A candidate that answers requests must not lose pods because the stable ones have nothing to do.
        tried = max(live, get_path(seen.candidate, "spec", "replicas") or 0)
        if answers:
            held = tried if course.rollout is not None and course.rollout.weight else 0
            ensure.append(scaling.autoscaler(service, wish, at_least=held))
    if most > 1 and answers:
        ensure.append(scaling.disruption_budget(service))
    kept = {manifest["kind"] for manifest in ensure}
    retire = tuple(
        Retirement(
            Key(kind, service.namespace, names.stable(service.name)),
            found["metadata"]["uid"],
            "the spec no longer asks for it",
        )
        for kind, found in there.items()
        if found is not None and kind not in kept and not is_being_deleted(found)
    )
    return Scale(stable, tried, tuple(ensure), retire, _trouble(there[AUTOSCALER]) if wish else "")


def _ours(service: InferenceService, world: World, kind: str) -> Manifest | None:
    found = world.get(kind, service.namespace, names.stable(service.name))
    return found if found is not None and is_ours(found, service.metadata.uid) else None


def _trouble(autoscaler: Manifest | None) -> str:
    for condition in get_path(autoscaler, "status", "conditions") or ():
        if condition.get("type") in {"ScalingActive", "AbleToScale"} and condition.get("status") == "False":
            # Nothing to scale from zero is no trouble.
            if condition.get("reason") == "ScalingDisabled":
                continue
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""
