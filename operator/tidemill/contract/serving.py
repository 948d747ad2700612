"""What crosses the boundary of a serving pod: its order, the routing table, measurements, and the rows of its logs.

Apart from `contract`, which offers all of this too: a pod that starts needs these few types and none of the kinds.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, FiniteFloat

from tidemill.api.base import Digest, WireModel

ROUTES_PATH: Final = "/tidemill/order/routes.json"
STORE_PATH: Final = "/tidemill/store"
"""The namespace's store Secret as files: `uri`, `endpoint`, `region`, `access-key-id`, `secret-access-key`."""
SERVING_PORT: Final = 8080


class VersionOrder(WireModel):
    """A model version to load or to compare with."""

    name: str
    uri: str
    digest: Digest


class ServeOrder(WireModel):
    """Serve one version, as the stable one or as a candidate."""

    namespace: str
    service: str
    model: str
    role: Literal["Stable", "Candidate"]
    version: VersionOrder
    log_percent: int = 100
    retention_seconds: float = 0.0
    """How long the log and its labels are kept; 0 keeps them without limit."""
    redact: tuple[str, ...] = ()
    """Features whose values are left out of the log and of events."""
    events_url: str = ""
    """Where logged requests are sent as CloudEvents; empty for nowhere."""
    timeout_seconds: float = 5.0
    max_body_bytes: int = 10 * 1024 * 1024
    batch_rows: int = 64
    """Rows of waiting requests that are asked together at most; 1 for each by itself."""


class Routes(WireModel):
    """How a stable pod treats requests; the operator writes it as a pod annotation, the process watches the file."""

    weight: int = 0
    """Percent of requests that go to the candidate."""
    candidate: VersionOrder | None = None
    shadow: int = 0
    """Percent of answered requests of which the candidate is given a copy, off the hot path, to compare the two."""
    candidate_url: str = ""
    """Where the candidate answers, such as `http://fraud-candidate.ns.svc:8080`."""
    compare: bool = False
    """Whether rows the candidate answered are also asked of the stable version, off the hot path, to compare the two."""
    peers: tuple[str, ...] = ()
    """Base URLs of the service's other pods: a label whose request this pod does not know is handed to them."""


class Latencies(WireModel):
    """A histogram of seconds to answer."""

    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets, ascending; one more bucket has none."""
    counts: tuple[int, ...] = ()


class Arm(WireModel):
    """What one version did within a rollout, counted since the pod knows the pair of versions."""

    version: str
    digest: str
    requests: int = 0
    """Requests that went to it."""
    errors: int = 0
    """Requests of these that it failed: no answer, a late one, or a server error."""
    latencies: Latencies = Latencies()
    labelled: int = 0
    """Rows with a label, counted only where both versions answered the row."""
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict)
    """For classification: label → answer → rows."""
    absolute_error: FiniteFloat = 0.0
    squared_error: FiniteFloat = 0.0
    label_sum: FiniteFloat = 0.0
    label_square_sum: FiniteFloat = 0.0
    scores: dict[str, int] = Field(default_factory=dict)
    """Rows that both versions answered, by the bin of this version's score: for two classes tenths of the second one's
    probability, for more classes the class, for regression halves of the spread of the hold-out's target."""


class Measurements(WireModel):
    """What a stable pod knows of a rollout; it serves this at `/tidemill/v1/measurements`."""

    pod: str = ""
    stable: Arm | None = None
    candidate: Arm | None = None
    compared: int = 0
    """Rows that both versions answered."""
    routes: Routes | None = None
    """The routing table that this pod follows; None before it has read one, and in a candidate's pod."""
    routes_problem: str = ""
    """Why this pod cannot follow a newer table."""
    agreed: int = 0
    """Rows of these with the same answer (regression: within 1 % of the spread of the hold-out's target)."""
    waits_for: str = ""
    """Why the pod has not loaded its version, as a reason such as StoreUnreachable; empty once it has."""
    waits_message: str = ""
    """The same in one sentence."""


MEASUREMENTS_ROUTE: Final = "/tidemill/v1/measurements"
