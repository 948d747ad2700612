"""Requests to webhooks, in the format of each receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tidemill.api.base import to_rfc3339
from tidemill.contract.orders import NotifyOrder, digest_of

SIGNATURE: str = "X-Tidemill-Signature-256"


@dataclass(frozen=True, slots=True)
class Message:
    """A request, but for where it goes."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def message(order: NotifyOrder, *, token: str = "", key: bytes = b"") -> Message:
    """The request for an order; `key` signs it, `token` goes where the receiver looks for it.

    The same order makes the same bytes, with an id that lets a receiver tell a repetition.
    """
    url, body, headers = _FORMATS[order.webhook.format](order, token)
    headers = {"user-agent": "tidemill", "x-tidemill-delivery": identity(order), **headers}
    if key:
        headers[SIGNATURE] = sign(key, body)
    return Message(url, body, headers)


def sign(key: bytes, body: bytes) -> str:
    """The signature that a receiver compares with, as GitHub and others write it.

    >>> sign(b"key", b"body")[:15]
    'sha256=515aae13'
    """
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def identity(order: NotifyOrder) -> str:
    """An id for what happened: the same for every try of the same call."""
    return digest_of(order)[:32]


def facts(order: NotifyOrder) -> dict[str, str]:
    """Return the event, for programs."""
    return {
        "namespace": order.namespace,
        "monitor": order.monitor,
        "service": order.service,
        "event": order.event,
        "subject": order.subject,
        "message": order.text,
        "reportUri": order.report_uri,
        "time": to_rfc3339(order.at),
    }


def _cloud_event(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    event = {
        "specversion": "1.0",
        "id": identity(order),
        "source": f"/apis/tidemill.dev/v1alpha1/namespaces/{order.namespace}/driftmonitors/{order.monitor}",
        "type": f"dev.tidemill.driftmonitor.{order.event.lower()}",
        "time": to_rfc3339(order.at),
        "subject": order.subject,
        "datacontenttype": "application/json",
        "data": facts(order),
    }
    return order.webhook.url, _json(event), {"content-type": "application/cloudevents+json", **_bearer(token)}


def _slack(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    headline = f"{order.event}: {order.namespace}/{order.monitor}"
    text = f"*{_escaped(headline)}*\n{_escaped(order.text)}"
    if order.report_uri:
        text += f"\nReport: {_escaped(order.report_uri)}"
    body = {
        "text": f"{headline}: {order.text}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    }
    return order.webhook.url, _json(body), {"content-type": "application/json", **_bearer(token)}


def _github(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    # GitHub takes at most ten properties, so the parameters stand below one.
    payload: dict[str, Any] = {**facts(order), "parameters": order.webhook.parameters}
    body = {"event_type": f"tidemill-{order.event.lower()}", "client_payload": payload}
    headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
    return order.webhook.url, _json(body), {"content-type": "application/json", **headers, **_bearer(token)}


def _gitlab(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    fields = {"ref": order.webhook.ref, **({"token": token} if token else {})}
    fields |= {f"variables[{name}]": value for name, value in _variables(order).items()}
    return order.webhook.url, urlencode(fields).encode(), {"content-type": "application/x-www-form-urlencoded"}


def _jenkins(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    parts = urlsplit(order.webhook.url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if token:
        query = [(name, value) for name, value in query if name != "token"] + [("token", token)]
    url = urlunsplit(parts._replace(query=urlencode(query)))
    return url, urlencode(_variables(order)).encode(), {"content-type": "application/x-www-form-urlencoded"}


def _circleci(order: NotifyOrder, token: str) -> tuple[str, bytes, dict[str, str]]:
    body = {
        "branch": order.webhook.ref,
        "parameters": {name.lower(): value for name, value in _variables(order).items()},
    }
    headers = {"circle-token": token} if token else {}
    return order.webhook.url, _json(body), {"content-type": "application/json", **headers}


_FORMATS = {
    "CloudEvents": _cloud_event,
    "Slack": _slack,
    "GitHub": _github,
    "GitLab": _gitlab,
    "Jenkins": _jenkins,
    "CircleCI": _circleci,
}


def _variables(order: NotifyOrder) -> dict[str, str]:
    """Facts and parameters as a pipeline's variables; a parameter of the same name wins."""
    values = facts(order)
    names = ("namespace", "monitor", "service", "event", "subject", "message", "reportUri")
    ours = {f"TIDEMILL_{'REPORT' if name == 'reportUri' else name.upper()}": values[name] for name in names}
    return {**ours, **order.webhook.parameters}


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _escaped(text: str) -> str:
    """Slack's three special characters: a model's name must not mention a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
