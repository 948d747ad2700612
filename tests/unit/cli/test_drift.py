"""`tidemill profile` and `tidemill drift` as one types them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from tidemill.cli.drift import drift
from tidemill.cli.profile import profile


def run(command: Any, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tables(tmp_path: Path) -> Any:
    """Writes a table of three columns, moved by so many of its spreads, and returns its path."""

    def write(name: str, *moved: float, rows: int = 5000) -> Path:
        random = np.random.default_rng(len(name))
        shifts = (*moved, 0.0, 0.0)[:2]
        columns = {f"n{index}": random.normal(shift, 1, rows) for index, shift in enumerate(shifts)}
        table = pa.table({**columns, "shop": random.choice(["a", "b"], rows)})
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    return write


def test_tables_alike_exit_with_0(tables: Any) -> None:
    result = run(drift, tables("before"), tables("now"))

    assert 0 == result.exit_code
    assert result.output.startswith("Passing: 0 of 3 columns moved")


def test_one_moved_column_of_three_is_a_warning_below_the_share(tables: Any) -> None:
    result = run(drift, tables("before"), tables("now", 1.0), "--share", 0.5)

    assert 3 == result.exit_code
    assert result.output.startswith("Warning: 1 of 3 columns moved by 0.2 or more: n0 (")


def test_a_share_of_moved_columns_exits_with_4(tables: Any) -> None:
    result = run(drift, tables("before"), tables("now", 1.0, 1.0))

    assert 4 == result.exit_code


def test_the_profile_of_the_reference_gives_the_same_answer_as_its_rows(tables: Any, tmp_path: Path) -> None:
    before, now, kept = tables("before"), tables("now", 0.4), tmp_path / "before.json"

    made = run(profile, before, "-o", kept)

    assert 0 == made.exit_code, made.output
    assert run(drift, before, now).output == run(drift, kept, now).output


def test_two_profiles_compare_when_one_was_counted_like_the_other(tables: Any, tmp_path: Path) -> None:
    before, now = tmp_path / "before.json", tmp_path / "now.json"
    run(profile, tables("before"), "-o", before)
    run(profile, tables("now", 1.0), "-o", now, "--like", before)

    assert 4 == run(drift, before, now).exit_code


def test_everything_can_be_written_to_files(tables: Any, tmp_path: Path) -> None:
    result = run(
        drift,
        tables("before"),
        tables("now", 1.0),
        "--json",
        tmp_path / "o.json",
        "--csv",
        tmp_path / "o.csv",
        "--html",
        tmp_path / "o.html",
    )

    assert 4 == result.exit_code
    document = json.loads((tmp_path / "o.json").read_text())
    assert ("Failing", "n0") == (document["verdict"], document["columns"][0]["name"])
    with (tmp_path / "o.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"column", "metric", "value"} == set(rows[0])
    assert {"PSI", "JensenShannon", "Hellinger", "TotalVariation", "CramersV", "KolmogorovSmirnov", "Wasserstein"} <= {
        row["metric"] for row in rows
    }
    assert "<svg" in (tmp_path / "o.html").read_text()


def test_all_prints_every_statistic_of_every_column(tables: Any, tmp_path: Path) -> None:
    paths = (tables("before"), tables("now", 1.0))

    result, usual = run(drift, *paths, "--all", "--csv", tmp_path / "o.csv"), run(drift, *paths)

    with (tmp_path / "o.csv").open() as file:
        rows = [(row["column"], row["metric"], float(row["value"])) for row in csv.DictReader(file)]
    block, printed = "", []
    for line in result.output.removeprefix(usual.output).splitlines():
        words = line.split()
        if words and not line.startswith("  "):
            block = words[0]
        elif words and words[0] != "Rows":
            printed.append((block, words[0], pytest.approx(float(words[1]), rel=1e-5)))
    assert result.output.startswith(usual.output.rstrip())
    assert rows == printed and len(rows) > 50


def test_all_prints_columns_beyond_the_first_25(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"n{index:02d}": random.normal(size=50) for index in range(30)}), path)

    short, whole = run(drift, path, path).output, run(drift, path, path, "--all").output

    assert "… and 5 more; --all prints them" in short and "n29" not in short
    assert "n29 (Numerical): Passing" in whole and "more;" not in whole


def test_all_is_said_in_the_help() -> None:
    assert "--all" in run(drift, "--help").output


def test_an_identifier_is_left_out(tmp_path: Path) -> None:
    paths = []
    for start in (0, 5000):
        path = tmp_path / f"{start}.parquet"
        ids = [f"id-{index}" for index in range(start, start + 5000)]
        pq.write_table(pa.table({"id": ids, "x": np.random.default_rng(start).normal(size=5000)}), path)
        paths.append(path)

    result = run(drift, *paths)

    assert (0, True) == (result.exit_code, "left out as identifiers: id" in result.output)


def test_nothing_to_compare_is_bad_input_and_not_no_drift(tables: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("n0,n1,shop\n")

    result = run(drift, tables("before"), empty)

    assert (2, True) == (result.exit_code, "No data" in result.output)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(("absent.parquet", "absent.parquet"), "cannot be opened", id="no such file"),
        pytest.param(("{before}", "{before}", "--method", "PSIX"), "unknown method 'PSIX'", id="no such method"),
        pytest.param(("{before}", "{before}", "--html", "/nowhere/x.html"), "nowhere", id="nowhere to write"),
    ],
)
def test_bad_input_exits_with_2_and_says_why(tables: Any, arguments: tuple[str, ...], why: str) -> None:
    before = str(tables("before"))

    result = run(drift, *(argument.format(before=before) for argument in arguments))

    assert (2, True) == (result.exit_code, why in result.output)


PATH = {"PYTHONPATH": os.pathsep.join(sys.path)}


def written(path: Path, table: dict[str, Any]) -> Path:
    pq.write_table(pa.table(table), path)
    return path


LOST: dict[str, tuple[Any, int, str]] = {
    "its values": ([None] * 950 + ["p"] * 50, 3, "1 lost values or changed: c 95.0% of the values are missing"),
    "some of its values": ([None] * 300 + ["p"] * 350 + ["q"] * 350, 3, "c 30.0% of the values are missing (0.0% in"),
    "few of its values": ([None] * 100 + ["p"] * 450 + ["q"] * 450, 0, "0 of 4 columns moved"),
    "itself": (None, 3, "1 lost values or changed: c is absent"),
}


@pytest.mark.parametrize(("cells", "code", "message"), LOST.values(), ids=LOST.keys())
def test_a_column_that_lost_something_does_not_pass(tmp_path: Path, cells: Any, code: int, message: str) -> None:
    random = np.random.default_rng(4)
    others = {name: random.normal(size=1000) for name in ("x", "y", "z")}
    before = written(tmp_path / "before", {**others, "c": ["p", "q"] * 500})
    now = written(tmp_path / "now", others if cells is None else {**others, "c": pa.array(cells, pa.string())})

    result = run(drift, before, now, "--share", 0.9)

    assert result.exit_code == code
    assert message in result.output


def test_numbers_that_became_text_fail_with_the_reason(tmp_path: Path) -> None:
    before = written(tmp_path / "before", {"price": np.random.default_rng(1).normal(size=500)})
    now = written(tmp_path / "now", {"price": ["on request"] * 500})

    result = run(drift, before, now)

    assert result.exit_code == 4
    assert "price 100.0% of the values are not numbers (0.0% in the reference)" in result.output


def test_what_is_not_compared_is_told_with_the_reason(tmp_path: Path) -> None:
    columns = {
        "x": np.random.default_rng(1).normal(size=9),
        "tags": [["a"]] * 9,
        "raw": [b"\xff"] * 9,
        "void": pa.nulls(9),
    }
    path = written(tmp_path / "t", columns)
    wider = written(tmp_path / "wider", {**columns, "extra": [1.0] * 9})

    result = run(drift, path, wider, "--json", tmp_path / "o.json")

    assert "left out: tags holds nested values" in result.output
    assert "left out: raw holds bytes (binary), which are not compared" in result.output
    assert "left out: void has no values at all" in result.output
    assert "not in the reference: extra" in result.output
    document = json.loads((tmp_path / "o.json").read_text())
    assert {"tags", "raw", "void"} == {column["name"] for column in document["leftOut"]}
    assert ["extra"] == document["notInReference"]


def test_names_are_printed_in_one_line_and_command_no_terminal(tmp_path: Path) -> None:
    table = {"a\nb": [1.0, 2.0], "\x1b[31mred": [1.0, 2.0], "": [3.0, 4.0]}
    path = written(tmp_path / "t", table)

    result = run(drift, path, path, "--all", "--html", tmp_path / "o.html")

    assert {"a\\nb", "\\x1b[31mred", "''"} <= {line.split()[0] for line in result.output.splitlines() if line}
    assert "\x1b" not in result.output + (tmp_path / "o.html").read_text()


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "cp1252"}],
    ids=["POSIX", "cp1252"],
)
def test_output_is_utf8_in_any_locale(environment: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path / "t", {"größe→": [1.0, 2.0]})
    command = [sys.executable, "-m", "tidemill", "drift", path, path, "--html", tmp_path / "o.html"]

    done = subprocess.run(command, capture_output=True, env={**os.environ, **PATH, **environment}, check=True)

    assert "größe→" in done.stdout.decode()
    assert "größe→" in (tmp_path / "o.html").read_bytes().decode()


LIGHT = """
import sys

class Blocked:
    absent = set(sys.argv[1].split(","))
    heavy = {"scipy", "sklearn", "pandas", "bentoml", "onnx", "onnxruntime", "skops", "obstore", "kopf", "kubernetes",
             "river", "shap", "uvicorn", "aiohttp", "httptools", "simdjson", "croniter", "prometheus_client", "jinja2"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.heavy | self.absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Blocked())
sys.argv = ["tidemill", *sys.argv[2:]]
from tidemill.cli.main import main
main()
"""


def light(without: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", LIGHT, without, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **PATH})


def test_three_libraries_are_enough_to_profile_and_to_compare(tmp_path: Path) -> None:
    path = written(tmp_path / "t", {"x": np.random.default_rng(1).normal(size=99), "c": ["a", "b", "c"] * 33})

    assert light("", "profile", path, "-o", tmp_path / "p.json").returncode == 0
    done = light(
        "", "drift", tmp_path / "p.json", path, "--json", tmp_path / "o.json", "--csv", tmp_path / "o.csv", "--all"
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("absent", ["numpy", "pyarrow", "orjson"])
def test_without_them_a_sentence_says_what_to_install(absent: str, tmp_path: Path) -> None:
    done = light(absent, "drift", tmp_path / "a", tmp_path / "b")

    assert done.returncode == 2
    assert "pip install 'tidemill[drift]'" in done.stderr and "Traceback" not in done.stderr
