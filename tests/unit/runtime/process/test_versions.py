"""Modules that lean on a library's insides refuse other releases, and pyproject.toml asks for none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tidemill.runtime.log import arrow
from tidemill.runtime.model import sklearn_internals
from tidemill.runtime.process import versions
from tidemill.runtime.process.versions import SupportedVersions
from tidemill.runtime.serve.http import connection
from tidemill.runtime.train import compiler

PYPROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))
LEANED_ON = (
    arrow.SUPPORTED,
    sklearn_internals.SUPPORTED,
    connection.UVICORN,
    connection.HTTPTOOLS,
    compiler.SKL2ONNX,
    compiler.ONNX,
)


@pytest.mark.parametrize("supported", LEANED_ON, ids=lambda supported: supported.package)
def test_images_install_what_the_module_was_written_for(supported: SupportedVersions) -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = {
        requirement
        for extra in ("workload", "server")
        for requirement in extras[extra]
        if requirement.startswith(f"{supported.package}>")
    }

    assert {supported.requirement} == requirements
    supported.require()


@pytest.mark.parametrize("installed", ["1.8.2", "1.10.0", "2.0"])
def test_another_release_is_refused(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda _: installed)

    with pytest.raises(RuntimeError, match=r"is installed; install library>=1\.9,<1\.10"):
        SupportedVersions("library", (1, 9), (1, 10)).require()


@pytest.mark.parametrize("installed", ["1.9", "1.9.0", "1.9.7.post1", "1.9.1rc1"])
def test_every_patch_of_the_release_is_taken(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda _: installed)

    SupportedVersions("library", (1, 9), (1, 10)).require()
