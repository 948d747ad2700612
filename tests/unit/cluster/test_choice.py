"""Which cluster a machine gets."""

import pytest

from cluster.choice import NoCluster, Provider, choose

CASES = {
    "a given kubeconfig wins": ({"TIDEMILL_KUBECONFIG": "/some/where"}, "docker", True, Provider.GIVEN),
    "an engine that answers means kind": ({}, "docker", True, Provider.KIND),
    "podman is an engine too": ({}, "podman", False, Provider.KIND),
    "root on Linux without an engine gets the embedded node": ({}, None, True, Provider.EMBEDDED),
    "the embedded node can be had in spite of an engine": (
        {"TIDEMILL_CLUSTER": "embedded"},
        "docker",
        True,
        Provider.EMBEDDED,
    ),
    "a wish beats what is given": (
        {"TIDEMILL_CLUSTER": "kind", "TIDEMILL_KUBECONFIG": "/some/where"},
        "docker",
        True,
        Provider.KIND,
    ),
}


@pytest.mark.parametrize(("environment", "engine", "root", "expected"), CASES.values(), ids=CASES.keys())
def test_the_first_possible_provider_is_chosen(
    environment: dict[str, str], engine: str | None, root: bool, expected: Provider
) -> None:
    chosen = choose(environment, engine=lambda: engine, root_on_linux=lambda: root)

    assert expected == chosen


REFUSALS = {
    "nothing to run on": ({}, None, False, "start Docker or Podman"),
    "kind without an engine": ({"TIDEMILL_CLUSTER": "kind"}, None, True, "neither docker nor podman"),
    "embedded without root": ({"TIDEMILL_CLUSTER": "embedded"}, "docker", False, "needs Linux and root"),
    "an unknown wish": ({"TIDEMILL_CLUSTER": "minikube"}, "docker", True, "'minikube'"),
}


@pytest.mark.parametrize(("environment", "engine", "root", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_machine_that_cannot_have_a_cluster_is_told_what_would_help(
    environment: dict[str, str], engine: str | None, root: bool, message: str
) -> None:
    with pytest.raises(NoCluster, match=message):
        choose(environment, engine=lambda: engine, root_on_linux=lambda: root)
