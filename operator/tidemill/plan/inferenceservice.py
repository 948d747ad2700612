"""What an InferenceService needs: a stable version that always answers, and a safe way for the next one to take over.

Which version is stable is read from the stable Deployment, so a lost status is rebuilt. The stable Deployment is given a
new version only when the candidate has been promoted; until the last of its old pods is gone these forward everything to
the candidate, which is already there. At no moment does a request depend on a pod that has not proven itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason, Said, false, settle, true, unknown
from tidemill.api.inferenceservice import InferenceServiceStatus, Outcome, RolloutStatus, Serving
from tidemill.api.modelversion import Quarantine
from tidemill.children import names, serving
from tidemill.children.installation import Installation
from tidemill.contract import MEASUREMENTS_ROUTE, SERVING_PORT, Routes
from tidemill.plan import rollout as rollouts
from tidemill.plan.analysis import add_up
from tidemill.plan.modelversion import quarantine_of
from tidemill.plan.plan import Answers, Mark, Notice, Plan, Question, Retirement
from tidemill.plan.reading import annotation, dig, every, find, is_leaving, is_ours, label
from tidemill.plan.world import Key, Manifest, World

ROUTES_SETTLE = 4.0
"""Seconds until every pod has read a new routing table; a rejected candidate is kept that long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there for one service."""

    stable: Manifest | None
    candidate: Manifest | None
    pods: tuple[Manifest, ...]
    versions: tuple[ModelVersion, ...]

    @property
    def stable_version(self) -> str:
        return label(self.stable, names.MODEL_VERSION) if self.stable else ""

    @property
    def candidate_version(self) -> str:
        return label(self.candidate, names.MODEL_VERSION) if self.candidate else ""

    def version(self, name: str) -> ModelVersion | None:
        return next((version for version in self.versions if version.name == name), None)

    def of_role(self, role: str) -> list[Manifest]:
        return [pod for pod in self.pods if label(pod, names.ROLE) == role]


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that should be served, or why there is none."""

    version: ModelVersion | None
    reason: Reason = Reason.NO_VERSION
    message: str = ""
    hopeless: bool = False
    """Whether waiting cannot help."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is decided about versions in this visit."""

    serve: ModelVersion | None
    """What the stable Deployment shall answer with; None leaves it as it is."""
    try_out: ModelVersion | None = None
    """What the candidate Deployment shall answer with."""
    rollout: RolloutStatus | None = None
    ended: Outcome | None = None
    quarantine: Quarantine | None = None
    retire_candidate: bool = False
    wake: float | None = None
    notices: tuple[Notice, ...] = ()


def questions(service: InferenceService, world: World) -> Question | None:
    """Where to ask how the candidate is doing; nothing where none is on trial."""
    if service.status.rollout is None or service.status.rollout.phase not in {"Progressing", "Paused"}:
        return None
    pods = see(service, world).of_role("stable")
    urls = tuple(f"{base}{MEASUREMENTS_ROUTE}" for pod in pods if (base := _base_url(pod)))
    return Question(urls) if urls else None


def plan(
    service: InferenceService, world: World, installation: Installation, now: datetime, answers: Answers = ()
) -> Plan:
    """Keep the stable version answering, and carry the rollout on by one step."""
    seen = see(service, world)
    choice = choose(service, seen)
    course = _course(service, seen, choice, now, answers)
    ensure: list[Manifest] = [serving.entry(service)]
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
    status = _status(service, seen, choice, course, now)
    return Plan(
        status,
        ensure=tuple(ensure),
        marks=tuple(marks),
        retire=retire,
        notices=course.notices,
        wake=course.wake,
    )


def see(service: InferenceService, world: World) -> Seen:
    """Gather what is there for the service."""

    def ours(name: str) -> Manifest | None:
        found = world.get("Deployment", service.namespace, name)
        return found if found is not None and is_ours(found, service.metadata.uid) and not is_leaving(found) else None

    named = world.referring(ModelVersion.kind_name, service.namespace, ("spec", "modelName"), service.spec.model.name)
    return Seen(
        stable=ours(names.stable(service.name)),
        candidate=ours(names.candidate(service.name)),
        pods=tuple(world.labelled("Pod", service.namespace, names.OWNER_UID, service.metadata.uid)),
        versions=tuple(every(ModelVersion, world, named)),
    )


def choose(service: InferenceService, seen: Seen) -> Choice:
    """The pinned version, or the newest that may be served and was not rejected here before."""
    rejected = {outcome.version for outcome in service.status.history if outcome.outcome == "RolledBack"}
    pinned = service.spec.model.version
    if pinned is not None:
        version = seen.version(pinned)
        if version is None:
            message = f"there is no ModelVersion {pinned!r} of model {service.spec.model.name!r}"
            return Choice(None, Reason.DEPENDENCY_NOT_READY, message)
        if version.name == seen.stable_version or (_may_be_served(version) and version.name not in rejected):
            return Choice(version)
        ready = version.status.condition("Ready")
        message = f"the pinned version {pinned!r} may not be served: " + (
            f"{ready.reason}: {ready.message}" if ready else "it was not judged yet"
        )
        return Choice(
            None,
            Reason.DEPENDENCY_NOT_READY,
            message,
            hopeless=version.status.is_true("Stalled") or version.name in rejected,
        )
    able = [
        version
        for version in seen.versions
        if _may_be_served(version) and not version.spec.suspend and version.name not in rejected
    ]
    if not able:
        known = len(seen.versions)
        message = (
            f"model {service.spec.model.name!r} has {known} versions and none that may be served"
            if known
            else (
                f"model {service.spec.model.name!r} has no version yet; a TrainingJob with spec.modelName {service.spec.model.name!r} makes one"
            )
        )
        return Choice(None, Reason.NO_VERSION, message)
    return Choice(max(able, key=lambda version: (version.metadata.creation_timestamp or datetime.min, version.name)))


def _may_be_served(version: ModelVersion) -> bool:
    return (
        version.status.is_true("Ready")
        and quarantine_of(version) is None
        and version.metadata.deletion_timestamp is None
    )


def _course(service: InferenceService, seen: Seen, choice: Choice, now: datetime, answers: Answers) -> Course:
    current = seen.version(seen.stable_version)
    rollout = service.status.rollout
    if seen.stable is None:
        started = choice.version is not None
        notices = (
            (Notice("StableChosen", f"{choice.version.name} answers"),)
            if choice.version and service.status.stable is None
            else ()
        )
        return Course(choice.version, notices=notices, retire_candidate=started and seen.candidate is not None)
    if rollout is None and seen.candidate is not None and seen.candidate_version == seen.stable_version:
        # The status was lost in the middle of a promotion: the Deployments know.
        rollout = rollouts.begin(seen.stable_version, now).model_copy(update={"phase": "Promoting", "weight": 100})
    if rollout is not None and rollout.phase == "RollingBack":
        held = (now - rollout.step_started_at).total_seconds()
        if held < ROUTES_SETTLE:
            return Course(current, rollout=rollout, wake=ROUTES_SETTLE - held)
        return Course(current, retire_candidate=True)
    if rollout is not None and rollout.phase == "Promoting":
        return _promoting(service, seen, rollout, now)
    wanted = choice.version
    if service.spec.suspend:
        return Course(current, rollout=rollout)
    if wanted is None or wanted.name == seen.stable_version:
        if rollout is None:
            return Course(current, retire_candidate=seen.candidate is not None)
        return _withdraw(current, rollout, seen, now, "the candidate is no longer wanted")
    if rollout is not None and rollout.version != wanted.name:
        ended = _outcome(rollout, seen, "Superseded", "Superseded", f"{wanted.name} is newer", now)
        return Course(current, try_out=wanted, rollout=rollouts.begin(wanted.name, now), ended=ended, wake=1.0)
    if rollout is None:
        notice = Notice("RolloutStarted", f"{wanted.name} is to follow {seen.stable_version}")
        if service.spec.rollout.strategy == "Recreate":
            rollout = rollouts.begin(wanted.name, now).model_copy(
                update={"phase": "Promoting", "weight": 0, "message": "pods are being replaced"}
            )
            return Course(wanted, rollout=rollout, notices=(notice,))
        return Course(current, try_out=wanted, rollout=rollouts.begin(wanted.name, now), notices=(notice,), wake=5.0)
    return _turn(service, seen, current, wanted, rollout, now, answers)


def _turn(
    service: InferenceService,
    seen: Seen,
    current: ModelVersion | None,
    wanted: ModelVersion,
    rollout: RolloutStatus,
    now: datetime,
    answers: Answers,
) -> Course:
    pair = add_up(answers, wanted.spec.artifact.digest)
    turn = rollouts.advance(service.spec.rollout, rollout, _candidate(seen, wanted.name), pair, now)
    match turn.verdict:
        case "Promote":
            promoting = turn.status.model_copy(
                update={
                    "phase": "Promoting",
                    "weight": 100,
                    "step_started_at": now.replace(microsecond=0),
                    "message": "the stable pods are being replaced",
                }
            )
            # Its share goes to 100 % first, on pods that are known to work; the stable pods follow when that is in place.
            notice = Notice("Promoting", f"{wanted.name} passed its analysis")
            return Course(current, try_out=wanted, rollout=promoting, notices=(notice,), wake=ROUTES_SETTLE)
        case "RollBack":
            moment = now.replace(microsecond=0)
            status = turn.status.model_copy(
                update={"phase": "RollingBack", "weight": 0, "step_started_at": moment, "message": turn.message[:1000]}
            )
            ended = _outcome(rollout, seen, "RolledBack", turn.reason, turn.message, now)
            quarantine = Quarantine(reason=turn.reason, message=turn.message[:1000], since=moment)
            notice = Notice("RolledBack", f"{wanted.name}: {turn.message}"[:1000], "Warning")
            return Course(
                current, rollout=status, ended=ended, quarantine=quarantine, notices=(notice,), wake=ROUTES_SETTLE
            )
    notices: tuple[Notice, ...] = ()
    if turn.status.weight != rollout.weight:
        notices = (Notice("StepEntered", f"{wanted.name} answers {turn.status.weight} % of requests"),)
    return Course(current, try_out=wanted, rollout=turn.status, notices=notices, wake=turn.wake)


def _promoting(service: InferenceService, seen: Seen, rollout: RolloutStatus, now: datetime) -> Course:
    """The stable Deployment takes the promoted version over, while the candidate goes on answering."""
    version = seen.version(rollout.version)
    held = (now - rollout.step_started_at).total_seconds()
    if held < ROUTES_SETTLE and seen.stable_version != rollout.version and seen.candidate is not None:
        return Course(seen.version(seen.stable_version), try_out=version, rollout=rollout, wake=ROUTES_SETTLE - held)
    keep = version if seen.candidate is not None else None
    if seen.stable_version != rollout.version or not _rolled_out(seen, rollout.version):
        return Course(version, try_out=keep, rollout=rollout)
    ended = _outcome(rollout, seen, "Promoted", Reason.PROMOTED, "every stable pod answers with it", now)
    notice = Notice("Promoted", f"{rollout.version} answers every request")
    return Course(version, ended=ended, retire_candidate=seen.candidate is not None, notices=(notice,))


def _withdraw(current: ModelVersion | None, rollout: RolloutStatus, seen: Seen, now: datetime, message: str) -> Course:
    moment = now.replace(microsecond=0)
    status = rollout.model_copy(
        update={"phase": "RollingBack", "weight": 0, "step_started_at": moment, "message": message}
    )
    return Course(
        current,
        rollout=status,
        ended=_outcome(rollout, seen, "Superseded", "Withdrawn", message, now),
        wake=ROUTES_SETTLE,
    )


def _outcome(rollout: RolloutStatus, seen: Seen, outcome: str, reason: str, message: str, now: datetime) -> Outcome:
    version = seen.version(rollout.version)
    return Outcome.model_validate(
        {
            "version": rollout.version,
            "digest": version.spec.artifact.digest if version else "",
            "outcome": outcome,
            "reason": str(reason),
            "message": message[:1000],
            "started_at": rollout.started_at,
            "at": now.replace(microsecond=0),
        }
    )


def _candidate(seen: Seen, version: str) -> rollouts.Candidate:
    """What the candidate's pods look like; only those of this version count."""
    ready = restarts = 0
    trouble = ""
    for pod in seen.of_role("candidate"):
        if label(pod, names.MODEL_VERSION) != version or is_leaving(pod):
            continue
        ready += _is_ready(pod)
        for container in dig(pod, "status", "containerStatuses") or ():
            restarts += int(container.get("restartCount") or 0)
            waiting = dig(container, "state", "waiting") or {}
            ended = dig(container, "lastState", "terminated") or dig(container, "state", "terminated") or {}
            if ended:
                trouble = f"{ended.get('reason', 'Error')} (exit code {ended.get('exitCode')}) {ended.get('message') or ''}".strip()
            elif waiting.get("message"):
                trouble = f"{waiting.get('reason')}: {waiting['message']}"
    return rollouts.Candidate(ready=ready, restarts=restarts, trouble=trouble[:500])


def _is_ready(pod: Manifest) -> bool:
    conditions = dig(pod, "status", "conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _rolled_out(seen: Seen, version: str) -> bool:
    """Whether the stable Deployment has only ready pods of `version`, and no other stable pod is left that takes requests."""
    deployment = seen.stable
    if deployment is None:
        return False
    wanted = dig(deployment, "spec", "replicas")
    status = deployment.get("status") or {}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(count) or 0 for count in ("updatedReplicas", "replicas", "availableReplicas")]
    others = [pod for pod in seen.of_role("stable") if label(pod, names.MODEL_VERSION) != version]
    return current and all(count == wanted for count in counts) and not others


def _routes(service: InferenceService, seen: Seen, course: Course, installation: Installation) -> list[Mark]:
    """The routing table of each stable pod, where it differs from the one it has."""
    pods = [pod for pod in seen.of_role("stable") if not is_leaving(pod)]
    rollout = course.rollout
    version = seen.version(rollout.version) if rollout else None
    answering = _candidate(seen, rollout.version).ready > 0 if rollout else False
    marks = []
    # A leaving pod still answers while it drains, and still has to know where.
    for pod in seen.of_role("stable"):
        peers = tuple(base for peer in pods if peer is not pod and _is_ready(peer) and (base := _base_url(peer)))
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


def _base_url(pod: Manifest) -> str:
    address = dig(pod, "status", "podIP")
    if not address:
        return ""
    return f"http://[{address}]:{SERVING_PORT}" if ":" in address else f"http://{address}:{SERVING_PORT}"


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


def _status(
    service: InferenceService, seen: Seen, choice: Choice, course: Course, now: datetime
) -> InferenceServiceStatus:
    weight = course.rollout.weight if course.rollout else 0
    stable = _serving(seen, seen.stable, 100 - weight)
    candidate = _serving(seen, seen.candidate, weight) if course.rollout and not course.retire_candidate else None
    history = (course.ended, *service.status.history)[:20] if course.ended else service.status.history
    generation = service.metadata.generation
    said = _said(service, seen, choice, course, stable, history)
    return InferenceServiceStatus(
        observed_generation=generation,
        conditions=settle(service.status.conditions, said, generation=generation, now=now),
        url=f"http://{names.service(service.name)}.{service.namespace}.svc",
        stable=stable,
        candidate=candidate,
        rollout=course.rollout,
        history=history,
        replicas=stable.replicas if stable else 0,
        selector=",".join(f"{name}={value}" for name, value in serving.selector(service, "Stable").items()),
    )


def _serving(seen: Seen, deployment: Manifest | None, weight: int) -> Serving | None:
    if deployment is None:
        return None
    name = label(deployment, names.MODEL_VERSION)
    version = seen.version(name)
    status: dict[str, Any] = deployment.get("status") or {}
    return Serving(
        version=name,
        digest=version.spec.artifact.digest if version else "",
        replicas=dig(deployment, "spec", "replicas") or 0,
        ready=status.get("readyReplicas") or 0,
        weight=weight,
    )


def _said(
    service: InferenceService,
    seen: Seen,
    choice: Choice,
    course: Course,
    stable: Serving | None,
    history: tuple[Outcome, ...],
) -> list[Said]:
    if stable is None:
        said = [unknown("Ready", Reason.RECONCILING, "pods are being started")]
        if choice.version is None:
            said = [false("Ready", choice.reason, choice.message)]
            said.append(
                true("Stalled", choice.reason, choice.message)
                if choice.hopeless
                else true("Reconciling", choice.reason, choice.message)
            )
        else:
            said.append(true("Reconciling", Reason.PROGRESSING, "pods are being started"))
        return said
    enough = stable.ready >= stable.replicas
    said = []
    if enough:
        said.append(true("Ready", Reason.REPLICAS_READY, f"{stable.version} answers with {stable.ready} pods"))
        said.append(true("StableReady", Reason.REPLICAS_READY))
    else:
        trouble = _trouble(seen) or f"{stable.ready} of {stable.replicas} pods are ready"
        said.append(false("Ready", Reason.REPLICAS_NOT_READY, trouble))
        said.append(false("StableReady", Reason.REPLICAS_NOT_READY, trouble))
    rollout = course.rollout
    if rollout is not None:
        message = f"{rollout.version}: {rollout.message}"
        said.append(
            false("RolloutComplete", Reason.PAUSED if rollout.phase == "Paused" else Reason.ROLLING_OUT, message)
        )
        said.append(true("Reconciling", Reason.ROLLING_OUT, message))
    else:
        said.append(true("RolloutComplete", Reason.ROLLOUT_COMPLETE, f"{stable.version} answers every request"))
        if not enough:
            said.append(true("Reconciling", Reason.REPLICAS_NOT_READY))
    if service.spec.suspend:
        said.append(true("Suspended", Reason.SUSPENDED, "spec.suspend is set: no new version is taken in"))
    if choice.version is None and rollout is None:
        said.append(true("VersionUnavailable", choice.reason, choice.message))
    if history and history[0].outcome == "RolledBack":
        said.append(true("RolledBack", Reason.ROLLED_BACK, f"{history[0].version}: {history[0].message}"))
    return said


def _trouble(seen: Seen) -> str:
    """What stable pods complain of."""
    for pod in seen.of_role("stable"):
        for container in dig(pod, "status", "containerStatuses") or ():
            waiting = dig(container, "state", "waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""


__all__ = ["choose", "find", "plan", "questions", "see"]
