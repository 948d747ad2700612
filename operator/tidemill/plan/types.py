"""The plan of a visit, which passes from the planners to the engine, and the questions before it."""

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
    """Annotations to set on an object that the operator does not otherwise apply; None removes one.

    Applied under a separate field manager, so that other fields of the object stay untouched.
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
    """An object to delete; its uid is a precondition."""

    key: Key
    uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions of a visit, carried out in the order ensure, marks, status, retire.

    An object that is left out of `ensure` is not deleted; only `retire` deletes.
    """

    status: Status
    ensure: tuple[Manifest, ...] = ()
    marks: tuple[Mark, ...] = ()
    retire: tuple[Retirement, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: float | None = None
    """Seconds until the next visit, if nothing changes before."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query for a Prometheus server."""

    metric: str
    """The metric of the analysis."""
    address: str
    """URL of the server; empty for the installation's own."""
    query: str


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A check run for a warm worker; a second request under the same name is the same run."""

    run: str
    """The run's name, which is that of the equivalent Job."""
    url: str
    order: str
    """The order as JSON, as in the annotation of the Job's pod."""


@dataclass(frozen=True, slots=True)
class EventsQuery:
    """A request for the Events about one object."""

    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class Question:
    """The questions to ask before planning."""

    urls: tuple[str, ...] = ()
    """Where to get the measurements of serving pods."""
    queries: tuple[Query, ...] = ()
    checks: tuple[CheckRequest, ...] = ()
    events: tuple[EventsQuery, ...] = ()


@dataclass(frozen=True, slots=True)
class Queried:
    """The answer to a query."""

    metric: str
    value: float | None = None
    problem: str = ""
    """Why there is no value."""


@dataclass(frozen=True, slots=True)
class CheckResponse:
    """The answer of a warm worker about a run."""

    run: str
    outcome: Literal["Reported", "Running", "Unheard", "Refused"]
    """Unheard is worth a retry; Refused is final."""
    report: RunReport | None = None
    """The report, if the outcome is Reported."""
    message: str = ""
    """The predicate of the message if the worker is Unheard or Refused, such as `does not answer: TimeoutError`."""


@dataclass(frozen=True, slots=True)
class ObservedEvents:
    """The Events about one object, the newest first; empty if there are none."""

    uid: str
    events: tuple[Manifest, ...]


Answers = tuple[Measurements | Queried | CheckResponse | ObservedEvents, ...]
