"""Notifications of a DriftMonitor: endpoints, events, and deliveries."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import LocalReference, Name, Rule, Timestamp, WireModel
from tidemill.api.dataset import Attempt

MonitorEvent = Literal[
    "Fired", "Recovered", "Blocked", "Retrained", "Failed", "Promoted", "RolledBack", "Rejected", "CircuitOpened"
]


class Webhook(WireModel):
    """HTTP endpoint that is called."""

    url: str = Field(pattern=r"^https?://[^\s@]+$", min_length=10, max_length=1024)
    """Full URL. Private and link-local addresses are refused unless the installation allows them; redirects are not
    followed."""
    secret_ref: LocalReference | None = None
    """Secret of this namespace: the key `hmac-key` signs the body in the header X-Tidemill-Signature-256, the key
    `token` is sent as the receiver expects it. It is mounted into the pod that calls; the operator never reads it."""
    format: Literal["CloudEvents", "Slack", "GitHub", "GitLab", "Jenkins", "CircleCI"] = "CloudEvents"
    """Format of the request: a structured CloudEvent, a Slack-compatible message, or a call that triggers a GitHub
    repository dispatch, a GitLab or CircleCI pipeline or a parametrized Jenkins job."""
    ref: str = Field(default="main", pattern=r"^[A-Za-z0-9._/-]+$", min_length=1, max_length=200)
    """For GitLab and CircleCI: branch or tag that the pipeline runs on."""
    parameters: dict[str, Annotated[str, Field(max_length=1024)]] = Field(default_factory=dict, max_length=16)
    """For GitHub, GitLab, Jenkins and CircleCI: values that are sent as payload, variables or parameters."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.ref) || self.ref == 'main' || (has(self.format) && self.format in ['GitLab', 'CircleCI'])",
            "ref is supported for the formats GitLab and CircleCI only; remove it",
            accepts={"url": "https://ci.example.com/hook", "format": "GitLab", "ref": "v1"},
            rejects={"url": "https://ci.example.com/hook", "format": "Slack", "ref": "v1"},
        ),
        Rule(
            "!has(self.parameters) || size(self.parameters) == 0"
            " || (has(self.format) && self.format in ['GitHub', 'GitLab', 'Jenkins', 'CircleCI'])",
            "parameters are supported for the formats GitHub, GitLab, Jenkins and CircleCI only; remove them",
            accepts={"url": "https://ci.example.com/hook", "format": "Jenkins", "parameters": {"stage": "nightly"}},
            rejects={"url": "https://ci.example.com/hook", "parameters": {"stage": "nightly"}},
        ),
    )


class Notification(WireModel):
    """A receiver and the events that are sent to it."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Name of the notification in status and in the names of its runs."""
    webhook: Webhook
    """HTTP endpoint that is called."""
    events: tuple[MonitorEvent, ...] = Field(default=("Fired", "Retrained", "Promoted", "RolledBack"), max_length=9)
    """Events that are sent."""


class Delivery(WireModel):
    """One notification that was, or is being, sent."""

    notification: str
    """Name of the entry in `spec.notify`."""
    event: MonitorEvent
    """Event that is reported."""
    at: Timestamp
    """Time of the event."""
    subject: str = Field(default="", max_length=256)
    """Window, TrainingJob or ModelVersion that the event is about."""
    text: str = Field(default="", max_length=1024)
    """Description of the event in one sentence."""
    report_uri: str = Field(default="", max_length=1024)
    """URI of the newest report at that time."""
    outcome: Literal["Pending", "Delivered", "Failed"] = "Pending"
    """Result of the delivery."""
    message: str = Field(default="", max_length=512)
    """Reason of a failed delivery."""
    attempts: int = Field(default=0, ge=0)
    """Number of runs that tried to deliver it."""
    attempt: Attempt | None = None
    """Newest run; empty when the delivery has ended."""
