"""Reports: what a run answers, as JSON in the container's termination message, at most 4 KiB; everything bigger lies in the object store."""

from __future__ import annotations

import json
from typing import Final, Literal

from pydantic import Field

from tidemill.api.base import Digest, Parameter, WireModel
from tidemill.api.checks import Moved
from tidemill.api.conditions import Reason
from tidemill.api.dataset import SourceParent
from tidemill.api.methods import CheckVerdict
from tidemill.api.modelversion import Measured

REPORT_PATH: Final = "/dev/termination-log"


REPORT_LIMIT: Final = 4096


class Ingested(WireModel):
    """What an ingest run published."""

    digest: Digest
    uri: str
    rows: int
    bytes: int
    columns: int
    features: int
    target: str = ""
    source_revision: str = ""
    parents: tuple[SourceParent, ...] = ()
    profile_uri: str = ""
    report_uri: str = ""


class Searched(WireModel):
    """What a search for parameters came to."""

    metric: str
    """The objective."""
    trial: int
    """The best one, counted from 1."""
    score: float
    """The metric's mean over the folds in that trial."""
    parameters: dict[str, Parameter]
    """What the search chose; the others are as ordered."""
    completed: int
    failed: int = 0
    pruned: int = 0
    """Given up before their end, because time was up."""


class Trained(WireModel):
    """What a training run published."""

    uri: str
    digest: Digest
    format: Literal["Skops", "ONNX"] = "Skops"
    compiled: bool = False
    """Whether an ONNX form with the same predictions lies next to it."""
    learned: Literal["Classification", "Regression"] = "Classification"
    evaluation: tuple[Measured, ...] = ()
    rows: int = 0
    """Rows of the training data."""
    served_rows: int = 0
    """How many of these came from the service's log."""
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    """With which parameters; left out where the report would be too long, since what was ordered and `search` say the same."""
    search: Searched | None = None
    """None where nothing was searched for."""
    report_uri: str = ""


class CheckOutcome(WireModel):
    """What one check found."""

    name: str
    type: str
    verdict: CheckVerdict
    value: float | None = None
    threshold: float | None = None
    lower: float | None = None
    """Ends of the interval around the value, where the check has one."""
    upper: float | None = None
    worst: tuple[Moved, ...] = ()
    message: str = ""


class Checked(WireModel):
    """What a check run found."""

    samples: int
    verdict: CheckVerdict
    labelled: int | None = None
    """None if it was not requested."""
    unknown_labels: int | None = None
    """Labels of these rows that are not classes of the model; None for a regression, and where no labels were read."""
    checks: tuple[CheckOutcome, ...] = ()
    report_uri: str = ""


class Notified(WireModel):
    """What a receiver answered."""

    code: int
    tries: int


class Failure(WireModel):
    """Why a run failed, and the remedy."""

    reason: Reason
    message: str
    retryable: bool = False
    """Whether the same order may succeed later, because the cause lies outside it."""


class RunReport(WireModel):
    """What a run answers: exactly one of the fields but `warnings` is set."""

    ingested: Ingested | None = None
    trained: Trained | None = None
    checked: Checked | None = None
    notified: Notified | None = None
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()

    def to_message(self, limit: int = REPORT_LIMIT) -> str:
        """This report as a termination message of at most `limit` bytes: warnings go first, then long texts are cut."""
        report = self
        while len(text := json.dumps(report.to_wire(), separators=(",", ":"), ensure_ascii=True)) > limit:
            if report.warnings:
                report = report.model_copy(update={"warnings": report.warnings[:-1]})
            elif report.failure and len(report.failure.message) > 200:
                shorter = report.failure.model_copy(
                    update={"message": report.failure.message[: len(report.failure.message) // 2] + "…"}
                )
                report = report.model_copy(update={"failure": shorter})
            elif report.checked and any(outcome.worst or outcome.message for outcome in report.checked.checks):
                checks = tuple(
                    outcome.model_copy(
                        update={
                            "worst": outcome.worst[: len(outcome.worst) // 2],
                            "message": outcome.message[: len(outcome.message) // 2],
                        }
                    )
                    for outcome in report.checked.checks
                )
                report = report.model_copy(update={"checked": report.checked.model_copy(update={"checks": checks})})
            elif report.trained and report.trained.parameters:
                report = report.model_copy(update={"trained": report.trained.model_copy(update={"parameters": {}})})
            else:
                raise ValueError(f"a report of {len(text)} bytes cannot be cut to {limit}")
        return text
