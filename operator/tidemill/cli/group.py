"""A Typer group that imports a command's module when the command is used, not when commands are listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tidemill
from tidemill.cli.commands import Entry


def build(entries: Mapping[str, Entry], epilog: str) -> typer.Typer:
    """Return the group of `entries`."""

    class LazyGroup(TyperGroup):
        """Commands by name, of which only the one that is used is imported."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            # Only the names are read from it, to suggest one where a name is misspelt.
            self.commands = dict.fromkeys(name for name, entry in entries.items() if entry.panel)  # type: ignore[assignment]

        def list_commands(self, ctx: Any) -> list[str]:
            return list(entries)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return load(cmd_name, entries[cmd_name]) if cmd_name in entries else None

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            panels: dict[str, list[tuple[str, str]]] = {}
            for name, entry in entries.items():
                panels.setdefault(entry.panel, []).append((name, entry.help))
            for panel, rows in panels.items():
                if panel:
                    with formatter.section(panel):
                        formatter.write_dl(rows)

    group = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=epilog,
    )
    group.callback()(_root)
    return group


def load(name: str, entry: Entry) -> Any:
    """Import the command's module, and return the command."""
    module = importlib.import_module(entry.module)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    epilog = f"Exit codes: {entry.exit_codes}" if entry.exit_codes else None
    app.command(name=name, epilog=epilog, hidden=not entry.panel)(getattr(module, name))
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidemill {tidemill.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Run machine learning models in Kubernetes through their whole life, and compare data on this machine."""
