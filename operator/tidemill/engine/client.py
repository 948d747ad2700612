"""The few sentences that we speak with the API server: list, read, apply, patch, create, delete."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import orjson

from tidemill.engine import errors, metrics
from tidemill.engine.kinds import Watched, resource_of
from tidemill.engine.rate_limit import RateLimiter
from tidemill.plan.world import Key, Manifest

MANAGER: Final = "tidemill"
MARKS_MANAGER: Final = "tidemill-marks"
# An object as the API server sends it is ten times as large as what is kept of it, so pages are small.
PAGE: Final = 100

# JSON is YAML, so an apply patch may be sent as either.
_APPLY: Final = "application/apply-patch+yaml"
# What YAML refuses in a text, or takes for the end of a line: DEL, U+0080 to U+009F, line and paragraph separators, byte order marks.
_UNPRINTED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNPRINTED_BYTES: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"


class Client:
    """Speaks to the API server in JSON, within the budget, and turns its refusals into our errors."""

    def __init__(self, session: aiohttp.ClientSession, budget: RateLimiter) -> None:
        self._session = session
        self._budget = budget

    async def pages(self, watched: Watched, namespace: str | None = None) -> AsyncIterator[list[Manifest]]:
        """Every object of a kind, in pages; Expired when the API server forgot where we were."""
        params = {"limit": str(PAGE)}
        if watched.selector:
            params["labelSelector"] = watched.selector
        while True:
            answer = await self._ask(
                "GET", watched.path(namespace), f"list {watched.plural}", verb="list", params=params
            )
            yield answer.get("items") or []
            follow = (answer.get("metadata") or {}).get("continue")
            if not follow:
                return
            params["continue"] = follow

    async def read(self, key: Key) -> Manifest:
        """The object as it is now; Missing when there is none."""
        return await self._ask("GET", resource_of(key.kind).path(key.namespace, key.name), f"get {key}", verb="get")

    async def apply(self, manifest: Manifest, *, force: bool) -> Manifest:
        """Server-side apply: what we say becomes ours.

        Without `force`, a field that someone else has set differently is a Conflict, and nothing is changed.
        """
        metadata = manifest["metadata"]
        key = Key(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        params = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        path = resource_of(key.kind).path(key.namespace, key.name)
        return await self._ask(
            "PATCH", path, f"apply {key}", verb="apply", params=params, body=manifest, content=_APPLY
        )

    async def merge(
        self, key: Key, patch: Mapping[str, Any], *, subresource: str = "", manager: str = MANAGER
    ) -> Manifest:
        """A JSON merge patch; a resourceVersion or uid in it is a precondition."""
        path = resource_of(key.kind).path(key.namespace, key.name, subresource)
        what = f"patch {subresource} of {key}" if subresource else f"patch {key}"
        return await self._ask(
            "PATCH", path, what, verb="patch", params={"fieldManager": manager}, body=patch, content=_MERGE
        )

    async def delete(self, key: Key, *, uid: str) -> Manifest:
        """Delete exactly the object with `uid`, its dependents in the background; Conflict when another has its name."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        path = resource_of(key.kind).path(key.namespace, key.name)
        return await self._ask("DELETE", path, f"delete {key}", verb="delete", body=body, content=_JSON)

    async def create(self, path: str, manifest: Manifest, what: str) -> Manifest:
        """Create an object of a kind that we do not watch."""
        return await self._ask(
            "POST", path, what, verb="create", params={"fieldManager": MANAGER}, body=manifest, content=_JSON
        )

    async def replace(self, path: str, manifest: Manifest, what: str) -> Manifest:
        """Replace an object of a kind that we do not watch; Conflict unless its resourceVersion is still the same."""
        return await self._ask("PUT", path, what, verb="update", body=manifest, content=_JSON)

    async def get(self, path: str, what: str) -> dict[str, Any]:
        """Whatever lies at `path`."""
        return await self._ask("GET", path, what, verb="get")

    async def _ask(
        self,
        method: str,
        path: str,
        what: str,
        *,
        verb: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "",
    ) -> dict[str, Any]:
        await self._budget.spend()
        headers = {"Content-Type": content} if content else None
        data = orjson.dumps(body) if body is not None else None
        if data is not None and content == _APPLY:
            data = _as_yaml(data)
        began = time.perf_counter()
        try:
            async with self._session.request(method, path, params=params, data=data, headers=headers) as response:
                answer = await response.read()
        except errors.UNREACHABLE as failure:
            metrics.API_REQUESTS.labels(verb, "none").inc()
            raise errors.from_failure(failure, what) from failure
        metrics.API_REQUESTS.labels(verb, str(response.status)).inc()
        metrics.API_SECONDS.labels(verb).observe(time.perf_counter() - began)
        if response.status >= 400:
            problem = errors.from_answer(response.status, answer, what, retry_after=response.headers.get("Retry-After"))
            if isinstance(problem, errors.Unavailable) and problem.retry_after:
                self._budget.pause(problem.retry_after)
            raise problem
        try:
            found: dict[str, Any] = orjson.loads(answer)
            return found
        except orjson.JSONDecodeError as failure:
            raise errors.Unavailable(
                f"{what}: the answer is not JSON; something stands between us and the API server"
            ) from failure


def _as_yaml(text: bytes) -> bytes:
    """JSON that YAML reads as what it says."""
    if not _UNPRINTED_BYTES.search(text):
        return text
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()
