"""Labels from clients and from peers: kept in the log, counted in a rollout's trial, handed on where another pod knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from tidemill.runtime.log.records import OVERHEAD, LabelBatch
from tidemill.runtime.protocol import feedback
from tidemill.runtime.protocol.errors import HTTPError, bad, wrong_method
from tidemill.runtime.protocol.feedback import Expected, Label
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.http.bodies import Bodies, Receive, Scope, Send, accepted_type, joined
from tidemill.runtime.serve.http.responses import Responses
from tidemill.runtime.serve.rollout.candidate import FORWARDED
from tidemill.runtime.serve.rollout.peers import Peers

if TYPE_CHECKING:
    from tidemill.api.base import Scalar

MAX_CLASSES: Final = 100
"""Classes that are named to a client whose labels mean none of them."""


class Labelling:
    """Answers `feedback`."""

    def __init__(self, serving: ServingContext, bodies: Bodies, responses: Responses, peers: Peers) -> None:
        self._serving = serving
        self._bodies = bodies
        self._responses = responses
        self._peers = peers

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take labels in."""
        serving = self._serving
        try:
            if scope["method"] != "POST":
                raise wrong_method("feedback", scope["method"], "POST")
            headers = joined(scope["headers"])
            body = await self._bodies.read(headers, receive)
            if serving.model is None:
                raise serving.state.refusal()
            if accepted_type(headers, body) is not None:
                raise bad("inference-header-content-length: feedback is JSON")
            now = serving.clock()
            expected = serving.model.expected_labels
            labels, strange = feedback.read(body, expected, now=now, answered_at=serving.metrics.lags.answered_at)
            from_peer = FORWARDED.encode() in headers
            if not from_peer:
                serving.metrics.unknown_labels += len(strange)
                self._keep(LabelBatch(now, tuple(labels)))
        except HTTPError as refusal:
            await self._responses.refuse(send, refusal)
            return
        rollout = serving.rollout
        trial = rollout.trial if rollout else None
        if trial is not None and rollout is not None:
            unknown = [label for label in labels if not trial.label(label.request, label.row, label.label)]
            # What this boot of this pod named itself and does not know, no other pod knows.
            unknown = [label for label in unknown if not label.request.startswith(serving.boot)]
            if unknown and not from_peer:
                self._peers.send(rollout.peers, unknown)
        await self._responses.send(send, 200, _accepted(labels, strange, expected))

    def _keep(self, batch: LabelBatch) -> None:
        log = self._serving.labels
        metrics = self._serving.metrics
        metrics.feedback += len(batch.labels)
        if self._serving.predictions is not None:
            metrics.lags.came(batch.labels)
        if log is not None and not log.append(batch, len(batch.labels), OVERHEAD * len(batch.labels)):
            raise HTTPError(
                503, "data: the store does not take labels at present and no more can wait here; send them again later"
            )


def _accepted(labels: Sequence[Label], strange: Sequence[Scalar], expected: Expected) -> bytes:
    """Return how many labels were taken, and how many of them are not understood, with what would be."""
    answer: dict[str, Any] = {"accepted": len(labels), "unknown": len(strange)}
    if strange and expected.classes is not None:
        answer["classes"] = expected.classes.classes[:MAX_CLASSES]
        answer["message"] = expected.note(strange)
    return orjson.dumps(answer)
