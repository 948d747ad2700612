"""A value of the chart on its whole way: the operator's environment, its settings, the order of the run that calls."""

from __future__ import annotations

import json

import pytest

from chart.conftest import Manifest, Render
from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from tidemill import app
from tidemill.children import names
from tidemill.cli import main
from tidemill.engine.settings import Settings


def environment(objects: list[Manifest]) -> dict[str, str]:
    """The operator's, as its pod has it; what the pod says of itself is left out."""
    [pod] = [
        manifest["spec"]["template"]["spec"]
        for manifest in objects
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] == "tidemill"
    ]
    return {manifest["name"]: manifest["value"] for manifest in pod["containers"][0]["env"] if "value" in manifest}


def started(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the operator's process would run with."""
    results: list[Settings] = []

    def run(settings: Settings) -> int:
        results.append(settings)
        return 0

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr("sys.argv", ["tidemill", "controller"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    [settings] = results
    return settings


def called(settings: Settings) -> dict[str, object]:
    """The order of the run that tells somebody of a check that fails, made by an operator with these settings."""
    theatre = FakeCluster(installation=settings.installation)
    in_service(theatre)
    chat = {"name": "chat", "webhook": {"url": "http://chat.chat.svc/x"}, "events": ["Fired"]}
    theatre.reports |= {"Notify": script.notifies, "Check": script.checks("Failing")}
    theatre.apply(script.monitor(notify=[chat]))
    theatre.run(minutes=2)
    [job] = [
        manifest
        for key, manifest in theatre.objects.items()
        if key.kind == "Job" and manifest["metadata"]["labels"][names.COMPONENT] == "notify"
    ]
    order: dict[str, object] = json.loads(job["spec"]["template"]["metadata"]["annotations"][names.ORDER])
    return order


@pytest.mark.parametrize("allowed", [False, True])
def test_private_addresses_are_called_only_where_the_chart_allows_it(
    render: Render, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    given = {"notifications.allowPrivateAddresses": True} if allowed else {}
    settings = started(environment(render(given)), monkeypatch)

    assert allowed is settings.installation.allow_private_webhooks
    assert allowed is called(settings).get("allowPrivate", False)


@pytest.mark.parametrize("allowed", [False, True])
def test_sources_at_private_addresses_are_read_only_where_the_chart_allows_it(
    render: Render, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    given = {"sources.allowPrivateAddresses": True} if allowed else {}

    assert allowed is started(environment(render(given)), monkeypatch).installation.allow_private_sources
