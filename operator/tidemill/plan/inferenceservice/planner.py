"""Plan an InferenceService: a stable version that always answers, and a safe rollout of the next one.

The stable version is read from the stable Deployment, so a lost status is rebuilt. The stable Deployment gets a new version
only when the candidate is promoted; until the last of its old pods is gone, these forward everything to the candidate.
No request ever depends on a pod that has not proven itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from string import Template

from tidemill.api import InferenceService
from tidemill.api.conditions import Reason
from tidemill.children import names, serving
from tidemill.children.installation import Installation
from tidemill.contract.serving import MEASUREMENTS_ROUTE
from tidemill.plan import unsupported
from tidemill.plan.diagnosis import has_started
from tidemill.plan.inferenceservice import analysis_jobs, followed, routing
from tidemill.plan.inferenceservice.lifecycle import decide
from tidemill.plan.inferenceservice.observed import ServiceState, observe
from tidemill.plan.inferenceservice.replicas import scale
from tidemill.plan.inferenceservice.selection import Selection, select
from tidemill.plan.inferenceservice.status import report
from tidemill.plan.inferenceservice.surroundings import loading_problem
from tidemill.plan.lookup import base_url, is_being_deleted, is_ours, is_ready
from tidemill.plan.types import Answers, Plan, Query, Question, Retirement
from tidemill.plan.world import Key, Manifest, World

LOADING_SECONDS = 10.0
"""Seconds between two questions to stable pods that run and are not ready."""


def questions(service: InferenceService, world: World) -> Question | None:
    """Return what to ask about the candidate, about the routing tables that pods follow, and what pods load; None if nothing."""
    rollout = service.status.rollout
    stale = service.status.condition(followed.CONDITION) is not None
    state = observe(service, world)
    # A pod that runs and is not ready says itself what it waits for.
    waiting = _loading(state, "stable" if rollout is None else "candidate")
    asked = tuple(f"{base}{MEASUREMENTS_ROUTE}" for pod in waiting if (base := base_url(pod)))
    if not stale and rollout is None:
        return Question(asked) if asked else None
    if rollout is not None and rollout.phase == "Starting" and not stale:
        return Question(asked) if asked else None
    # With a Gateway, only the candidate's pods know how they answered.
    roles = ("stable", "candidate") if service.spec.traffic.provider == "GatewayAPI" else ("stable",)
    pods = [pod for role in roles for pod in state.of_role(role)]
    urls = tuple(dict.fromkeys((*(f"{base}{MEASUREMENTS_ROUTE}" for pod in pods if (base := base_url(pod))), *asked)))
    if rollout is None or rollout.phase not in analysis_jobs.ANALYSED_PHASES:
        # Only to see whether the pods follow their routing tables.
        return Question(urls) if urls else None
    variables = {
        "candidate": rollout.version,
        "stable": state.stable_version,
        "service": service.name,
        "namespace": service.namespace,
    }
    queries = tuple(
        Query(metric.name, metric.prometheus.address, Template(metric.prometheus.query).safe_substitute(variables))
        for metric in service.spec.rollout.analysis.metrics
        if metric.prometheus is not None
    )
    return Question(urls, queries) if urls or queries else None


def plan(
    service: InferenceService, world: World, installation: Installation, now: datetime, answers: Answers = ()
) -> Plan:
    """Keep the stable version serving, and carry the rollout on by one step."""
    state = observe(service, world)
    if service.status.rollout is None or service.status.rollout.phase == "Promoting":
        # Only stable pods are asked then, or are the ones that load.
        state = replace(state, loading=loading_problem(answers))
    refused = unsupported.refusal(service) or routing.refusal(service, installation)
    selection = (
        Selection(None, Reason.UNSUPPORTED, refused[0].message, hopeless=True)
        if refused
        else select(service, state, now)
    )
    # An unsupported spec starts nothing new, as when suspended; a rollout in progress is finished.
    decision = decide(_suspended(service) if refused else service, state, selection, now, answers)
    pods = scale(service, state, decision, world)
    ensure: list[Manifest] = [serving.entry(service)] if not refused or state.stable is not None else []
    if decision.serve is not None:
        ensure.append(serving.deployment(service, decision.serve, "Stable", installation, pods.stable))
    if decision.try_out is not None:
        ensure.append(serving.trial_entry(service))
        ensure.append(serving.deployment(service, decision.try_out, "Candidate", installation, pods.candidate))
    ensure += pods.ensure
    ensure += analysis_jobs.to_start(service, state, decision.rollout, installation, now)
    in_force = routing.in_force(service, state, decision)
    ensure += routing.at_the_gateway(service, state, in_force) if not refused else ()
    marks = routing.tables(service, state, in_force, installation)
    retire = _retire_candidate(service, state, world) if decision.retire_candidate else ()
    routes = followed.compare(service, state, answers, now)
    status = report(service, state, selection, in_force, now, refused, pods.problem, routes.conditions)
    return Plan(
        status,
        ensure=tuple(ensure),
        marks=tuple(marks),
        retire=(
            *retire,
            *pods.retire,
            *routing.retired(service, world),
            *analysis_jobs.retired(service, state, decision.rollout),
        ),
        notices=(*unsupported.notices(service.status, refused), *decision.notices, *routes.notices),
        wake=min(
            (wake for wake in (decision.wake, selection.wake, routes.wake, _wake(state)) if wake is not None),
            default=None,
        ),
    )


def _loading(state: ServiceState, role: str) -> list[Manifest]:
    """Return the pods of a role whose process runs and is not ready."""
    return [pod for pod in state.of_role(role) if has_started(pod) and not is_ready(pod) and not is_being_deleted(pod)]


def _wake(state: ServiceState) -> float | None:
    """Return the seconds until pods that load are asked again: nothing else tells that the store is gone, or back."""
    return LOADING_SECONDS if _loading(state, "stable") else None


def _suspended(service: InferenceService) -> InferenceService:
    return service.model_copy(update={"spec": service.spec.model_copy(update={"suspend": True})})


def _retire_candidate(service: InferenceService, state: ServiceState, world: World) -> tuple[Retirement, ...]:
    retired = []
    if state.candidate is not None:
        key = Key("Deployment", service.namespace, names.candidate(service.name))
        retired.append(Retirement(key, state.candidate["metadata"]["uid"], "the rollout is over"))
    entry = world.get("Service", service.namespace, names.candidate(service.name))
    if entry is not None and is_ours(entry, service.metadata.uid):
        key = Key("Service", service.namespace, names.candidate(service.name))
        retired.append(Retirement(key, entry["metadata"]["uid"], "the rollout is over"))
    return tuple(retired)
