"""Two releases in one cluster: each holds its policies in its own namespaces, and none watches what another watches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.crds.server import CHART, Server, asking, least
from cluster import control_plane
from cluster.commands import CommandFailed
from support.waiting import until

FIRST, SECOND = "first-system", "second-system"
OF_FIRST, OF_SECOND = "first-models", "second-models"


def operator(namespace: str, release: str) -> str:
    return f"system:serviceaccount:{namespace}:{release}-tidemill"


def install(server: Server, release: str, namespace: str, watched: str, *more: str) -> None:
    given = ["--set", f"namespaces={{{watched}}}"] if watched else []
    server.helm("install", release, CHART, "--namespace", namespace, *given, *more)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two releases, each with a namespace of its own to watch."""
    with control_plane(tmp_path_factory.mktemp("releases")) as plane, asking(plane) as server:
        for namespace in (FIRST, SECOND, OF_FIRST, OF_SECOND):
            server.kubectl("create", "namespace", namespace)
        install(server, "first", FIRST, OF_FIRST)
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        install(server, "second", SECOND, OF_SECOND, "--set", "crds.enabled=false")
        yield server


def writes(server: Server, user: str, namespace: str) -> int:
    patch = {"status": {"observedGeneration": 1}}
    answer = server.as_user(user).merge(least("ModelVersion", namespace=namespace), patch, "status", dry=True)
    return answer.status_code


@pytest.mark.parametrize("namespace", [OF_FIRST, OF_SECOND])
def test_each_release_writes_status_in_its_own_namespaces_alone(server: Server, namespace: str) -> None:
    assert 201 == server.create(least("ModelVersion", namespace=namespace)).status_code
    expected = {
        operator(FIRST, "first"): 200 if namespace == OF_FIRST else 403,
        operator(SECOND, "second"): 200 if namespace == OF_SECOND else 403,
        "": 403,
    }

    # A policy is in force some moments after it was made.
    until(
        f"the policies hold in {namespace}",
        lambda: expected == {user: writes(server, user, namespace) for user in expected},
        seconds=20,
        poll=0.2,
    )


def test_an_upgrade_finds_nothing_but_itself(server: Server) -> None:
    server.helm("upgrade", "first", CHART, "--namespace", FIRST, "--reuse-values", "--set", "controller.logLevel=DEBUG")


@pytest.mark.parametrize("watched", ["", OF_SECOND], ids=["all namespaces", "a namespace that is watched"])
def test_a_release_that_would_watch_what_another_watches_is_refused(server: Server, watched: str) -> None:
    with pytest.raises(CommandFailed, match=r"watches .* already; give each release namespaces of its own"):
        install(server, "third", FIRST, watched, "--set", "crds.enabled=false")
