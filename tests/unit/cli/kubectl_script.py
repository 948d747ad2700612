"""A kubectl that is a script on the PATH: it knows a few objects, and writes down what it is asked to annotate."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from tidemill.api import API_VERSION, KINDS
from tidemill.cli.main import app

SCRIPT = """\
#!{python} -SE
import json, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
if "whoami" in sys.argv:
    print("ann", end="")
if "get" in sys.argv:
    kind, name = sys.argv[sys.argv.index("get") + 1].split("/")
    path = folder / (kind + "-" + name + ".json")
    if not path.exists():
        sys.exit(f'Error from server (NotFound): {{kind}} "{{name}}" not found')
    print(path.read_text())
"""
PLURALS = {kind.kind_name: kind.plural for kind in KINDS}


class Done(NamedTuple):
    """What the command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


class FakeKubectl:
    """A folder with the script and the objects that it knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = folder / "kubectl"
        script.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        script.chmod(0o755)

    def know(self, kind: str, name: str, spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> None:
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": "default", "generation": 2, **metadata},
            "spec": spec,
            "status": status,
        }
        (self.folder / f"{PLURALS[kind]}.tidemill.dev-{name}.json").write_text(json.dumps(manifest))

    def run(self, *arguments: str) -> Done:
        """The plugin, with this kubectl first on the PATH."""
        result = CliRunner().invoke(app(), arguments, env={"PATH": f"{self.folder}:{os.environ['PATH']}"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    @property
    def annotated(self) -> list[list[str]]:
        calls = self.folder / "calls"
        asked = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        return [call for call in asked if "annotate" in call]
