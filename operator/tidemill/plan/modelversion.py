"""Plan a ModelVersion: it may be served once it is verified, has passed its gates, is approved, and is not quarantined."""

from __future__ import annotations

from datetime import UTC, datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.modelversion import Approver, GateResult, ModelVersionStatus, Quarantine, ServedBy
from tidemill.children import names
from tidemill.children.installation import Installation
from tidemill.contract.numbers import quantity
from tidemill.plan import gates, unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.lookup import all_of
from tidemill.plan.quarantine import how_to_lift, is_rollout_mark, quarantine_of
from tidemill.plan.types import Mark, Notice, Plan
from tidemill.plan.world import Key, World

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""Stands for a creation time that is not known."""
MAX_SERVED_BY = 32
"""How many services the status of a version names."""


def plan(version: ModelVersion, world: World, installation: Installation, now: datetime) -> Plan:
    """Judge the version by its evaluation, its approvals, and a quarantine by a person."""
    results = gates.judge(version.spec.gates, version.spec.evaluation)
    served_by = _served_by(version, world)
    quarantine = _quarantine(version, now)
    conditions = unsupported.with_refusal(unsupported.refusal(version), _conditions(version, results, quarantine))
    stable = next((served.role for served in served_by if served.role == "Stable"), "")
    status = ModelVersionStatus(
        version=_number(version, world),
        score=gates.score(version.spec.evaluation, gates.metric_order(version)),
        gates=results,
        approved_by=_approved_by(version, now),
        served_by=served_by[:MAX_SERVED_BY],
        role=stable or (served_by[0].role if served_by else ""),
        quarantine=quarantine,
    )
    status = with_conditions(version, status, conditions, now)
    notices: tuple[Notice, ...] = ()
    before, after = version.status.condition("Ready"), status.condition("Ready")
    if after and (before is None or (before.status, before.reason) != (after.status, after.reason)):
        notices = (Notice(after.reason, after.message, "Normal" if after.status == "True" else "Warning"),)
    if not is_rollout_mark(version.metadata.annotations.get(names.QUARANTINE, "")):
        return Plan(status, notices=notices)
    # Earlier releases let the rollout of one service reject a version for all. That service keeps its verdict in its history.
    lifted = Notice(
        Reason.QUARANTINE_LIFTED,
        "the quarantine by a rollout of an earlier release is lifted; the service that rejected the version still does not "
        "roll it out, and others may",
    )
    key = Key(version.kind, version.namespace, version.name)
    return Plan(status, marks=(Mark(key, {names.QUARANTINE: None}),), notices=(lifted, *notices))


def _quarantine(version: ModelVersion, now: datetime) -> Quarantine | None:
    """Return the quarantine by a person; the time when it was first seen stays."""
    quarantined, known = quarantine_of(version), version.status.quarantine
    if quarantined is None:
        return None
    user, message = quarantined.user[:256], quarantined.message[:1000]
    since = known.since if known and (known.user, known.message) == (user, message) else now.replace(microsecond=0)
    return Quarantine(user=user, message=message, since=since)


def _number(version: ModelVersion, world: World) -> int:
    """Return the version's number: one more than those created before it; it never changes once given."""
    if version.status.version is not None:
        return version.status.version
    named = world.referring(ModelVersion.kind_name, version.namespace, ("spec", "modelName"), version.spec.model_name)
    others = [other for other in all_of(ModelVersion, world, named) if other.name != version.name]
    number = 0
    for other in sorted(others, key=_created):
        if _created(other) < _created(version):
            number = max(number + 1, other.status.version or 0)
    number += 1
    taken = {other.status.version for other in others if other.status.version is not None}
    return max(taken) + 1 if number in taken else number


def _created(version: ModelVersion) -> tuple[str, str]:
    timestamp = version.metadata.creation_timestamp
    return (timestamp.isoformat() if timestamp else "", version.name)


def _approved_by(version: ModelVersion, now: datetime) -> tuple[Approver, ...]:
    """Return who approved and when; a recorded time stays."""
    known = {approver.user: approver.time for approver in version.status.approved_by}
    return tuple(Approver(user=user, time=known.get(user, now.replace(microsecond=0))) for user in _approvers(version))


def _approvers(version: ModelVersion) -> tuple[str, ...]:
    """Return the users who approved, without the user who started the version where duties are separated."""
    approval = version.spec.approval
    if approval.policy == "Automatic":
        return ("automatic",)
    starter = version.spec.lineage.started_by if approval.separation_of_duties else None
    agreed = (decision.user for decision in approval.decisions if decision.verdict == "Approved")
    return tuple(dict.fromkeys(user for user in agreed if user != starter))


def _conditions(
    version: ModelVersion, results: tuple[GateResult, ...], quarantine: Quarantine | None
) -> list[PendingCondition]:
    approval = version.spec.approval
    approvers = _approvers(version)
    rejections = [decision for decision in approval.decisions if decision.verdict == "Rejected"]
    conditions: list[PendingCondition] = []
    if version.spec.lineage.training_job:
        conditions.append(
            true(
                "ArtifactVerified",
                Reason.VERIFIED,
                f"TrainingJob {version.spec.lineage.training_job} wrote the artifact and loaded it again",
            )
        )
    else:
        conditions.append(
            unknown(
                "ArtifactVerified",
                "VerifiedOnLoad",
                "each serving pod verifies the digest before it loads the artifact",
            )
        )
    failed = [result for result in results if result.verdict == "Failed"]
    if not failed:
        conditions.append(
            true(
                "GatesPassed",
                Reason.GATES_PASSED,
                _gates_message(results),
            )
        )
    else:
        missed = "; ".join(f"{result.name}: {result.message}" for result in failed)
        conditions.append(false("GatesPassed", Reason.GATE_FAILED, f"{missed[:1700]}; {_gate_remedy(version)}"))
    if rejections:
        conditions.append(
            false("Approved", Reason.REJECTED, f"rejected by {rejections[0].user}: {rejections[0].comment}")
        )
    elif approval.policy == "Automatic" or len(approvers) >= approval.required_approvals:
        conditions.append(true("Approved", Reason.APPROVED, _approval_message(version)))
    else:
        message = f"{len(approvers)} of {quantity(approval.required_approvals, 'approval')}; add a decision to spec.approval.decisions"
        conditions.append(false("Approved", Reason.AWAITING_APPROVAL, message))
    if quarantine:
        message = f"{quarantine_of(version)}; {how_to_lift(version)}"
        return [false("Ready", Reason.QUARANTINED, message), true("Stalled", Reason.QUARANTINED, message), *conditions]
    unmet = next((statement for statement in conditions if statement.status == "False"), None)
    if unmet is None:
        return [true("Ready", Reason.APPROVED, "the version may be served"), *conditions]
    ready = false("Ready", unmet.reason, unmet.message)
    if unmet.reason == Reason.AWAITING_APPROVAL:
        return [ready, *conditions]
    return [ready, true("Stalled", unmet.reason, unmet.message), *conditions]


def _approval_message(version: ModelVersion) -> str:
    if version.spec.approval.policy == "Automatic":
        return "approved automatically by spec.approval.policy"
    return f"approved by {', '.join(_approvers(version))}"


def _gate_remedy(version: ModelVersion) -> str:
    """Return what to do about gates that a version did not pass; its own gates cannot be changed."""
    if version.spec.lineage.training_job:
        # The TrainingJob of a retraining is made from a template, and is not there to be changed.
        return (
            "train a better version, or change spec.version.gates of the TrainingJob (of its template for a retraining)"
        )
    return "create a ModelVersion of a better model, or with other gates"


def _gates_message(results: tuple[GateResult, ...]) -> str:
    if not results:
        return "the version has no gates"
    passed = sum(result.verdict == "Passed" for result in results)
    left = len(results) - passed
    return f"{passed} of {quantity(len(results), 'gate')} passed" + (f", {left} not judged" if left else "")


def _served_by(version: ModelVersion, world: World) -> tuple[ServedBy, ...]:
    served = []
    named = world.referring(
        InferenceService.kind_name, version.namespace, ("spec", "model", "name"), version.spec.model_name
    )
    for service in all_of(InferenceService, world, named):
        if service.status.stable and service.status.stable.version == version.name:
            served.append(ServedBy(inference_service=service.name, role="Stable"))
        elif service.status.candidate and service.status.candidate.version == version.name:
            served.append(ServedBy(inference_service=service.name, role="Candidate"))
    return tuple(served)
