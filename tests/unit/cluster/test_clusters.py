"""Clusters by name."""

from pathlib import Path

import pytest

from cluster import clusters
from cluster.choice import NoCluster, Provider
from cluster.kind import Kind


@pytest.mark.parametrize("name", ["Tidemill", "kind-tidemill", "a" * 31, "../etc", "", "ends-"])
def test_a_name_that_could_not_be_a_folder_or_a_node_is_refused(name: str) -> None:
    with pytest.raises(NoCluster, match="cannot be a cluster's name"):
        clusters.down(name)


def test_a_given_kubeconfig_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("current-context: kind-mine\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TIDEMILL_KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("TIDEMILL_CLUSTER", raising=False)

    cluster = clusters.ensure()

    assert (Provider.GIVEN, kubeconfig, "kind-mine") == (cluster.provider, cluster.kubeconfig, cluster.context)


def test_a_given_kubeconfig_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.delenv("TIDEMILL_CLUSTER", raising=False)

    with pytest.raises(NoCluster, match="nowhere"):
        clusters.ensure()


def test_where_there_is_no_cluster_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEMILL_KUBECONFIG", raising=False)

    with pytest.raises(NoCluster, match="make cluster-up"):
        clusters.existing("never-made")


def test_what_is_left_of_a_kind_cluster_is_cleared_away_when_its_engine_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    left = Kind.named("left").paths.state
    left.mkdir(parents=True)

    clusters.down("left", Provider.KIND)

    assert not left.exists()
    assert "kind delete cluster --name left" in " ".join(capsys.readouterr().err.split())
