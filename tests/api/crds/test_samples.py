"""The samples as a user applies them: accepted, and the second time unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.crds.server import REPOSITORY, Server

SAMPLES = REPOSITORY / "manifests" / "samples"
FILES = sorted(SAMPLES.glob("*/*.yaml"))
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))


@pytest.fixture
def namespace(server: Server) -> Iterator[str]:
    name = "samples"
    server.kubectl("create", "namespace", name)
    yield name
    server.kubectl("delete", "namespace", name, "--wait=true", "--timeout=60s")


def test_there_are_samples() -> None:
    assert len(FILES) >= 5


@EACH
def test_a_dry_run_on_the_server_accepts_it(server: Server, path: Path) -> None:
    output = server.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", "default", "-f", path
    )

    assert len([document for document in yaml.safe_load_all(path.read_text()) if document]) == len(output.splitlines())


def test_a_second_apply_changes_nothing(server: Server, namespace: str) -> None:
    folders = sorted({path.parent for path in FILES})
    for folder in folders:
        server.kubectl("apply", "-n", namespace, "-f", folder)
        output = server.kubectl("apply", "-n", namespace, "-f", folder).splitlines()
        # kubectl sends the plain text of a Secret each time, whatever the server has made of it.
        assert [] == [line for line in output if not line.endswith(" unchanged") and not line.startswith("secret/")]


def test_a_second_server_side_apply_changes_nothing(server: Server, namespace: str) -> None:
    def apply() -> list[tuple[str, int, str]]:
        for folder in sorted({path.parent for path in FILES}):
            server.kubectl("apply", "--server-side", "-n", namespace, "-f", folder)
        document = json.loads(server.kubectl("get", "tidemill", "-n", namespace, "-o", "json"))["items"]
        return [
            (item["metadata"]["uid"], item["metadata"]["generation"], item["metadata"]["resourceVersion"])
            for item in document
        ]

    # The first write after an object's creation also stores the status that reading filled in.
    created, settled, again = apply(), apply(), apply()

    assert [item[:2] for item in created] == [item[:2] for item in settled] != []
    assert settled == again
