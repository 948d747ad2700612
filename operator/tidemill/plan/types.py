"""What a visit decides: the one value that passes from the planners to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tidemill.api.conditions import Status
from tidemill.contract.reports import RunReport
from tidemill.contract.serving import Measurements
from tidemill.plan.world import Key, Manifest


@dataclass(frozen=True, slots=True)
class Mark:
    """Annotations and labels that the operator sets on an object it does not otherwise apply; None takes one away.

    Applied under a field manager of its own, so that it never disturbs other fields of the object.
    """

    key: Key
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """A Kubernetes Event about the planned resource; sent once for each change."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True)
class Retirement:
    """An object to delete, exactly as it was seen: its uid is a precondition."""

    key: Key
    uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall be: acted on in the order ensure, marks, status, retire.

    Nothing is deleted by being left out of `ensure`; `retire` is a word of its own.
    """

    status: Status
    ensure: tuple[Manifest, ...] = ()
    marks: tuple[Mark, ...] = ()
    retire: tuple[Retirement, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: float | None = None
    """Seconds after which to look again although nothing changed."""


@dataclass(frozen=True, slots=True)
class Query:
    """A number to ask a Prometheus server for."""

    metric: str
    """The metric of the analysis that wants to know."""
    address: str
    """Empty is the installation's own."""
    query: str


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A check run to ask of a warm worker; asked again under the same name, it is the same run."""

    run: str
    """Its name: that of the Job that would carry it out."""
    url: str
    order: str
    """As JSON, as it would stand in the Job's pod."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a planner needs to know: where to ask for it before planning."""

    urls: tuple[str, ...] = ()
    """Of measurements."""
    queries: tuple[Query, ...] = ()
    checks: tuple[CheckRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Queried:
    """What came of a query."""

    metric: str
    value: float | None = None
    problem: str = ""
    """Why there is no value."""


@dataclass(frozen=True, slots=True)
class CheckResponse:
    """What a warm worker says of a run."""

    run: str
    outcome: Literal["Reported", "Running", "Unheard", "Refused"]
    """Unheard may be otherwise in a moment; Refused will not."""
    report: RunReport | None = None
    """Where it is Reported."""
    message: str = ""
    """What the worker does where it is Unheard or Refused: `does not answer: TimeoutError`."""


Answers = tuple[Measurements | Queried | CheckResponse, ...]
