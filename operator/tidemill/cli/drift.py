"""`tidemill drift`: how far a table has moved from another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from tidemill.api.checks import CheckVerdict, Method
from tidemill.runtime.monitor import tables
from tidemill.runtime.profile.files import Unreadable, profile_file

BAD_INPUT: Final = 2
EXIT_CODES: Final[dict[CheckVerdict, int]] = {"Passing": 0, "Warning": 3, "Failing": 4, "NoData": BAD_INPUT}


def drift(
    reference: Annotated[Path, typer.Argument(help="Before: Parquet, CSV, or a profile of it.")],
    current: Annotated[Path, typer.Argument(help="Now: Parquet, CSV, or a profile counted like the reference.")],
    json: Annotated[Path | None, typer.Option(help="Write everything that was found as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report to look at.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every statistic as column,metric,value.")] = None,
    all_: Annotated[
        bool,
        typer.Option("--all", help="Print every statistic of every column, not only the usual ones of the first 25."),
    ] = False,
    method: Annotated[
        str, typer.Option(help=f"One of {', '.join(get_args(Method))}; Auto is PSI less chance.")
    ] = "Auto",
    warning: Annotated[float, typer.Option(min=0, help="A column at this distance is worth a look.")] = 0.1,
    failing: Annotated[float, typer.Option(min=0, help="A column at this distance has moved.")] = 0.2,
    share: Annotated[float, typer.Option(min=0, max=1, help="So large a share of moved columns is failing.")] = 0.3,
) -> None:
    """Compare two tables: the verdict, the columns that moved, and by how much; with --all every statistic there is.

    Exit code 0: no drift; 3: some columns moved; 4: the share of moved columns is reached; 2: bad input.
    """
    try:
        if method not in get_args(Method):
            raise Unreadable(f"there is no method {method!r}; take one of {', '.join(get_args(Method))}")
        before = profile_file(reference)
        now = profile_file(current, before.profile)
        limits = tables.Limits(method, warning, failing, share)  # type: ignore[arg-type]
        found = tables.drift(before.profile, now.profile, limits)
        if json is not None:
            json.write_bytes(tables.to_json(found))
        if csv is not None:
            csv.write_text(tables.to_csv(found))
        if html is not None:
            html.write_text(tables.to_html(found, reference.name, current.name))
    except (Unreadable, OSError) as error:
        typer.echo(f"tidemill drift: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    typer.echo(
        tables.to_text(found, most=None) + "\n\n" + tables.every_statistic(found) if all_ else tables.to_text(found)
    )
    if now.left_out:
        typer.echo(f"not in the reference: {', '.join(now.left_out)}")
    raise typer.Exit(EXIT_CODES[found.verdict])
