"""Installing and leaving: what came with Tidemill goes with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api.crds.server import BY_KIND, CHART, REPOSITORY, SYSTEM, Server, asking, least
from cluster import control_plane
from support.waiting import until

# Written by the server itself, all the time or because a definition is there.
RESTLESS = {"events", "leases", "endpointslices", "endpoints", "apiservices"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own, with nothing installed."""
    with control_plane(tmp_path_factory.mktemp("bare"), controllers=True) as plane, asking(plane) as server:
        server.kubectl("create", "namespace", SYSTEM)
        until("what every namespace is given", lambda: furnished(server), seconds=60, poll=0.1)
        with nudged(server):
            yield server


@contextmanager
def nudged(server: Server) -> Iterator[None]:
    """Has the server look again at definitions that it could not take away: where its own storage of a kind is not read in yet,
    "(re)initializing", as it may be some seconds after the kind was defined, it waits for minutes before it tries again."""
    path, over = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", threading.Event()

    def nudge() -> None:
        while not over.wait(1.0):
            for manifest in server.ask("GET", path).json()["items"]:
                conditions = (manifest.get("status") or {}).get("conditions") or ()
                if any(condition["reason"] == "InstanceDeletionFailed" for condition in conditions):
                    change = {"metadata": {"annotations": {"tests/nudged": str(time.monotonic())}}}
                    kind = {"Content_Type": "application/merge-patch+json"}
                    server.ask("PATCH", f"{path}/{manifest['metadata']['name']}", change, **kind)

    nudging = threading.Thread(target=nudge)
    nudging.start()
    try:
        yield
    finally:
        over.set()
        nudging.join()


def furnished(server: Server) -> bool:
    """Whether the controllers have put into each namespace what each gets."""
    spaces = {item["metadata"]["name"] for item in server.ask("GET", "/api/v1/namespaces").json()["items"]}
    return all(
        spaces
        == {
            item["metadata"]["namespace"]
            for item in server.ask("GET", f"/api/v1/{plural}").json()["items"]
            if item["metadata"]["name"] == name
        }
        for plural, name in (("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt"))
    )


def everything(server: Server) -> set[str]:
    """Every object there is, by kind, namespace and name."""
    groups = server.ask("GET", "/apis").json()["groups"]
    results = set()
    for root in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        for resource in server.ask("GET", root).json()["resources"]:
            if "list" in resource["verbs"] and resource["name"] not in RESTLESS:
                for manifest in server.ask("GET", f"{root}/{resource['name']}").json().get("items", ()):
                    metadata = manifest["metadata"]
                    results.add(f"{resource['kind']}/{metadata.get('namespace', '')}/{metadata['name']}")
    return results


def install(server: Server, keep: bool) -> None:
    server.helm("install", "tidemill", CHART, "-n", SYSTEM, "--set", f"crds.keep={str(keep).lower()}")
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def settled(server: Server, wanted: set[str]) -> set[str]:
    """What there is, once garbage has been collected or time is up."""
    for _ in range(100):
        if everything(server) == wanted:
            break
        time.sleep(0.1)
    return everything(server)


def test_helm_uninstall_leaves_nothing(bare: Server) -> None:
    before = everything(bare)
    install(bare, keep=False)
    assert 201 == bare.create(least("Dataset")).status_code
    assert before < everything(bare)
    bare.helm("uninstall", "tidemill", "-n", SYSTEM, "--wait")

    assert before == settled(bare, before)


def test_objects_outlive_helm_uninstall_where_the_definitions_are_kept(bare: Server) -> None:
    before = everything(bare)
    install(bare, keep=True)
    dataset = least("Dataset", name="kept")
    assert 201 == bare.create(dataset).status_code
    bare.helm("uninstall", "tidemill", "-n", SYSTEM, "--wait")
    kept = {f"CustomResourceDefinition//{kind.plural}.tidemill.dev" for kind in BY_KIND.values()} | {
        "Dataset/default/kept"
    }

    assert before | kept == settled(bare, before | kept)
    # The same release finds them again.
    install(bare, keep=False)
    assert "kept" == bare.read(dataset)["metadata"]["name"]
    bare.helm("uninstall", "tidemill", "-n", SYSTEM, "--wait")


def test_the_plain_manifest_is_applied_and_deleted_by_kubectl(bare: Server) -> None:
    manifest = REPOSITORY / "manifests" / "install.yaml"
    before = everything(bare)
    bare.kubectl("apply", "--server-side", "-f", manifest)
    output = bare.kubectl("apply", "--server-side", "--dry-run=server", "-f", manifest).splitlines()
    assert len(output) > 20
    bare.kubectl("delete", "-f", manifest, "--wait=true", "--timeout=60s")

    # It made the namespace its own, so that goes too.
    wanted = {path for path in before if SYSTEM not in path}
    assert wanted == settled(bare, wanted)


def test_the_definitions_alone_are_applied_with_kustomize(bare: Server) -> None:
    bare.kubectl("apply", "--server-side", "-k", REPOSITORY / "crds")
    bare.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    bare.kubectl("delete", "-k", REPOSITORY / "crds", "--wait=true", "--timeout=30s")
