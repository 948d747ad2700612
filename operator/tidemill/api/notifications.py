"""Whom a DriftMonitor tells what happened."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import LocalReference, Moment, Name, Rule, WireModel
from tidemill.api.dataset import Attempt

MonitorEvent = Literal[
    "Fired", "Recovered", "Blocked", "Retrained", "Failed", "Promoted", "RolledBack", "Rejected", "CircuitOpened"
]


class Webhook(WireModel):
    """An address that is called when something happens."""

    url: str = Field(pattern=r"^https?://[^\s@]+$", min_length=10, max_length=1024)
    """The whole address. It may not lead to a private or link-local address unless the installation allows that; redirects are not followed."""
    secret_ref: LocalReference | None = None
    """A Secret of this namespace: `hmac-key` signs the body in X-Tidemill-Signature-256, `token` is sent as the receiver expects it. Mounted as files into the pod that calls, never read by the operator."""
    format: Literal["CloudEvents", "Slack", "GitHub", "GitLab", "Jenkins", "CircleCI"] = "CloudEvents"
    """What is sent: a structured CloudEvent; a Slack-compatible message; or what triggers a GitHub repository dispatch, a GitLab or CircleCI pipeline, a parametrised Jenkins job."""
    ref: str = Field(default="main", pattern=r"^[A-Za-z0-9._/-]+$", min_length=1, max_length=200)
    """For GitLab and CircleCI: the branch or tag that the pipeline runs on."""
    parameters: dict[str, Annotated[str, Field(max_length=1024)]] = Field(default_factory=dict, max_length=16)
    """For GitHub, GitLab, Jenkins and CircleCI: sent along as payload, variables or parameters."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.ref) || self.ref == 'main' || (has(self.format) && self.format in ['GitLab', 'CircleCI'])",
            "ref is of GitLab and CircleCI only",
            accepts={"url": "https://ci.example.com/hook", "format": "GitLab", "ref": "v1"},
            rejects={"url": "https://ci.example.com/hook", "format": "Slack", "ref": "v1"},
        ),
        Rule(
            "!has(self.parameters) || size(self.parameters) == 0"
            " || (has(self.format) && self.format in ['GitHub', 'GitLab', 'Jenkins', 'CircleCI'])",
            "parameters are of GitHub, GitLab, Jenkins and CircleCI only",
            accepts={"url": "https://ci.example.com/hook", "format": "Jenkins", "parameters": {"stage": "nightly"}},
            rejects={"url": "https://ci.example.com/hook", "parameters": {"stage": "nightly"}},
        ),
    )


class Notification(WireModel):
    """Someone who is told, and of what."""

    list_key: ClassVar[str] = "name"

    name: Name
    """For status and names of the runs that call."""
    webhook: Webhook
    """Where to call."""
    events: tuple[MonitorEvent, ...] = Field(default=("Fired", "Retrained", "Promoted", "RolledBack"), max_length=9)
    """What is worth a call."""


class Delivery(WireModel):
    """One call that was, or is being, made."""

    notification: str
    """The entry of spec.notify."""
    event: MonitorEvent
    """What happened."""
    at: Moment
    """When it happened."""
    subject: str = Field(default="", max_length=256)
    """The window, TrainingJob or ModelVersion it is about."""
    text: str = Field(default="", max_length=1024)
    """What happened, in a sentence."""
    report_uri: str = Field(default="", max_length=1024)
    """The report of the newest window at that time."""
    outcome: Literal["Pending", "Delivered", "Failed"] = "Pending"
    """Whether the receiver took it."""
    message: str = Field(default="", max_length=512)
    """Why it was not taken."""
    attempts: int = Field(default=0, ge=0)
    """Runs that tried."""
    attempt: Attempt | None = None
    """The newest of them, until it is over."""
