"""When the operator reads a single object: after another client wrote first, and before it creates what was there again.

Its right to `get` rests on this.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster import Plane
from tidemill.api import API_VERSION
from tidemill.children import names
from tidemill.engine import errors
from tidemill.engine.apply import Applier
from tidemill.engine.cache import ClusterCache
from tidemill.engine.client import Client
from tidemill.engine.connection import connect
from tidemill.engine.kinds import BY_KIND, WATCHED, Watched
from tidemill.engine.rate_limit import RateLimiter
from tidemill.plan.types import Retirement
from tidemill.plan.world import Key, Manifest, World, key_of

from .conftest import AGENT, Kube
from .toy import service

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(120)]

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Succeeded",
    "message": "",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
READ = tuple(watched for watched in WATCHED if "get" in watched.verbs)
OURS = pytest.mark.parametrize(
    "watched", [watched for watched in READ if watched.ours], ids=lambda watched: watched.kind
)
CHILDREN = pytest.mark.parametrize(
    "watched", [watched for watched in READ if not watched.ours], ids=lambda watched: watched.kind
)


@pytest.fixture
def store() -> ClusterCache:
    """Knows what it is given; no watch runs for it."""
    return ClusterCache(World(), lambda _manifest, _world: set(), time.monotonic)


@pytest.fixture
async def cluster(plane: Plane, store: ClusterCache) -> AsyncIterator[Applier]:
    """The engine's hands, and nothing that tells them what the cluster holds."""
    async with connect(str(plane.kubeconfig)).session() as session:
        yield Applier(Client(session, RateLimiter(100.0, 100, time.monotonic)), store, lambda _keys: None)


def reads(plane: Plane, key: Key, watched: Watched) -> int:
    return sum(
        event.verb == "get"
        and (event.resource, event.namespace, event.name) == (watched.plural, key.namespace, key.name)
        and event.agent.startswith(AGENT)
        for event in plane.audit()
    )


@OURS
async def test_a_status_that_was_decided_on_something_old_is_not_written_but_looked_at(
    watched: Watched, cluster: Applier, kube: Kube, plane: Plane
) -> None:
    old = kube.create(
        {"apiVersion": watched.api_version, "kind": watched.kind, "metadata": {"name": "iris"}, "spec": {}}
    )
    kube.patch(watched.kind, "iris", {"spec": {"newer": True}})
    key = Key(watched.kind, kube.namespace, "iris")

    with pytest.raises(errors.Conflict):
        await cluster.report(key, old, {"observedGeneration": 1})

    assert reads(plane, key, watched) == 1


def child(watched: Watched, namespace: str, image: str) -> Manifest:
    """A child of each kind, as small as the API server takes it."""
    labels = {"app": image}
    container: dict[str, Any] = {"name": "one", "image": image}
    template: dict[str, Any] = {"metadata": {"labels": {"of": "iris"}}, "spec": {"containers": [container]}}
    spec: dict[str, Any] = {
        "Service": {"selector": labels, "ports": [{"name": "http", "port": 80}]},
        "Deployment": {"selector": {"matchLabels": {"of": "iris"}}, "template": template},
        "HorizontalPodAutoscaler": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris"},
            "maxReplicas": 2,
        },
        "PodDisruptionBudget": {"maxUnavailable": 1, "selector": {"matchLabels": {"of": "iris"}}},
        "Job": {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}},
    }[watched.kind]
    return {
        "apiVersion": watched.api_version,
        "kind": watched.kind,
        "metadata": {"name": "iris", "namespace": namespace, "labels": labels},
        "spec": spec,
    }


@CHILDREN
async def test_an_object_that_is_in_the_way_is_looked_at_and_left_alone(
    watched: Watched, cluster: Applier, kube: Kube, plane: Plane
) -> None:
    theirs = child(watched, kube.namespace, "theirs")
    path = watched.path(kube.namespace)
    kube.http.post(path, json=theirs).raise_for_status()
    ours = child(watched, kube.namespace, "ours")
    ours["metadata"]["labels"][names.OWNER_UID] = "0a1b"
    key = key_of(ours)

    with pytest.raises(errors.NameConflict):
        await cluster.ensure(ours, Key("Dataset", kube.namespace, "iris"))

    assert reads(plane, key, watched) == 1
    document = kube.http.get(f"{path}/iris").raise_for_status().json()
    assert document["metadata"]["labels"] == {"app": "theirs"}


def listed(store: ClusterCache, owner: Manifest) -> None:
    """What the first look of a new life learns of an owner."""
    listing = store.begin("Dataset", None)
    store.listed(listing, [owner], expected=True)
    store.end(listing)


ENDS = pytest.mark.parametrize("end", ["gone", "made anew", "leaving"])


@ENDS
@pytest.mark.parametrize(
    "doubt",
    ["the child was seen to go", "the owner says that it was ready", "the owner was listed before the child went"],
)
async def test_what_went_with_its_owner_is_not_made_anew_by_whoever_has_not_heard_of_it(
    end: str, doubt: str, store: ClusterCache, cluster: Applier, kube: Kube, plane: Plane
) -> None:
    finalizers = ["example.com/held"] if end == "leaving" else []
    new = {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": "iris", "finalizers": finalizers},
        "spec": {},
    }
    owner = kube.create(new)
    wanted = service(owner, 0)
    child = kube.create(wanted)
    if doubt != "the owner was listed before the child went":
        store.confirm(owner)
    if doubt == "the child was seen to go":
        store.confirm(child)
        store.remove(key_of(child), child["metadata"]["uid"])
    elif doubt == "the owner says that it was ready":
        kube.patch("Dataset", "iris", {"status": {"conditions": [READY]}}, "status")
        store.confirm(kube.get("Dataset", "iris") or {})
    else:
        listed(store, owner)
    kube.delete("Service", "iris-0")
    kube.delete("Dataset", "iris")
    if end == "made anew":
        kube.create(new)

    with pytest.raises(errors.Missing):
        await cluster.ensure(wanted, key_of(owner))

    assert kube.get("Service", "iris-0") is None
    assert reads(plane, key_of(owner), BY_KIND["Dataset"]) == 1
    known = store.world.get(*key_of(owner))
    assert known is None if end == "gone" else known is not None
    if finalizers:
        kube.patch("Dataset", "iris", {"metadata": {"finalizers": None}})


async def test_nothing_is_made_for_a_spec_that_is_another_one_by_now(
    store: ClusterCache, cluster: Applier, kube: Kube
) -> None:
    owner = kube.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris"}, "spec": {}})
    kube.patch("Dataset", "iris", {"status": {"conditions": [READY]}}, "status")
    store.confirm(kube.get("Dataset", "iris") or {})
    kube.patch("Dataset", "iris", {"spec": {"newer": True}})

    with pytest.raises(errors.Conflict):
        await cluster.ensure(service(owner, 0), key_of(owner))

    assert kube.get("Service", "iris-0") is None
    newest = store.world.get(*key_of(owner))
    assert newest is not None
    assert newest["spec"] == {"newer": True}, "the next plan is for this one"


async def test_what_went_while_its_owner_stays_is_made_anew_after_one_look(
    store: ClusterCache, cluster: Applier, kube: Kube, plane: Plane
) -> None:
    owner = kube.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris"}, "spec": {}})
    wanted = service(owner, 0)
    store.confirm(owner)

    assert await cluster.ensure(wanted, key_of(owner))
    assert reads(plane, key_of(owner), BY_KIND["Dataset"]) == 0
    made = kube.get("Service", "iris-0")
    assert made is not None
    kube.delete("Service", "iris-0")
    store.remove(key_of(made), made["metadata"]["uid"])

    assert await cluster.ensure(wanted, key_of(owner))

    assert kube.get("Service", "iris-0") is not None
    assert reads(plane, key_of(owner), BY_KIND["Dataset"]) == 1


async def test_an_owner_that_a_new_life_has_listed_is_looked_at_once_before_it_gets_a_child(
    store: ClusterCache, cluster: Applier, kube: Kube, plane: Plane
) -> None:
    owner = kube.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris"}, "spec": {}})
    listed(store, owner)

    assert await cluster.ensure(service(owner, 0), key_of(owner))
    assert await cluster.ensure(service(owner, 1), key_of(owner))

    assert reads(plane, key_of(owner), BY_KIND["Dataset"]) == 1


class Contended(Client):
    """To the first delete it says what the API server says where somebody else writes at the same moment."""

    conflicts = 1

    async def delete(self, key: Key, *, uid: str) -> Manifest:
        if self.conflicts:
            self.conflicts -= 1
            raise errors.Conflict("the object has been modified")
        return await super().delete(key, uid=uid)


async def test_a_delete_that_met_somebody_elses_write_is_not_given_up(
    store: ClusterCache, kube: Kube, plane: Plane
) -> None:
    owner = kube.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris"}, "spec": {}})
    child = kube.create(service(owner, 0))
    store.confirm(child)
    retirement = Retirement(key_of(child), child["metadata"]["uid"], "surplus")
    async with connect(str(plane.kubeconfig)).session() as session:
        client = Contended(session, RateLimiter(100.0, 100, time.monotonic))
        cluster = Applier(client, store, lambda _keys: None)

        with pytest.raises(errors.Conflict):
            await cluster.retire(retirement, key_of(owner))
        assert await cluster.retire(retirement, key_of(owner))

    assert kube.get("Service", "iris-0") is None


async def test_whoever_has_taken_the_name_meanwhile_is_seen_and_left_alone(
    store: ClusterCache, cluster: Applier, kube: Kube
) -> None:
    owner = kube.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris"}, "spec": {}})
    old = kube.create(service(owner, 0))
    store.confirm(old)
    kube.delete("Service", "iris-0")
    new = kube.create(service(owner, 0))

    retirement = Retirement(key_of(old), old["metadata"]["uid"], "surplus")
    assert not await cluster.retire(retirement, key_of(owner))

    assert kube.get("Service", "iris-0") == new
    known = store.world.get(*key_of(old))
    assert known is not None
    assert known["metadata"]["uid"] == new["metadata"]["uid"]
