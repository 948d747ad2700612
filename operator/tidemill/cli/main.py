"""One command per module; a command whose libraries are not in this image says so instead of failing on import."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import tidemill
from tidemill.runtime.process.allocator import release_memory_soon

COMMANDS: Final = {
    "controller": ("tidemill.cli.controller", "Run the operator."),
    "run": ("tidemill.cli.run", "Carry out the order of a workload pod."),
    "serve": ("tidemill.cli.serve", "Answer the Open Inference Protocol with a model."),
    "check": ("tidemill.cli.monitor", "Have a DriftMonitor check the window that ends now."),
    "retrain": ("tidemill.cli.monitor", "Have a DriftMonitor retrain."),
    "reset": ("tidemill.cli.monitor", "Close a DriftMonitor's circuit again."),
    "work": ("tidemill.cli.work", "Carry out the checks of a DriftMonitor as they are asked for."),
    "receive": ("tidemill.cli.receive", "Take what other systems say for a DriftMonitor's External checks."),
    "profile": ("tidemill.cli.profile", "Profile a table."),
    "promote": ("tidemill.cli.rollout", "Let a candidate go on to its next stage, or to the end."),
    "abort": ("tidemill.cli.rollout", "Roll a candidate back."),
    "pause": ("tidemill.cli.rollout", "Hold a candidate at the share it has."),
    "resume": ("tidemill.cli.rollout", "Take a pause back."),
    "drift": ("tidemill.cli.drift", "Compare two tables or profiles."),
    "generate": ("tidemill.cli.generate", "Write CRDs, chart copies, manifests and the reference from the types."),
}


def main() -> None:
    """Run the command that the arguments name; only that command's libraries are loaded."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["version"]):
        print(f"tidemill {tidemill.__version__}")
        return
    if not arguments or arguments[0] not in COMMANDS:
        width = max(map(len, COMMANDS))
        print("Usage: tidemill COMMAND [OPTIONS]\n")
        for name, (_, help_text) in COMMANDS.items():
            print(f"  {name:{width}}  {help_text}")
        wants_help = arguments in ([], ["--help"], ["-h"])
        if not wants_help:
            print(f"\nThere is no command {arguments[0]!r}.", file=sys.stderr)
        raise SystemExit(0 if wants_help else 2)
    command, module_name = arguments[0], COMMANDS[arguments[0]][0]
    release_memory_soon()
    module = importlib.import_module(module_name)
    if hasattr(module, "main"):
        module.main(arguments[1:])
        return
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name=command)(getattr(module, command))
    sys.argv = [f"tidemill {command}", *arguments[1:]]
    app(prog_name=f"tidemill {command}")
