"""`tidemill profile`: the distribution of every column of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.missing import require
from tidemill.contract.numbers import quantity

require("profile")

from tidemill.runtime.monitor.tables import printable  # noqa: E402
from tidemill.runtime.profile.files import Unreadable, profile_file  # noqa: E402

BAD_INPUT = 2


def profile(
    data: Annotated[Path, typer.Argument(help="A Parquet, CSV or JSON Lines file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write the profile to.")],
    like: Annotated[
        Path | None,
        typer.Option(help="Profile or table whose bins are used, so that both can be compared."),
    ] = None,
) -> None:
    """Profile a table: every column's distribution on fixed bins, a few kilobytes in place of the rows."""
    try:
        reference = None if like is None else profile_file(like).profile
        profiled = profile_file(data, reference)
        output.write_bytes(profiled.profile.to_json())
    except (Unreadable, OSError) as error:
        typer.echo(f"tidemill profile: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    result = profiled.profile
    typer.echo(f"{output}: {quantity(result.rows, 'row')}, {quantity(len(result.columns), 'column')}")
    for column in result.left_out:
        note = "identifier" if column.identifier else "left out"
        typer.echo(f"{note}: {printable(column.name)} {column.reason}", err=True)
    if profiled.unknown:
        typer.echo(f"not in the reference: {', '.join(map(printable, profiled.unknown))}", err=True)
