"""What is generated is what lies in the repository, and what is not is found out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from chart.conftest import CHART
from cluster import clients, versions
from tidemill.cli.generate import command as module
from tidemill.cli.generate.values import table

REPOSITORY = CHART.parents[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generated part of the repository, to be spoilt."""
    for folder in ("charts", "crds"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    (tmp_path / "manifests" / "monitoring").mkdir(parents=True)
    shutil.copy(REPOSITORY / module.METRICS, tmp_path / module.METRICS)
    shutil.copy(REPOSITORY / module.INSTALL, tmp_path / module.INSTALL)
    return tmp_path


def generate(root: Path, *words: str, helm: str = "") -> tuple[int, str]:
    app = Typer()
    app.command()(module.generate)
    chosen = helm or str(clients.locate(versions.HELM_CLIENT))
    result = CliRunner().invoke(app, ["--root", str(root), "--helm", chosen, *words])
    return result.exit_code, result.output


def test_the_repository_is_as_generated() -> None:
    assert (0, "") == generate(REPOSITORY, "--check")


def test_a_file_changed_by_hand_is_named_and_left(copy: Path) -> None:
    path = copy / "crds" / "datasets.tidemill.dev.yaml"
    path.write_text("spoilt")
    code, output = generate(copy, "--check")

    assert 1 == code
    assert "differs crds/datasets.tidemill.dev.yaml" in output
    assert "run `make generate`" in output
    assert "spoilt" == path.read_text()


def test_a_missing_file_is_written_and_then_all_is_well(copy: Path) -> None:
    (copy / "crds" / "README.md").unlink()

    assert (0, "wrote crds/README.md\n") == generate(copy)
    assert (0, "") == generate(copy, "--check")


def test_a_changed_chart_changes_the_plain_manifest(copy: Path) -> None:
    values = copy / "charts" / "tidemill" / "values.yaml"
    values.write_text(values.read_text().replace("workers: 8", "workers: 9"))
    code, output = generate(copy, "--check")

    assert 1 == code
    assert "differs manifests/install.yaml" in output


def test_without_helm_the_remedy_is_named(copy: Path) -> None:
    code, output = generate(copy, helm="no-such-helm")

    assert 2 == code
    assert "install Helm" in output


def test_a_chart_that_does_not_render_is_told_in_helm_s_words(copy: Path) -> None:
    (copy / "charts" / "tidemill" / "templates" / "broken.yaml").write_text("{{ fail `no tide today` }}")
    code, output = generate(copy)

    assert 2 == code
    assert "no tide today" in output


def test_another_folder_is_refused(tmp_path: Path) -> None:
    code, output = generate(tmp_path)

    assert 2 == code
    assert "run this in the repository" in " ".join(output.split())


def test_the_plain_manifest_holds_no_secret_and_makes_its_namespace() -> None:
    objects = [manifest for manifest in yaml.safe_load_all((REPOSITORY / module.INSTALL).read_text()) if manifest]

    assert [] == [manifest for manifest in objects if manifest["kind"] == "Secret"]
    assert "Namespace" == objects[0]["kind"]
    assert {module.NAMESPACE} == {
        manifest["metadata"]["namespace"] for manifest in objects if "namespace" in manifest["metadata"]
    }


def test_every_value_has_a_meaning() -> None:
    rows = list(table((CHART / "values.yaml").read_text()))

    assert [] == [row.path for row in rows if not row.meaning]


def test_every_value_has_a_row() -> None:
    """Every leaf is a row, or lies within a row that is written on one line."""
    rows = {row.path for row in table((CHART / "values.yaml").read_text())}

    def leaves(value: object, path: str) -> list[str]:
        if path in rows or not isinstance(value, dict):
            return [] if path in rows else [path]
        return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{path}.{name}".lstrip("."))]

    assert [] == leaves(yaml.safe_load((CHART / "values.yaml").read_text()), "")
