"""A real etcd and kube-apiserver with the chart installed, shared by all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.crds import people as tried_by
from api.crds.server import CHART, SYSTEM, Server, asking
from cluster import control_plane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.api)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the chart installed, asked by its administrator."""
    with control_plane(tmp_path_factory.mktemp("plane"), controllers=True) as plane, asking(plane) as server:
        server.helm(
            "install",
            "tidemill",
            CHART,
            "--namespace",
            SYSTEM,
            "--create-namespace",
            "--set",
            "workloadNamespaces={default}",
        )
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield server


@pytest.fixture(scope="session")
def people(server: Server) -> None:
    """An editor, a viewer and an approver, each with the cluster's own roles."""
    tried_by.bind(server)
