"""A store on a folder and on a real S3 server, for tests of either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import gateway
from tidemill.runtime.store.objects import ObjectStore


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway.gateway(tmp_path_factory.mktemp("gateway")) as endpoint:
        yield endpoint


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return ObjectStore.open(f"file://{tmp_path}/store")
    name = request.node.name[:40].replace("[", "-")
    return gateway.open_store(request.getfixturevalue("endpoint"), f"s3://{gateway.BUCKET}/{name}")
