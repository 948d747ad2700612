"""The receiver of a monitor: what its pod is told, and which Secrets it sees."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import DriftMonitor
from tidemill.children import names, receiving
from tidemill.children.installation import Installation

HERE = Installation(workload_image="w", server_image="s")
WEEK = timedelta(days=7)
OUTSIDE = {"name": "alerts", "type": "External", "secretRef": {"name": "callers"}}


def monitor(**events: Any) -> DriftMonitor:
    return DriftMonitor.model_validate(
        {
            "metadata": {"name": "iris", "namespace": "shop", "uid": "u-1"},
            "spec": {
                "target": {"cloudEvents": events},
                "reference": {"type": "Window", "window": {"offset": "7d"}},
                "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}, OUTSIDE],
            },
        }
    )


def ordered(deployment: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(deployment["spec"]["template"]["metadata"]["annotations"][names.ORDER])
    return document


def mounts(deployment: dict[str, Any]) -> dict[str, str]:
    pod = deployment["spec"]["template"]["spec"]
    secrets = {
        manifest["name"]: manifest["secret"]["secretName"]
        for manifest in pod["volumes"]
        if manifest["name"].startswith("secret-")
    }
    return {
        mount["mountPath"]: secrets[mount["name"]]
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["name"] in secrets
    }


def test_a_receiver_of_payloads_is_told_whose_and_what_their_values_are_called() -> None:
    order = ordered(receiving.deployment(monitor(service="sklearn-iris", columns=["a", "b"]), HERE, WEEK))

    assert {
        "log": "cloudevents.iris",
        "service": "sklearn-iris",
        "columns": ["a", "b"],
        "secured": False,
        "retentionSeconds": 604800.0,
    } == order["payloads"]
    assert ["alerts"] == [check["name"] for check in order["checks"]]


def test_each_caller_has_its_secret_in_a_folder_of_its_own() -> None:
    made = receiving.deployment(monitor(secretRef={"name": "kserve"}), HERE, WEEK)

    assert {"/tidemill/credentials/alerts": "callers", "/tidemill/credentials/_payloads": "kserve"} == mounts(made)
    assert ordered(made)["payloads"]["secured"]


@pytest.mark.parametrize(("checks", "needed"), [([make.monitor().spec.checks[0].to_wire()], False), ([OUTSIDE], True)])
def test_a_monitor_of_our_own_service_has_a_receiver_for_external_checks_alone(checks: list[Any], needed: bool) -> None:
    watched = make.monitor(checks=checks)

    assert needed == receiving.is_needed(watched)
    assert "payloads" not in ordered(receiving.deployment(watched, HERE, WEEK))
