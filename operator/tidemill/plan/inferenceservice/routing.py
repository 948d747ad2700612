"""Route requests: the routing table of each stable pod, and the HTTPRoute where a Gateway splits."""

from __future__ import annotations

from dataclasses import replace

from tidemill.api import InferenceService
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.children import names, route, serving
from tidemill.children.installation import Installation
from tidemill.contract.serving import SERVING_PORT, Routes
from tidemill.plan.inferenceservice.canary import unanswered
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import (
    ServiceState,
    answering_versions,
    candidate_problem,
    ready_candidates,
    who_answers,
)
from tidemill.plan.lookup import annotation, base_url, is_being_deleted, is_ours, is_ready, label
from tidemill.plan.types import Mark, Retirement
from tidemill.plan.world import Key, Manifest, World

ROUTE = "HTTPRoute"
COMPARED = frozenset({"Labelled", "PredictionAgreement", "PredictionDrift"})
"""Metrics for which both versions answer the same rows."""
REMEDIES = {
    "Off": "Gateway API support is off; set traffic.gatewayAPI.enabled of the chart",
    "Absent": "the API server has no HTTPRoute; install the Gateway API's CRDs, then restart the operator",
}


def refusal(service: InferenceService, installation: Installation) -> tuple[PendingCondition, ...]:
    """Return the conditions of a service that needs a Gateway where there is none."""
    if service.spec.traffic.provider != "GatewayAPI" or installation.gateway == "On":
        return ()
    message = f"spec.traffic.provider GatewayAPI cannot be used: {REMEDIES[installation.gateway]}"
    return false("Ready", Reason.UNSUPPORTED, message), true("Stalled", Reason.UNSUPPORTED, message)


def in_force(service: InferenceService, state: ServiceState, decision: RolloutDecision) -> RolloutDecision:
    """Return `decision` with the shares that the candidate gets: none while no pod of it is ready.

    The routing tables, the route of a Gateway and the status are all made from it, so that they agree.
    """
    rollout = decision.rollout
    if rollout is None:
        return decision
    gateway = service.spec.traffic.provider == "GatewayAPI"
    update: dict[str, object] = {}
    if (rollout.weight or rollout.shadow) and (
        decision.retire_candidate or not ready_candidates(state, rollout.version)
    ):
        update = {
            "weight": 0,
            "shadow": 0,
            "desired_weight": rollout.weight,
            "desired_shadow": rollout.shadow,
            "message": unanswered(who_answers(state), candidate_problem(state, rollout.version)[:500]),
        }
    if rollout.phase == "Promoting":
        whole = rollout.weight == 100 and not update and (gateway or answering_versions(state))
        who = f"{rollout.version} answers all requests" if whole else who_answers(state)
        update["message"] = f"{who}; {rollout.message}"[:1000]
    return replace(decision, rollout=rollout.model_copy(update=update))


def tables(
    service: InferenceService, state: ServiceState, decision: RolloutDecision, installation: Installation
) -> list[Mark]:
    """Return the routing table of each stable pod that has another one, for a decision that is `in_force`."""
    pods = [pod for pod in state.of_role("stable") if not is_being_deleted(pod)]
    rollout = decision.rollout
    version = state.version(rollout.version) if rollout else None
    answering = rollout is not None and ready_candidates(state, rollout.version)
    marks = []
    # A terminating pod still answers while it drains, and needs its routes.
    for pod in state.of_role("stable"):
        peers = tuple(base for peer in pods if peer is not pod and is_ready(peer) and (base := base_url(peer)))
        routes = Routes(peers=peers)
        if rollout and version and answering and label(pod, names.MODEL_VERSION) != rollout.version:
            compare = any(metric.type in COMPARED for metric in service.spec.rollout.analysis.metrics)
            gateway = service.spec.traffic.provider == "GatewayAPI"
            # Where a Gateway splits, both versions meet the same rows only as copies.
            copies = rollout.weight if gateway and compare else 0
            routes = Routes(
                weight=0 if gateway else rollout.weight,
                shadow=max(rollout.shadow, copies),
                candidate=serving.pin(version),
                candidate_url=f"http://{names.candidate(service.name)}.{service.namespace}.svc.{installation.cluster_domain}:{SERVING_PORT}",
                compare=compare,
                peers=peers,
            )
        text = routes.model_dump_json(by_alias=True, exclude_defaults=True)
        if annotation(pod, names.ROUTES) != text and (text != "{}" or annotation(pod, names.ROUTES)):
            marks.append(Mark(Key("Pod", service.namespace, pod["metadata"]["name"]), {names.ROUTES: text}))
    return marks


def at_the_gateway(service: InferenceService, state: ServiceState, decision: RolloutDecision) -> tuple[Manifest, ...]:
    """Return the route of a Gateway for a decision that is `in_force`; none if the stable pods split."""
    if service.spec.traffic.provider != "GatewayAPI" or (state.stable is None and decision.serve is None):
        return ()
    rollout = decision.rollout
    if rollout is None or decision.retire_candidate or not ready_candidates(state, rollout.version):
        return (route.route(service, weight=0, answering=False),)
    return (route.route(service, weight=rollout.weight, answering=True),)


def retired(service: InferenceService, world: World) -> tuple[Retirement, ...]:
    """Return the route to delete of a service that no longer has a Gateway."""
    existing = world.get(ROUTE, service.namespace, names.service(service.name))
    if existing is None or service.spec.traffic.provider == "GatewayAPI" or is_being_deleted(existing):
        return ()
    if not is_ours(existing, service.metadata.uid):
        return ()
    key = Key(ROUTE, service.namespace, names.service(service.name))
    return (Retirement(key, existing["metadata"]["uid"], "the stable pods split requests"),)
