"""The kubectl at hand: read, create and change one object.

The verbs of the plugin ask kubectl rather than the API server, so that a user who is logged in with kubectl needs nothing else.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from pydantic import ValidationError

from tidemill.api import GROUP, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace; by default that of kubectl's context.")]
Context = Annotated[str, typer.Option("--context", help="Context of kubectl; by default the current one.")]
Kind = TypeVar("Kind", Dataset, InferenceService, DriftMonitor, TrainingJob, ModelVersion)

REFUSED: Final = 1
FIELD_MANAGER: Final = "kubectl-tidemill"


class Kubectl:
    """Run kubectl in one namespace and context; whatever it refuses ends the command with exit code 1."""

    def __init__(self, namespace: str, context: str) -> None:
        program = shutil.which("kubectl")
        if program is None:
            refuse("kubectl was not found on the PATH; install kubectl")
        self._namespace = namespace
        self._command = [program]
        if context:
            self._command += ["--context", context]
        if namespace:
            self._command += ["--namespace", namespace]

    @property
    def command(self) -> list[str]:
        """Return kubectl with its context and namespace, for a program that goes on running."""
        return list(self._command)

    def namespace(self) -> str:
        """Return the namespace of the command: the given one, or else that of the context."""
        written = self._namespace or self.run("config", "view", "--minify", "--output=jsonpath={..namespace}").strip()
        return written or "default"

    def get(self, kind: type[Kind], name: str) -> Kind:
        """Return the object as it is now."""
        return _parsed(kind, name, self.run("get", f"{kind.plural}.{GROUP}/{name}", "--output=json"))

    def find(self, kind: type[Kind], name: str) -> Kind | None:
        """Return the object as it is now; None where it does not exist."""
        text = self.run("get", f"{kind.plural}.{GROUP}/{name}", "--output=json", "--ignore-not-found")
        return _parsed(kind, name, text) if text.strip() else None

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Create an object that does not exist."""
        self.run("create", "--filename=-", f"--field-manager={FIELD_MANAGER}", given=json.dumps(manifest))

    def merge(self, kind: type[Kind], name: str, change: Mapping[str, Any]) -> None:
        """Change fields of an object; None removes one."""
        words = ("patch", f"{kind.plural}.{GROUP}/{name}", "--type=merge", f"--patch={json.dumps(change)}")
        self.run(*words, f"--field-manager={FIELD_MANAGER}")

    def annotate(self, kind: type[Kind], name: str, annotation: str, value: str | None) -> None:
        """Set an annotation, or remove it where `value` is None."""
        self.annotate_all(kind, name, {annotation: value})

    def annotate_all(self, kind: type[Kind], name: str, values: Mapping[str, str | None]) -> None:
        """Set annotations in one request, or remove those whose value is None."""
        changes = [
            f"{annotation}-" if value is None else f"{annotation}={value}" for annotation, value in values.items()
        ]
        self.run(
            "annotate", f"{kind.plural}.{GROUP}/{name}", *changes, "--overwrite", f"--field-manager={FIELD_MANAGER}"
        )

    def user(self) -> str:
        """Return the user name of the person, as the API server reports it."""
        return self.run("auth", "whoami", "--output=jsonpath={.status.userInfo.username}").strip()

    def run(self, *arguments: str, given: str = "") -> str:
        """Return what kubectl prints; `given` is its standard input."""
        done = subprocess.run([*self._command, *arguments], input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            refuse(done.stderr.strip())
        return done.stdout


def _parsed(kind: type[Kind], name: str, text: str) -> Kind:
    try:
        return kind.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        refuse(f"{kind.kind_name} '{name}' is invalid: {path}: {first['msg']}; fix the field")


def refuse(message: str) -> NoReturn:
    """Print why nothing was written, and exit with code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(REFUSED)
