"""Set the number of pods: as the spec says, or as the autoscaler decides by the load.

The manager that applies a number owns it, and removes it when it stops applying it. So the number is applied with the rest
of the Deployment until the autoscaler has written one, and never after that.
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
    """The numbers of pods, and the objects that keep them."""

    stable: int | None
    """The number to apply; None leaves it to the autoscaler."""
    candidate: int
    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()
    problem: str = ""
    """Why the autoscaler does not scale; empty if it does."""


def scale(service: InferenceService, state: ServiceState, decision: RolloutDecision, world: World) -> Scale:
    """Return the numbers of pods that `decision` needs."""
    existing = {kind: _owned(service, world, kind) for kind in (AUTOSCALER, BUDGET)}
    answers = decision.serve is not None or state.stable is not None
    autoscaling = service.spec.autoscaling
    running = get_path(state.stable, "spec", "replicas")
    ensure: list[Manifest] = []
    if autoscaling is None:
        stable, maximum = service.spec.replicas, service.spec.replicas or 1
        candidate_replicas = max(service.spec.replicas or 1, 1)
    else:
        maximum = autoscaling.max_replicas
        current = running or autoscaling.min_replicas
        scaled_at = get_path(existing[AUTOSCALER], "status", "lastScaleTime")
        stable = None if scaled_at and running else current
        # A candidate that answers requests must not lose pods because the stable ones have nothing to do.
        candidate_replicas = max(current, get_path(state.candidate, "spec", "replicas") or 0)
        if answers:
            floor = candidate_replicas if decision.rollout is not None and decision.rollout.weight else 0
            ensure.append(scaling.autoscaler(service, autoscaling, at_least=floor))
    if maximum > 1 and answers:
        ensure.append(scaling.disruption_budget(service))
    kept = {manifest["kind"] for manifest in ensure}
    retire = tuple(
        Retirement(
            Key(kind, service.namespace, names.stable(service.name)),
            manifest["metadata"]["uid"],
            "the spec no longer needs it",
        )
        for kind, manifest in existing.items()
        if manifest is not None and kind not in kept and not is_being_deleted(manifest)
    )
    return Scale(
        stable, candidate_replicas, tuple(ensure), retire, _scaling_problem(existing[AUTOSCALER]) if autoscaling else ""
    )


def _owned(service: InferenceService, world: World, kind: str) -> Manifest | None:
    manifest = world.get(kind, service.namespace, names.stable(service.name))
    return manifest if manifest is not None and is_ours(manifest, service.metadata.uid) else None


def _scaling_problem(autoscaler: Manifest | None) -> str:
    for condition in get_path(autoscaler, "status", "conditions") or ():
        if condition.get("type") in {"ScalingActive", "AbleToScale"} and condition.get("status") == "False":
            # Scaled to zero is not a problem.
            if condition.get("reason") == "ScalingDisabled":
                continue
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""
