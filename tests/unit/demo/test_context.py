from pathlib import Path

import pytest

from cluster import Cluster, Provider
from demo import context


def cluster(provider: Provider, name: str) -> Cluster:
    return Cluster("x", provider, Path("/kubeconfig"), name, Path("/state"))


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        (Provider.EMBEDDED, "tidemill"),
        (Provider.KIND, "kind-tidemill"),
        (Provider.GIVEN, "kind-mine"),
    ],
)
def test_kinds_clusters_and_our_own_are_used(provider: Provider, name: str) -> None:
    context.check(cluster(provider, name), allowed=False, environment={})


def test_somebody_elses_cluster_is_refused_with_the_way_to_allow_it() -> None:
    with pytest.raises(context.NotOurs, match="--context-is-mine"):
        context.check(cluster(Provider.GIVEN, "production"), allowed=False, environment={})


def test_a_user_may_say_that_the_cluster_is_theirs() -> None:
    given = cluster(Provider.GIVEN, "production")

    context.check(given, allowed=True, environment={})
    context.check(given, allowed=False, environment={context.ANY_CONTEXT: "1"})
