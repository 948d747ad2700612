"""`helm uninstall` with live objects: nothing of Tidemill's is left, and nothing hangs. The last of the tests on pods."""

import pytest

from support import installation
from support.api import Api
from support.grounds import CANDIDATES, Grounds
from support.kubectl import kubectl
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CLUSTER_WIDE = (
    "clusterroles",
    "clusterrolebindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)


def left_in_the_cluster(grounds: Grounds) -> list[str]:
    """What is named or labelled as Tidemill's outside of the tests' own namespaces."""
    words = ("get", ",".join(CLUSTER_WIDE), "-l", "app.kubernetes.io/part-of=tidemill", "-o", "name")
    definitions = [crd["metadata"]["name"] for crd in grounds.api.all("CustomResourceDefinition")]
    volumes = [volume["spec"]["claimRef"]["namespace"] for volume in grounds.api.all("PersistentVolume")]
    return [
        *kubectl(grounds.cluster, *words).split(),
        *(name for name in definitions if name.endswith("tidemill.dev")),
        *(f"volume of {name}" for name in volumes if name == installation.NAMESPACE),
        *_children(grounds.api),
    ]


def _children(api: Api) -> list[str]:
    """What the operator made, wherever it is."""
    kinds = ("Job", "Deployment", "Service", "Pod")
    selector = "app.kubernetes.io/managed-by=tidemill"
    return [f"{kind}/{found['metadata']['name']}" for kind in kinds for found in api.all(kind, selector=selector)]


def test_nothing_is_left(grounds: Grounds) -> None:
    assert left_in_the_cluster(grounds), "there is something to leave"

    installation.uninstall(grounds.cluster)

    until(
        "everything going",
        lambda: not left_in_the_cluster(grounds),
        seconds=120,
        explain=lambda: str(left_in_the_cluster(grounds)),
    )
    pods = grounds.api.all("Pod", installation.NAMESPACE)
    assert pods == []


def test_a_namespace_that_held_live_objects_can_be_deleted(grounds: Grounds) -> None:
    installation.remove_namespaces(grounds.api, [CANDIDATES], seconds=60)

    assert grounds.api.get("Namespace", "", CANDIDATES) is None
    installation.remove_namespaces(grounds.api, installation.leftovers(grounds.api, installation.NAMESPACE))
