"""How watch events come to the handlers."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest
from kopf._cogs.clients import watching
from kopf._cogs.structs.references import Resource

from tidemill.engine import kopf_watch

JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")


def event(name: str, kind: str | None = "ADDED") -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name}}}


async def test_an_event_that_a_handler_fails_on_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry = kopf.OperatorRegistry()
    seen: list[str] = []

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_changed(event: kopf.RawEvent, **_: Any) -> None:
        seen.append(event["object"]["metadata"]["name"])
        if seen[-1] == "poisoned":
            raise ValueError("this one cannot be taken in")

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_changed(event: kopf.RawEvent, **_: Any) -> None:
        seen.append("a pod")

    async def watch(**_: Any) -> AsyncIterator[Any]:
        yield event("listed", None)
        yield watching.Bookmark.LISTED
        yield event("poisoned")
        yield event("", "BOOKMARK")
        yield event("last", "DELETED")

    monkeypatch.setattr(watching, "infinite_watch", watch)
    processor = functools.partial(print, registry=registry)

    await kopf_watch.watch_kind(
        settings=kopf_watch.settings(),
        resource=JOBS,
        namespace=None,
        processor=processor,
        listed=lambda: seen.append("the list is complete"),
    )

    assert ["listed", "the list is complete", "poisoned", "last"] == seen
    assert "the next full look heals it" in caplog.text
