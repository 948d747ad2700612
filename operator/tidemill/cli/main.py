"""The command line: one group whose commands are imported when they are used.

So `tidemill --help` is quick, and a command whose libraries are not in an image says so instead of failing on import.
"""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.cli.commands import COMMANDS, EPILOG
from tidemill.runtime.process.allocator import release_memory_soon

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the command that the arguments name; only that command's libraries are loaded."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # In any locale: output is UTF-8, and a file name that is not is escaped.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    arguments = {(): ["--help"], ("version",): ["--version"]}.get(tuple(sys.argv[1:]), sys.argv[1:])
    if arguments and arguments[0] in COMMANDS:
        release_memory_soon()
        module = importlib.import_module(COMMANDS[arguments[0]].module)
        if hasattr(module, "main"):
            # A serving pod reads its arguments without Typer, which takes a fifth of the time to its first answer.
            module.main(arguments[1:])
            return
    program = Path(sys.argv[0]).name
    app()(arguments, prog_name="kubectl tidemill" if program.startswith("kubectl-") else "tidemill")


def app() -> typer.Typer:
    """Return the group of all commands."""
    from tidemill.cli.group import build

    return build(COMMANDS, EPILOG)
