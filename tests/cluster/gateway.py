"""The Gateway API's definitions, out of the pinned Go module that carries them."""

import json
from functools import partial
from pathlib import Path

from cluster import programs
from cluster.commands import run, twice
from cluster.progress import step

MODULE = "sigs.k8s.io/gateway-api"


def definitions() -> Path:
    """A folder of CustomResourceDefinitions as YAML files: those of the standard channel."""
    go = programs.toolchain()
    fetch = [str(go), "mod", "download", "-json", MODULE]
    with step("fetching the definitions of the Gateway API"):
        output = twice(partial(run, fetch, cwd=programs.MODULES / "gatewayapi", env=programs.environment()))
    return Path(json.loads(output)["Dir"]) / "config" / "crd" / "standard"
