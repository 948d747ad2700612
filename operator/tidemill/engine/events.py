"""Record Kubernetes Events about our objects: each once in ten minutes, however often the operator restarts.

The name of an Event is a digest of its content and of the ten minutes in which it is recorded. To record it again is to create an
object that already exists, which the API server refuses.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tidemill.children import names
from tidemill.engine import errors
from tidemill.engine.client import Client
from tidemill.plan.types import Notice
from tidemill.plan.world import Manifest, key_of

log = logging.getLogger(__name__)

DEDUPLICATION_SECONDS = 600
MAX_REMEMBERED = 4096
CONTROLLER = "tidemill.dev/controller"


def event(notice: Notice, about: Manifest, now: datetime, instance: str) -> Manifest:
    """Return the Event for a notice; the same notice about the same object within ten minutes has the same name."""
    metadata = about["metadata"]
    key = key_of(about)
    period = int(now.timestamp()) // DEDUPLICATION_SECONDS
    digest = names.short(f"{metadata.get('uid')}/{notice.type}/{notice.reason}/{notice.message}/{period}", 16)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name[:200]}.{digest}", "namespace": key.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": notice.reason[:128],
        "type": notice.type,
        "note": _truncated(notice.message, 1024),
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
    }


class Recorder:
    """Send Events; a failure to do so is logged and disturbs nothing else."""

    def __init__(self, client: Client, now: Callable[[], datetime], instance: str) -> None:
        self._client = client
        self._now = now
        self._instance = instance
        self._recorded: OrderedDict[str, None] = OrderedDict()

    async def record(self, notice: Notice, about: Manifest) -> None:
        """Send the Event for a notice, unless this process has sent it already."""
        manifest: dict[str, Any] = event(notice, about, self._now(), self._instance)
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        if name in self._recorded:
            return
        self._recorded[name] = None
        if len(self._recorded) > MAX_REMEMBERED:
            self._recorded.popitem(last=False)
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        try:
            await self._client.create(path, manifest, f"record {notice.reason} about {key_of(about)}")
        except errors.Conflict:
            return
        except errors.OperatorError as problem:
            log.warning("%s", problem)


def _truncated(text: str, limit: int) -> str:
    return text if len(text.encode()) <= limit else text.encode()[: limit - 4].decode(errors="ignore") + "…"
