"""A control plane without a node."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Plane, clients, control_plane, versions

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def kubectl(plane: Plane, *words: str) -> str:
    command = [clients.locate(versions.KUBECTL), "--kubeconfig", plane.kubeconfig, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_it_answers_and_writes_down_what_it_was_asked(plane: Plane) -> None:
    kubectl(plane, "create", "configmap", "noted", "--namespace=default")

    assert [201] == [event.code for event in plane.audit() if (event.verb, event.name) == ("create", "noted")]


def test_what_it_holds_survives_the_crash_of_either_server(plane: Plane) -> None:
    kubectl(plane, "create", "configmap", "kept", "--namespace=default")

    plane.apiserver.kill()
    plane.etcd.kill()
    assert (False, False) == (plane.apiserver.alive, plane.etcd.alive)
    plane.etcd.start()
    plane.apiserver.start()
    plane.wait_ready()

    assert "configmap/kept\n" == kubectl(plane, "get", "configmap", "kept", "--namespace=default", "-o", "name")


def test_several_run_side_by_side_and_end_with_their_blocks(plane: Plane, tmp_path: Path) -> None:
    with control_plane(tmp_path) as other:
        kubectl(other, "create", "configmap", "elsewhere", "--namespace=default")
        assert plane.server != other.server

    assert (False, False) == (other.apiserver.alive, other.etcd.alive)
    assert "elsewhere" not in kubectl(plane, "get", "configmaps", "--namespace=default", "-o", "name")
