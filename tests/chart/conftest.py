"""The chart, rendered by the Helm that the cluster tool keeps."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import clients, versions
from cluster.commands import run

CHART = Path(__file__).parents[2] / "charts" / "tidemill"
Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> str:
    words = ["template", release, CHART, "--namespace", namespace, "--kube-version", "1.33.0"]
    return helm(
        *words,
        *[word for name, value in json.loads(values).items() for word in ("--set-json", f"{name}={json.dumps(value)}")],
    )


def helm(*words: str | Path) -> str:
    return run([clients.locate(versions.HELM_CLIENT), *words], timeout=120)


@pytest.fixture
def render() -> Render:
    """Every object that the chart makes with these values."""

    def rendered(
        values: Manifest | None = None, *, release: str = "tidemill", namespace: str = "tidemill-system"
    ) -> list[Manifest]:
        text = _rendered(json.dumps(values or {}), release, namespace)
        return [document for document in yaml.safe_load_all(text) if document]

    return rendered
