"""`tidemill profile` and `tidemill drift` as one types them."""

from __future__ import annotations

import csv
import json
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
        columns = {f"n{place}": random.normal(shift, 1, rows) for place, shift in enumerate(shifts)}
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
    found = json.loads((tmp_path / "o.json").read_text())
    assert ("Failing", "n0") == (found["verdict"], found["columns"][0]["name"])
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
        told = [(row["column"], row["metric"], float(row["value"])) for row in csv.DictReader(file)]
    block, printed = "", []
    for line in result.output.removeprefix(usual.output).splitlines():
        words = line.split()
        if words and not line.startswith("  "):
            block = words[0]
        elif words and words[0] != "Rows":
            printed.append((block, words[0], pytest.approx(float(words[1]), rel=1e-5)))
    assert result.output.startswith(usual.output.rstrip())
    assert told == printed and len(told) > 50


def test_all_prints_columns_beyond_the_first_25(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"n{place:02d}": random.normal(size=50) for place in range(30)}), path)

    short, whole = run(drift, path, path).output, run(drift, path, path, "--all").output

    assert "… and 5 more; --all prints them" in short and "n29" not in short
    assert "n29 (Numerical): Passing" in whole and "more;" not in whole


def test_all_is_said_in_the_help() -> None:
    assert "--all" in run(drift, "--help").output


def test_an_identifier_is_left_out(tmp_path: Path) -> None:
    paths = []
    for start in (0, 5000):
        path = tmp_path / f"{start}.parquet"
        ids = [f"id-{place}" for place in range(start, start + 5000)]
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
        pytest.param(("{before}", "{before}", "--method", "PSIX"), "no method 'PSIX'", id="no such method"),
        pytest.param(("{before}", "{before}", "--html", "/nowhere/x.html"), "nowhere", id="nowhere to write"),
    ],
)
def test_bad_input_exits_with_2_and_says_why(tables: Any, arguments: tuple[str, ...], why: str) -> None:
    before = str(tables("before"))

    result = run(drift, *(argument.format(before=before) for argument in arguments))

    assert (2, True) == (result.exit_code, why in result.output)
