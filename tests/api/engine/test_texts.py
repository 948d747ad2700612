"""Whatever stands in a text of ours, the API server keeps it as it is."""

from __future__ import annotations

import time

import pytest

from cluster import Plane
from tidemill.engine.client import Client
from tidemill.engine.connection import connect
from tidemill.engine.rate_limit import RateLimiter

from .conftest import Kube

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(120)]
TEXTS = {
    "controls": "".join(map(chr, range(0x20))),
    "delete and its like": "".join(map(chr, range(0x7F, 0xA1))),
    "ends of lines": "a\u0085b\u2028c\u2029d\r\n  e",
    "marks of byte order": "\ufeff and \ufffe and \uffff",
    "letters of every kind": "ünïcødé 数据集 \u202egnirts 🌊 \\u007f \"quoted\" 'too' #: {}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_an_apply_leaves_a_text_as_it_is(text: str, plane: Plane, kube: Kube) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "texts", "namespace": kube.namespace, "annotations": {"tidemill.dev/order": text}},
        "spec": {"ports": [{"port": 80}]},
    }

    async with connect(str(plane.kubeconfig)).session() as session:
        kept = await Client(session, RateLimiter(100.0, 100, time.monotonic)).apply(service, force=True)

    assert {"tidemill.dev/order": text} == kept["metadata"]["annotations"]
