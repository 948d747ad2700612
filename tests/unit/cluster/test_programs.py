"""Programs that are built from what is pinned."""

import re
from pathlib import Path

import pytest

from cluster import programs, versions

KEDA = (versions.KEDA_OPERATOR, versions.KEDA_ADAPTER)
PROGRAMS = [*versions.NODE, *versions.CLIENTS, versions.STORE, versions.KIND, versions.KSTATUS_JUDGE, *KEDA]
# Versions are stated twice: here for people and cache folders, in go.mod for the build.
SOURCES = {
    "kube-apiserver": "k8s.io/kubernetes",
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": "github.com/coredns/coredns",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
    "helm": "helm.sh/helm/v4",
    "versitygw": "github.com/versity/versitygw",
    "kind": "sigs.k8s.io/kind",
    "kstatus": "github.com/fluxcd/cli-utils",
    "keda": "github.com/kedacore/keda/v2",
    "keda-adapter": "github.com/kedacore/keda/v2",
}


def pinned(module: str) -> str:
    return (programs.MODULES / module / "go.mod").read_text()


@pytest.mark.parametrize("program", [each for each in PROGRAMS if each.name in SOURCES], ids=lambda each: each.name)
def test_the_version_on_the_label_is_the_one_that_go_builds(program: versions.Program) -> None:
    match = re.search(rf"^\s*(?:require )?{re.escape(SOURCES[program.name])} v(\S+)", pinned(program.module), re.M)

    assert match is not None
    assert program.version == match[1]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.name)
def test_every_command_is_kept_by_go_mod_tidy(program: versions.Program) -> None:
    if program.package.startswith("./"):
        assert (programs.MODULES / program.module / program.package / "main.go").exists()
    else:
        assert program.package in pinned(program.module)


def test_a_change_of_what_pins_a_module_moves_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MODULES", tmp_path)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "go.mod").write_text("module toy")
    before = programs.folder("toy")

    (tmp_path / "toy" / "go.sum").write_text("pinned")

    assert before != programs.folder("toy")


def test_the_go_that_is_fetched_is_new_enough() -> None:
    assert programs.go_version(f"go{versions.GO_FETCHED}") >= versions.GO_AT_LEAST


@pytest.mark.parametrize("module", ["gatewayapi", "kind", "kubernetes", "versitygw"])
def test_no_module_needs_a_newer_go_than_we_ask_for(module: str) -> None:
    assert programs.go_needed(module) <= versions.GO_AT_LEAST


def test_a_module_that_needs_a_newer_go_gets_one_from_what_is_fetched() -> None:
    assert versions.GO_AT_LEAST < programs.go_needed("keda") <= programs.go_version(f"go{versions.GO_FETCHED}")
