"""What an InferenceService needs: a stable version that always answers, and a safe way for the next one to take over.

Which version is stable is read from the stable Deployment, so a lost status is rebuilt. The stable Deployment is given a
new version only when the candidate has been promoted; until the last of its old pods is gone these forward everything to
the candidate, which is already there. At no moment does a request depend on a pod that has not proven itself.
"""

from __future__ import annotations

from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.children import names, serving
from tidemill.children.installation import Installation
from tidemill.contract import MEASUREMENTS_ROUTE, SERVING_PORT, Routes
from tidemill.plan import unsupported
from tidemill.plan.inference.choice import Choice, choose
from tidemill.plan.inference.course import Course, decide
from tidemill.plan.inference.sight import Seen, base_url, candidate, is_ready, see
from tidemill.plan.inference.status import report
from tidemill.plan.plan import Answers, Mark, Plan, Question, Retirement
from tidemill.plan.reading import annotation, is_leaving, is_ours, label
from tidemill.plan.world import Key, Manifest, World


def questions(service: InferenceService, world: World) -> Question | None:
    """Where to ask how the candidate is doing; nothing where none is on trial."""
    if service.status.rollout is None or service.status.rollout.phase not in {"Progressing", "Paused"}:
        return None
    pods = see(service, world).of_role("stable")
    urls = tuple(f"{base}{MEASUREMENTS_ROUTE}" for pod in pods if (base := base_url(pod)))
    return Question(urls) if urls else None


def plan(
    service: InferenceService, world: World, installation: Installation, now: datetime, answers: Answers = ()
) -> Plan:
    """Keep the stable version answering, and carry the rollout on by one step."""
    seen = see(service, world)
    refused = unsupported.refusal(service)
    choice = Choice(None, Reason.UNSUPPORTED, refused[0].message, hopeless=True) if refused else choose(service, seen)
    # While something unsupported is asked for, nothing new begins, as when suspended; what is under way is brought to its end.
    course = decide(_suspended(service) if refused else service, seen, choice, now, answers)
    ensure: list[Manifest] = [serving.entry(service)] if not refused or seen.stable is not None else []
    if course.serve is not None:
        ensure.append(serving.deployment(service, course.serve, "Stable", installation, service.spec.replicas))
    if course.try_out is not None:
        ensure.append(serving.trial_entry(service))
        ensure.append(
            serving.deployment(service, course.try_out, "Candidate", installation, max(service.spec.replicas or 1, 1))
        )
    marks = list(_routes(service, seen, course, installation))
    if course.quarantine is not None and course.ended is not None:
        key = Key(ModelVersion.kind_name, service.namespace, course.ended.version)
        marks.append(Mark(key, {names.QUARANTINE: course.quarantine.model_dump_json(by_alias=True)}))
    retire = _retire_candidate(service, seen, world) if course.retire_candidate else ()
    status = report(service, seen, choice, course, now, refused)
    return Plan(
        status,
        ensure=tuple(ensure),
        marks=tuple(marks),
        retire=retire,
        notices=(*unsupported.notices(service.status, refused), *course.notices),
        wake=course.wake,
    )


def _suspended(service: InferenceService) -> InferenceService:
    return service.model_copy(update={"spec": service.spec.model_copy(update={"suspend": True})})


def _routes(service: InferenceService, seen: Seen, course: Course, installation: Installation) -> list[Mark]:
    """The routing table of each stable pod, where it differs from the one it has."""
    pods = [pod for pod in seen.of_role("stable") if not is_leaving(pod)]
    rollout = course.rollout
    version = seen.version(rollout.version) if rollout else None
    answering = candidate(seen, rollout.version).ready > 0 if rollout else False
    marks = []
    # A leaving pod still answers while it drains, and still has to know where.
    for pod in seen.of_role("stable"):
        peers = tuple(base for peer in pods if peer is not pod and is_ready(peer) and (base := base_url(peer)))
        routes = Routes(peers=peers)
        if rollout and version and answering and label(pod, names.MODEL_VERSION) != rollout.version:
            routes = Routes(
                weight=rollout.weight,
                candidate=serving.pin(version),
                candidate_url=f"http://{names.candidate(service.name)}.{service.namespace}.svc.{installation.cluster_domain}:{SERVING_PORT}",
                compare=any(
                    metric.type in {"Labelled", "PredictionAgreement"}
                    for metric in service.spec.rollout.analysis.metrics
                ),
                peers=peers,
            )
        text = routes.model_dump_json(by_alias=True, exclude_defaults=True)
        if annotation(pod, names.ROUTES) != text and (text != "{}" or annotation(pod, names.ROUTES)):
            marks.append(Mark(Key("Pod", service.namespace, pod["metadata"]["name"]), {names.ROUTES: text}))
    return marks


def _retire_candidate(service: InferenceService, seen: Seen, world: World) -> tuple[Retirement, ...]:
    retired = []
    if seen.candidate is not None:
        key = Key("Deployment", service.namespace, names.candidate(service.name))
        retired.append(Retirement(key, seen.candidate["metadata"]["uid"], "the rollout is over"))
    entry = world.get("Service", service.namespace, names.candidate(service.name))
    if entry is not None and is_ours(entry, service.metadata.uid):
        key = Key("Service", service.namespace, names.candidate(service.name))
        retired.append(Retirement(key, entry["metadata"]["uid"], "the rollout is over"))
    return tuple(retired)
