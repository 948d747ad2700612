"""`tidemill controller`: the operator process, as its pod runs it. Its options are made from the table of settings."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from tidemill.engine.settings import MISSING, Setting, build, table


def _run(**given: Any) -> None:
    """Run the operator: watch and reconcile the five custom resources."""
    settings = build({row.name: _parsed(row, given[row.name]) for row in table()})
    try:
        # The command line also runs where the operator's libraries are not installed.
        from tidemill import app
    except ImportError as absent:
        raise typer.BadParameter(f"{absent}; install tidemill[controller]") from absent
    from tidemill.engine.connection import NotConnectedError

    try:
        code = app.run(settings)
    except NotConnectedError as problem:
        typer.echo(f"tidemill controller: {problem}", err=True)
        code = 2
    raise typer.Exit(code)


def _signature() -> inspect.Signature:
    """Return the options as Typer reads them from a signature."""
    return inspect.Signature([_parameter(row) for row in table()])


def _parameter(row: Setting) -> inspect.Parameter:
    choices = f" One of {', '.join(row.choices)}." if row.choices else ""
    option = typer.Option(
        f"--{row.name.replace('_', '-')}" + (f"/--no-{row.name.replace('_', '-')}" if row.type is bool else ""),
        envvar=row.variable,
        help=row.help + choices,
        rich_help_panel=row.panel,
        min=row.minimum,
        max=row.maximum,
    )
    is_list = row.type == tuple[str, ...]
    return inspect.Parameter(
        row.name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[str if is_list else row.type, option],
        default=inspect.Parameter.empty
        if row.default is MISSING
        else ",".join(row.default)
        if is_list
        else row.default,
    )


def _parsed(row: Setting, value: Any) -> Any:
    """Return the value in the type of the setting; BadParameter with the choices where it is none of them."""
    if row.type == tuple[str, ...]:
        return _listed(value)
    if row.name == "metrics_address":
        return _address(value)
    if row.choices:
        matching = [choice for choice in row.choices if choice.lower() == value.lower()]
        if not matching:
            raise typer.BadParameter(
                f"'{value}' is invalid; use one of {', '.join(row.choices)}",
                param_hint=f"--{row.name.replace('_', '-')}",
            )
        return matching[0]
    return value


def _listed(text: str) -> tuple[str, ...]:
    """Return what commas separate, each once.

    >>> _listed("a, b,,a")
    ('a', 'b')
    """
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _address(text: str) -> str:
    """Return an address with a valid port.

    >>> _address(":9090"), _address("127.0.0.1:0")
    (':9090', '127.0.0.1:0')
    """
    port = text.rpartition(":")[2]
    if ":" not in text or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(f"'{text}' is not host:port; use for example :9090", param_hint="--metrics-address")
    return text


controller = _run
controller.__signature__ = _signature()  # type: ignore[attr-defined]
controller.__annotations__ = {name: parameter.annotation for name, parameter in _signature().parameters.items()}
