"""`tidemill generate`: write or compare everything in the repository that follows from the types."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from tidemill.api.crds import crds
from tidemill.api.reference import page
from tidemill.children import names
from tidemill.cli.generate import metrics
from tidemill.cli.generate.values import readme
from tidemill.engine.kinds import PolicyRule, access_rules, gateway_rules, leader_rules

CHART: Final = Path("charts/tidemill")
INSTALL: Final = Path("manifests/install.yaml")
METRICS: Final = Path("manifests/monitoring/metrics.md")
NAMESPACE: Final = "tidemill-system"
# What helm renders must not depend on the helm at hand, nor on a cluster.
KUBERNETES: Final = "1.33.0"

_HEADER = "# Generated from operator/tidemill by `make generate`; change the types there, not this file.\n"
_INSTALL_HEADER = f"""\
# Generated from charts/tidemill by `make generate`; change the chart, not this file.
#
# Tidemill without Helm:  kubectl apply --server-side -f manifests/install.yaml
#
# Workloads find the object store in a Secret named tidemill-store in their own namespace, with the keys uri, endpoint, region,
# access-key-id and secret-access-key. The chart can install a store and create these Secrets; keep them out of Git.
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/part-of: tidemill
    pod-security.kubernetes.io/enforce: restricted
"""


class HelmFailed(Exception):
    """helm is missing, or refused to render the chart."""


def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing, and fail if anything would change.")] = False,
    root: Annotated[Path, typer.Option(help="Root of the repository.", exists=True, file_okay=False)] = Path(),
    helm: Annotated[str, typer.Option(envvar="TIDEMILL_HELM", help="Helm to render the chart with.")] = "helm",
) -> None:
    """Write CRDs, the chart's copies of them, its access rules and its README, the field reference, the page of metrics and manifests/install.yaml."""
    if not (root / CHART / "Chart.yaml").exists():
        raise typer.BadParameter(f"'{root.resolve()}' has no {CHART}; run this in the repository, or use --root")
    values = (root / CHART / "values.yaml").read_text(encoding="utf-8")
    changed = write(root, {**from_types(), CHART / "README.md": readme(values)}, check=check)
    try:
        # The chart holds copies of what was just written, so it is rendered last.
        changed += write(root, {INSTALL: installation(root / CHART, helm)}, check=check)
    except HelmFailed as problem:
        typer.echo(f"tidemill generate: {problem}", err=True)
        raise typer.Exit(2) from problem
    finally:
        for path in changed:
            typer.echo(f"{'differs' if check else 'wrote'} {path}")
    if check and changed:
        typer.echo(
            "the files above differ from what the types give; run `make generate` and commit the result", err=True
        )
        raise typer.Exit(1)


def from_types() -> dict[Path, str]:
    """Return every file that follows from the types alone, by its path in the repository."""
    definitions = crds()
    written = {f"{definition['metadata']['name']}.yaml": _HEADER + _yaml(definition) for definition in definitions}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(written),
    }
    return {
        **{Path("crds") / name: text for name, text in written.items()},
        **{CHART / "files" / "crds" / name: text for name, text in written.items()},
        Path("crds/kustomization.yaml"): _HEADER + _yaml(kustomization),
        Path("crds/README.md"): page(definitions),
        CHART / "files" / "access.yaml": _HEADER + _yaml(access()),
        METRICS: metrics.page(),
    }


def access() -> dict[str, Any]:
    """Return what the operator may do, where it watches and in its own namespace, and which annotations are left to people."""
    return {
        "controller": [_policy(rule) for rule in access_rules()],
        "gateway": [_policy(rule) for rule in gateway_rules()],
        "leader": [_policy(rule) for rule in leader_rules()],
        "people": list(names.PEOPLE),
    }


def installation(chart: Path, helm: str) -> str:
    """Return the chart as one file for `kubectl apply`; raises HelmFailed with the message of helm."""
    program = shutil.which(helm)
    if program is None:
        raise HelmFailed(f"'{helm}' was not found on the PATH; install Helm 3.16 or later, or set TIDEMILL_HELM")
    command = [program, "template", "tidemill", str(chart), "--namespace", NAMESPACE, "--kube-version", KUBERNETES]
    # Generated credentials do not belong in a file that is shared.
    command += ["--set", "store.embedded.enabled=false,store.makeSecrets=false"]
    rendered = subprocess.run(command, capture_output=True, text=True, check=False)
    if rendered.returncode:
        raise HelmFailed(rendered.stderr.strip())
    return _INSTALL_HEADER + rendered.stdout


def write(root: Path, files: Mapping[Path, str], *, check: bool) -> list[Path]:
    """Write `files` below `root` unless `check` is set, and return those that differed."""
    differing = []
    for path, text in files.items():
        target = root / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        differing.append(path)
        if not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    return differing


def _policy(rule: PolicyRule) -> dict[str, list[str]]:
    return {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)}


class _Plain(yaml.SafeDumper):
    """Write YAML without anchors, so that every definition can be read by itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
