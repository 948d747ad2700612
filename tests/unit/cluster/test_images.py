import json
from pathlib import Path

import pytest

from cluster import Cluster, NoCluster, Provider, images

NAMES = {role: f"registry.example.com/tidemill/{role}:1" for role in ("controller", "workload", "server", "store")}


def given(state: Path) -> Cluster:
    return Cluster("given", Provider.GIVEN, state / "kubeconfig", "prod", state)


def test_a_given_cluster_has_the_images_that_a_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "named.json").write_text(json.dumps(NAMES))
    monkeypatch.setenv("TIDEMILL_IMAGES", str(tmp_path / "named.json"))

    assert NAMES == images.named(given(tmp_path))


def test_a_given_cluster_without_named_images_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_IMAGES", raising=False)

    with pytest.raises(NoCluster, match="TIDEMILL_IMAGES"):
        images.named(given(tmp_path))


def test_a_file_that_names_too_few_says_which_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "named.json").write_text(json.dumps({"controller": "c:1"}))
    monkeypatch.setenv("TIDEMILL_IMAGES", str(tmp_path / "named.json"))

    with pytest.raises(NoCluster, match="does not name server, store, workload"):
        images.named(given(tmp_path))
