"""A client's request on its way through a stable pod to the candidate, and the answer on its way back."""

from __future__ import annotations

from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.request import Asked
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.rollout.candidate import FEATURES, FORWARDED, Reply
from tidemill.runtime.serve.rollout.candidate_response import trimmed
from tidemill.runtime.serve.version.model import ServedModel


def routing_key(asked: Asked, headers: dict[bytes, bytes]) -> str:
    """Return the key that decides which version answers; the header comes first, since a gateway that sets it may not read bodies."""
    key = headers.get(b"x-routing-key")
    return key.decode("latin-1") if key else asked.routing_key


def candidate_headers(model: ServedModel, request: Request) -> dict[str, str]:
    """Return the headers for the candidate; any compression was taken off the body."""
    headers = {
        FORWARDED: "predict",
        FEATURES: model.features_digest,
        "x-request-id": request.id,
        "content-type": "application/json",
    }
    # A form that holds JSON has been read as such.
    if b"inference-header-content-length" in request.headers:
        for name in (b"content-type", b"inference-header-content-length"):
            if name in request.headers:
                headers[name.decode()] = request.header(name)
    return headers


def must_be_meant_for(model: ServedModel, asked: Asked, headers: dict[bytes, bytes]) -> None:
    """Refuse values without names that a version with other features has sent on."""
    meant = headers.get(FEATURES.encode())
    if asked.positional and meant is not None and meant != model.features_digest.encode():
        names = ", ".join(model.codec.features.names[:20])
        raise HTTPError(409, f"inputs: were meant for other features than this version's; it takes {names}")


def as_wanted(reply: Reply, asked: Asked) -> Reply:
    """The candidate's answer with the outputs that its client named; it came with all of them, for the log."""
    if not asked.outputs:
        return reply
    body, header_length = trimmed(reply.body, reply.header_length, [name for name, _ in asked.outputs])
    return reply._replace(body=body, header_length=header_length)
