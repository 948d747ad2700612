"""The wheel, installed with the extra `drift` into an environment of its own, compares tables; without it, it says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[3]
UV = ROOT / ".venv" / "bin" / "uv"
ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not UV.exists(), reason="no uv in .venv; make .venv/.ready"),
]


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=ALONE)
    assert not check or 0 == done.returncode, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what is in this folder, built from a copy, since a build leaves files behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "operator", source / "operator", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    run(UV, "build", "--quiet", "--wheel", "--out-dir", out, source)
    [built] = out.glob("tidemill-*.whl")
    return built


def installed(wheel: Path, folder: Path, extra: str) -> Path:
    """The folder of programs of a new environment in which the wheel is."""
    run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    run(UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", f"{wheel}{extra}")
    return folder / "bin"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    pq.write_table(pa.table({"x": rng.normal(size=500), "shop": rng.choice(["a", "b"], 500)}), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_the_extra_drift_is_enough_for_drift_and_profile(wheel: Path, table: Path, tmp_path: Path) -> None:
    programs = installed(wheel, tmp_path / "venv", "[drift]")

    compared = run(
        programs / "tidemill", "drift", table, table, "--html", tmp_path / "t.html", "--json", tmp_path / "t"
    )
    profiled = run(programs / "tidemill", "profile", table, "-o", tmp_path / "p.json")
    there = run(UV, "pip", "freeze", "--python", programs / "python").stdout

    assert compared.stdout.startswith("Passing: 0 of 2 columns moved")
    assert "500 rows, 2 columns" in profiled.stdout
    assert "<html" in (tmp_path / "t.html").read_text("utf-8")
    assert not [name for name in ("pandas", "scipy", "scikit-learn", "kopf", "bentoml") if f"\n{name}==" in there]


def test_without_the_extra_one_line_says_what_to_install(wheel: Path, table: Path, tmp_path: Path) -> None:
    programs = installed(wheel, tmp_path / "venv", "")

    done = run(programs / "tidemill", "drift", table, table, check=False)

    assert 2 == done.returncode
    assert [
        "tidemill drift: needs numpy, pyarrow, orjson; numpy is not installed; run `pip install 'tidemill[drift]'`"
    ] == done.stderr.splitlines()
