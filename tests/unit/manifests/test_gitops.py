"""The files next to the chart: they parse, and they name what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.api import API_VERSION, KINDS, InferenceService
from tidemill.children import names
from tidemill.runtime.serve.telemetry.metrics import HELP

MANIFESTS = Path(__file__).parents[3] / "manifests"
FOLDERS = ("gitops", "monitoring")


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_in_its_page(folder: str) -> None:
    page = (MANIFESTS / folder / "README.md").read_text()

    assert [] == [path.name for path in (MANIFESTS / folder).rglob("*.yaml") if path.name not in page]


def test_the_chart_s_values_in_examples_exist() -> None:
    values = yaml.safe_load((MANIFESTS.parent / "charts" / "tidemill" / "values.yaml").read_text())
    application = documents(MANIFESTS / "gitops" / "argocd" / "application.yaml")[0]
    release = documents(MANIFESTS / "gitops" / "flux" / "tidemill.yaml")[0]

    def unknown(given: dict[str, Any], known: dict[str, Any]) -> list[str]:
        return [name for name in given if name not in known] + [
            below
            for name, inner in given.items()
            if isinstance(inner, dict)
            for below in unknown(inner, known.get(name, {}))
        ]

    for given in (application["spec"]["source"]["helm"]["valuesObject"], release["spec"]["values"]):
        assert [] == unknown(given, values)


def test_kube_state_metrics_knows_all_kinds() -> None:
    (configuration,) = documents(MANIFESTS / "monitoring" / "kube-state-metrics.yaml")
    kinds = [resource["groupVersionKind"] for resource in configuration["spec"]["resources"]]

    group, version = API_VERSION.split("/")
    assert [{"group": group, "version": version, "kind": kind.kind_name} for kind in KINDS] == kinds


def test_prometheus_finds_pods_by_the_labels_that_they_carry() -> None:
    (configuration,) = documents(MANIFESTS / "monitoring" / "scrape.yaml")
    labels = {
        label
        for job in configuration["scrape_configs"]
        for rule in job["relabel_configs"]
        for label in rule["source_labels"]
        if label.startswith("__meta_kubernetes_pod_label_")
    }

    assert labels == {
        "__meta_kubernetes_pod_label_" + name.translate(str.maketrans("./-", "___"))
        for name in (names.MANAGED_BY, names.COMPONENT)
    }


def test_keda_moves_what_can_be_moved_by_a_metric_that_there_is() -> None:
    (scaled,) = documents(MANIFESTS / "monitoring" / "keda.yaml")
    target, [trigger] = scaled["spec"]["scaleTargetRef"], scaled["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    asked = re.fullmatch(r"sum\((\w+)\{(.*)\}\)", query)
    assert asked is not None
    metric, labels = asked.groups()

    assert (API_VERSION, "InferenceService") == (target["apiVersion"], target["kind"])
    assert InferenceService.scale is not None
    assert {"namespace", "service"} == set(re.findall(r"(\w+)=", labels))
    assert "service" in HELP[metric].labels
    assert (target["name"], scaled["metadata"]["namespace"]) == (read(labels, "service"), read(labels, "namespace"))
    assert scaled["spec"]["minReplicaCount"] >= 1
    # It has no effect where there is always a pod.
    assert "cooldownPeriod" not in scaled["spec"]


def read(labels: str, name: str) -> str:
    match = re.search(rf'{name}="([^"]*)"', labels)
    assert match is not None
    return match[1]
