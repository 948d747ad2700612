"""Requests to the API server: list, watch, read, apply, patch, create, delete."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from tidemill.engine import errors, metrics
from tidemill.engine.kinds import Watched, resource_of
from tidemill.engine.rate_limit import RateLimiter
from tidemill.plan.world import Key, Manifest

log = logging.getLogger(__name__)

MANAGER: Final = "tidemill"
MARKS_MANAGER: Final = "tidemill-marks"
# An object as the API server sends it is ten times as large as what is kept of it, so pages are small.
PAGE: Final = 100
WATCH_MARGIN_SECONDS: Final = 30.0

# JSON is YAML, so an apply patch may be sent as either.
_APPLY: Final = "application/apply-patch+yaml"
# What YAML refuses in a text, or takes for the end of a line: DEL, U+0080 to U+009F, line and paragraph separators, byte order marks.
_UNPRINTED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNPRINTED_BYTES: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"


class Page(NamedTuple):
    """A part of a list."""

    items: list[Manifest]
    version: str
    """The resource version of the whole list, from which a watch goes on."""


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the complete lines of a stream, however it is cut into chunks; what follows the last line break is dropped."""
    parts: list[bytes] = []
    async for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        parts.append(first)
        for part in rest:
            line = b"".join(parts)
            parts = [part]
            if line.strip():
                yield line


class Client:
    """Send requests to the API server within the rate limit, and turn refusals into our errors."""

    def __init__(self, session: aiohttp.ClientSession, rate_limit: RateLimiter) -> None:
        self._session = session
        self._rate_limit = rate_limit

    async def pages(self, watched: Watched, namespace: str | None = None) -> AsyncIterator[Page]:
        """Yield every object of a kind, in pages; Expired when the API server no longer knows the position."""
        params = {"limit": str(PAGE)}
        if watched.selector:
            params["labelSelector"] = watched.selector
        while True:
            answer = await self._ask(
                "GET", watched.path(namespace), f"list {watched.plural}", verb="list", params=params
            )
            metadata = answer.get("metadata") or {}
            yield Page(answer.get("items") or [], str(metadata.get("resourceVersion") or ""))
            if not metadata.get("continue"):
                return
            params["continue"] = metadata["continue"]

    async def watch(
        self, watched: Watched, namespace: str | None, version: str, *, seconds: float, inactivity: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the events of a kind after `version`, until the connection ends or is silent for `inactivity` seconds.

        Expired where the API server no longer knows the version; Unavailable where the stream breaks off or cannot be read.
        """
        what = f"watch {watched.plural}"
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
        }
        if watched.selector:
            params["labelSelector"] = watched.selector
        await self._rate_limit.spend()
        # The API server ends a watch by itself; the margin is for a server that does not.
        timeout = aiohttp.ClientTimeout(total=seconds + WATCH_MARGIN_SECONDS, sock_connect=5, sock_read=inactivity)
        connected = False
        try:
            async with self._session.get(watched.path(namespace), params=params, timeout=timeout) as response:
                connected = True
                metrics.API_REQUESTS.labels("watch", str(response.status)).inc()
                if response.status >= 400:
                    body = await response.read()
                    raise errors.from_answer(
                        response.status, body, what, retry_after=response.headers.get("Retry-After")
                    )
                async for line in lines(response.content.iter_any()):
                    event: dict[str, Any] = orjson.loads(line)
                    yield event
        except orjson.JSONDecodeError as failure:
            raise errors.Unavailable(
                f"{what}: an event is not JSON; check the proxies before the API server"
            ) from failure
        except errors.UNREACHABLE as failure:
            if connected and isinstance(failure, TimeoutError):
                log.info("%s: silent for %.0f s; connecting again", what, inactivity)
                return
            metrics.API_REQUESTS.labels("watch", "none").inc()
            raise errors.from_failure(failure, what) from failure

    async def read(self, key: Key) -> Manifest:
        """Return the object as it is now; Missing if it does not exist."""
        return await self._ask("GET", resource_of(key.kind).path(key.namespace, key.name), f"get {key}", verb="get")

    async def apply(self, manifest: Manifest, *, force: bool) -> Manifest:
        """Apply server-side, so that the fields in `manifest` become ours.

        Without `force`, a field that another manager has set differently is a Conflict, and nothing is changed.
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
        """Send a JSON merge patch; a resourceVersion or uid in it is a precondition."""
        path = resource_of(key.kind).path(key.namespace, key.name, subresource)
        what = f"patch {subresource} of {key}" if subresource else f"patch {key}"
        return await self._ask(
            "PATCH", path, what, verb="patch", params={"fieldManager": manager}, body=patch, content=_MERGE
        )

    async def delete(self, key: Key, *, uid: str) -> Manifest:
        """Delete exactly the object with `uid`, its dependents in the background; Conflict if another object has its name."""
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

    async def get(self, path: str, what: str, *, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON at `path`."""
        return await self._ask("GET", path, what, verb="get", params=params)

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
        await self._rate_limit.spend()
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
                self._rate_limit.pause(problem.retry_after)
            raise problem
        try:
            parsed: dict[str, Any] = orjson.loads(answer)
            return parsed
        except orjson.JSONDecodeError as failure:
            raise errors.Unavailable(
                f"{what}: the response is not JSON; check the proxies before the API server"
            ) from failure


def _as_yaml(text: bytes) -> bytes:
    """Return JSON that YAML reads as the same value."""
    if not _UNPRINTED_BYTES.search(text):
        return text
    return _UNPRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", text.decode()).encode()
