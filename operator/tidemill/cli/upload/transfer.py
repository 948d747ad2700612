"""Send the parts of a file that have not arrived yet, over connections that may be cut at any time."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from tidemill.cli.upload.local_file import LocalFile
from tidemill.cli.upload.tunnel import TunnelClosed
from tidemill.contract.uploads import UploadOrder, UploadProgress

TRIES: Final = 8
"""How often the way to the pod may fail without a part that arrives in between."""
PART_SECONDS: Final = 120.0
FINISH_SECONDS: Final = 3600.0
_MAX_ANSWER: Final = 8 << 20


class TransferFailed(Exception):
    """The file is not in the store; the message says why."""


class _Cut(Exception):
    """The connection, or what is behind it, failed; the same request may succeed later."""


class OpenTunnel(Protocol):
    """A tunnel to the pod while it is open."""

    @property
    def port(self) -> int:
        """Return the port on this machine that leads to the pod."""
        ...


def send(
    file: LocalFile,
    order: UploadOrder,
    token: str,
    open_tunnel: Callable[[], AbstractContextManager[OpenTunnel]],
    *,
    note: Callable[[int, int], None],
    pause: Callable[[float], None],
) -> bool:
    """Bring the file into the store, and return whether it was there already; raise TransferFailed or UnusableFile.

    After a cut the pod is asked which parts it has, and only the others are sent.
    """
    failures, reason = 0, ""
    while failures < TRIES:
        if failures:
            pause(min(2.0 ** (failures - 1), 15.0))
        try:
            with open_tunnel() as tunnel:
                progress = UploadProgress.model_validate(_asked(tunnel.port, token, "GET", "/parts"))
                if progress.complete:
                    return failures == 0
                arrived = {part.number: part.digest for part in progress.parts}
                missing = [number for number in range(order.parts) if number not in arrived]
                done = sum(order.part_size(number) for number in arrived)
                note(done, order.size)
                for number in missing:
                    _put(tunnel.port, token, number, file.part(number))
                    failures = 0
                    done += order.part_size(number)
                    note(done, order.size)
                _asked(tunnel.port, token, "POST", "/finish", seconds=FINISH_SECONDS)
                return False
        except (_Cut, TunnelClosed) as error:
            failures, reason = failures + 1, str(error)
    raise TransferFailed(
        f"the way to the pod of the upload failed {TRIES} times, at last with: {reason}; run the command again, and it continues "
        "where it was cut off"
    )


def _put(port: int, token: str, number: int, content: bytes) -> None:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _asked(port, token, "PUT", f"/parts/{number}", content, {"x-tidemill-digest": digest})


def _asked(
    port: int,
    token: str,
    method: str,
    path: str,
    content: bytes = b"",
    headers: dict[str, str] | None = None,
    seconds: float = PART_SECONDS,
) -> Any:
    """Return what the pod answers; raise _Cut where it does not answer, TransferFailed where it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, content, {"authorization": f"Bearer {token}", **(headers or {})})
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER)
        body = json.loads(text) if text else {}
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Cut(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if response.status == 200:
        return body
    message = body.get("message", "") if isinstance(body, dict) else ""
    if response.status >= 500:
        raise _Cut(message or f"the pod answers {response.status}")
    raise TransferFailed(message or f"the pod answers {response.status}")
