"""`tidemill drift`: how far a table has moved from another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from tidemill.cli.missing import require

require("drift")

from tidemill.api.methods import CheckVerdict, Method  # noqa: E402
from tidemill.runtime.monitor import tables  # noqa: E402
from tidemill.runtime.profile.files import Unreadable, profile_file  # noqa: E402

BAD_INPUT: Final = 2
EXIT_CODES: Final[dict[CheckVerdict, int]] = {"Passing": 0, "Warning": 3, "Failing": 4, "NoData": BAD_INPUT}


def drift(
    reference: Annotated[Path, typer.Argument(help="Before: Parquet, CSV, JSON Lines, or a profile of it.")],
    current: Annotated[
        Path, typer.Argument(help="Now: Parquet, CSV, JSON Lines, or a profile counted like the reference.")
    ],
    json: Annotated[Path | None, typer.Option(help="Write the result as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML report.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every statistic as column,metric,value.")] = None,
    all_: Annotated[
        bool,
        typer.Option(
            "--all", help="Print every statistic of every column; by default the usual ones of the first 25 columns."
        ),
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(get_args(Method))}; Auto is PSI less the amount that chance alone gives."
        ),
    ] = "Auto",
    warning: Annotated[float, typer.Option(min=0, help="Distance from which a column is a warning.")] = 0.1,
    failing: Annotated[float, typer.Option(min=0, help="Distance from which a column has moved.")] = 0.2,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of moved columns from which the table fails.")
    ] = 0.3,
) -> None:
    """Compare two tables: the verdict, the columns that moved, and by how much; with --all every statistic there is.

    Exit code 0: no drift; 3: some columns moved, are gone, or lost values or their type; 4: the share of such columns is
    reached; 2: bad input, or nothing to compare.
    """
    try:
        if method not in get_args(Method):
            raise Unreadable(f"unknown method {method!r}; use one of {', '.join(get_args(Method))}")
        before = profile_file(reference)
        now = profile_file(current, before.profile)
        limits = tables.Limits(method, warning, failing, share)  # type: ignore[arg-type]
        result = tables.drift(before.profile, now.profile, limits, now.unknown)
        if json is not None:
            json.write_bytes(tables.to_json(result))
        if csv is not None:
            csv.write_bytes(tables.to_csv(result).encode())
        if html is not None:
            html.write_bytes(tables.to_html(result, reference.name, current.name).encode(errors="backslashreplace"))
    except (Unreadable, OSError) as error:
        typer.echo(f"tidemill drift: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    typer.echo(
        tables.to_text(result, most=None) + "\n\n" + tables.every_statistic(result) if all_ else tables.to_text(result)
    )
    raise typer.Exit(EXIT_CODES[result.verdict])
