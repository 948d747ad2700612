"""`helm uninstall` with live objects: nothing of Tidemill's is left, and nothing hangs. The last of the tests on pods."""

import pytest

from support import installation
from support.api import Api
from support.environment import CANDIDATES, Environment
from support.kubectl import kubectl
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CLUSTER_WIDE = (
    "clusterroles",
    "clusterrolebindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)


def left_in_the_cluster(environment: Environment) -> list[str]:
    """What is named or labelled as Tidemill's outside of the tests' own namespaces."""
    words = ("get", ",".join(CLUSTER_WIDE), "-l", "app.kubernetes.io/part-of=tidemill", "-o", "name")
    definitions = [crd["metadata"]["name"] for crd in environment.api.all("CustomResourceDefinition")]
    volumes = [volume["spec"]["claimRef"]["namespace"] for volume in environment.api.all("PersistentVolume")]
    return [
        *kubectl(environment.cluster, *words).split(),
        *(name for name in definitions if name.endswith("tidemill.dev")),
        *(f"volume of {name}" for name in volumes if name == installation.NAMESPACE),
        *_children(environment.api),
    ]


def _children(api: Api) -> list[str]:
    """What the operator made, wherever it is."""
    kinds = ("Job", "Deployment", "Service", "Pod")
    selector = "app.kubernetes.io/managed-by=tidemill"
    return [f"{kind}/{manifest['metadata']['name']}" for kind in kinds for manifest in api.all(kind, selector=selector)]


def test_nothing_is_left(environment: Environment) -> None:
    assert left_in_the_cluster(environment), "there is something to leave"

    installation.uninstall(environment.cluster)

    until(
        "everything going",
        lambda: not left_in_the_cluster(environment),
        seconds=120,
        explain=lambda: str(left_in_the_cluster(environment)),
    )
    pods = environment.api.all("Pod", installation.NAMESPACE)
    assert pods == []


def test_a_namespace_that_held_live_objects_can_be_deleted(environment: Environment) -> None:
    installation.remove_namespaces(environment.api, [CANDIDATES], seconds=60)

    assert environment.api.get("Namespace", "", CANDIDATES) is None
    installation.remove_namespaces(environment.api, installation.leftovers(environment.api, installation.NAMESPACE))
