"""Every verb of `kubectl tidemill`, tried by people with different rights against the installed policies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.crds.people import APPROVER, EDITOR, VIEWER
from api.crds.server import OPERATOR, Manifest, Server, least
from cluster import clients, versions
from tidemill.children import names
from tidemill.cli.commands import CLUSTER, COMMANDS

pytestmark = pytest.mark.usefixtures("people")
NAME = "fraud"
AT = "2026-01-05T09:00:00Z"
VERBS = {
    "promote": ("InferenceService", names.PROMOTE),
    "promote --full": ("InferenceService", names.PROMOTE),
    "abort": ("InferenceService", names.ABORT),
    "pause": ("InferenceService", names.PAUSE),
    "resume": ("InferenceService", names.PAUSE),
    "check": ("DriftMonitor", names.CHECK),
    "retrain": ("DriftMonitor", names.RETRAIN),
    "reset": ("DriftMonitor", names.RESET),
    "retry": ("InferenceService", names.RETRY),
    "refresh": ("Dataset", names.REFRESH),
}


def test_every_verb_is_tried() -> None:
    tried = {verb.split()[0] for verb in VERBS} | OF_APPROVERS | ON_PODS
    assert {name for name, entry in COMMANDS.items() if entry.panel == CLUSTER} == tried
    assert set(names.PEOPLE) - {names.SCM_REF, names.QUARANTINE} == {name for _, name in VERBS.values()}


OF_APPROVERS = {"quarantine", "lift"}
ON_PODS = {"upload"}
"""Tried with a person's rights in tests/e2e/test_uploading.py, since they need a pod."""
"""Verbs that take the right to approve; they have a test of their own."""
ROLLED_BACK = {"version": "fraud-2", "outcome": "RolledBack", "reason": "Aborted", "startedAt": AT, "at": AT}


@pytest.fixture
def objects(server: Server) -> Iterator[dict[str, Manifest]]:
    """A service with a rollout in progress, and a monitor whose circuit can be reset, as the operator reports them."""
    service, monitor, template = least("InferenceService"), least("DriftMonitor"), least("TrainingJob")
    dataset = least("Dataset")
    monitor["spec"]["retraining"] = {"template": {"trainingJob": NAME}}
    for manifest in (service, monitor, template, dataset):
        answer = server.as_user(EDITOR).create(manifest)
        assert 201 == answer.status_code, answer.text
    rollout = {"phase": "Progressing", "version": "fraud-2", "step": 1, "startedAt": AT, "stepStartedAt": AT}
    report(server, service, {"rollout": rollout})
    yield {"InferenceService": service, "DriftMonitor": monitor, "Dataset": dataset}
    for manifest in (service, monitor, template, dataset):
        server.delete(manifest)


def report(server: Server, manifest: Manifest, status: Manifest) -> None:
    answer = server.as_user(OPERATOR).merge(manifest, {"status": status}, "status")
    assert 200 == answer.status_code, answer.text


def prepare(server: Server, objects: dict[str, Manifest], verb: str) -> str | None:
    """Make the request meaningful; returns what the annotation holds before it."""
    if verb == "retry":
        report(server, objects["InferenceService"], {"rollout": None, "history": [ROLLED_BACK]})
    if verb == "reset":
        report(server, objects["DriftMonitor"], {"retraining": {"consecutiveRejected": 3}})
    if verb == "resume":
        patch = {"metadata": {"annotations": {names.PAUSE: "fraud-2"}}}
        assert 200 == server.as_user(EDITOR).merge(objects["InferenceService"], patch).status_code
        return "fraud-2"
    return None


def run(server: Server, folder: Path, user: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The plugin as `user` runs it, with a real kubectl."""
    config = yaml.safe_load(server.plane.kubeconfig.read_text())
    if user:
        config["users"][0]["user"]["as"] = user
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    (folder / "kubectl").unlink(missing_ok=True)
    (folder / "kubectl").symlink_to(clients.locate(versions.KUBECTL))
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(folder),
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "tidemill", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


def annotation(server: Server, manifest: Manifest, name: str) -> str | None:
    value: str | None = server.read(manifest)["metadata"].get("annotations", {}).get(name)
    return value


@pytest.mark.parametrize("user", ["", EDITOR], ids=["administrator", "editor"])
@pytest.mark.parametrize("verb", VERBS)
def test_who_may_edit_may_use_every_verb(
    server: Server, objects: dict[str, Manifest], verb: str, user: str, tmp_path: Path
) -> None:
    kind, name = VERBS[verb]
    before = prepare(server, objects, verb)
    command, *options = verb.split()

    done = run(server, tmp_path, user, command, NAME, *options, "-n", "default")

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("requested")
    after = annotation(server, objects[kind], name)
    assert after != before
    assert (after is None) == (verb == "resume")


@pytest.mark.parametrize("user", [VIEWER, APPROVER], ids=["viewer", "approver"])
@pytest.mark.parametrize("verb", VERBS)
def test_who_may_not_edit_is_refused_and_told_so(
    server: Server, objects: dict[str, Manifest], verb: str, user: str, tmp_path: Path
) -> None:
    kind, name = VERBS[verb]
    before = prepare(server, objects, verb)
    command, *options = verb.split()

    done = run(server, tmp_path, user, command, NAME, *options, "-n", "default")

    assert (1, "") == (done.returncode, done.stdout)
    assert "Forbidden" in done.stderr
    assert before == annotation(server, objects[kind], name)


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_claims_success_where_nothing_would_happen(
    server: Server, objects: dict[str, Manifest], verb: str, tmp_path: Path
) -> None:
    """No rollout, a suspended monitor, a closed circuit, a name that nothing has."""
    kind, name = VERBS[verb]
    report(server, objects["InferenceService"], {"rollout": None})
    for suspended in ("DriftMonitor", "Dataset"):
        assert 200 == server.as_user(EDITOR).merge(objects[suspended], {"spec": {"suspend": True}}).status_code
    command, *options = verb.split()
    for target in (NAME, "absent"):
        done = run(server, tmp_path, EDITOR, command, target, *options, "-n", "default")

        assert (1, "") == (done.returncode, done.stdout), target
        assert done.stderr.strip()
    assert annotation(server, objects[kind], name) is None


def test_an_approver_quarantines_a_version_and_lifts_it_and_an_editor_does_not(server: Server, tmp_path: Path) -> None:
    version = least("ModelVersion", name="leaky")
    assert 201 == server.as_user(EDITOR).create(version).status_code
    quarantine = ("quarantine", "leaky", "--reason", "trained on leaked labels", "-n", "default")
    lift = ("lift", "leaky", "-n", "default")

    refused = run(server, tmp_path, EDITOR, *quarantine)
    done = run(server, tmp_path, APPROVER, *quarantine)
    text = annotation(server, version, names.QUARANTINE)
    kept = run(server, tmp_path, EDITOR, *lift)
    lifted = run(server, tmp_path, APPROVER, *lift)
    after = annotation(server, version, names.QUARANTINE)
    server.delete(version)

    assert (1, 0, 1, 0) == (refused.returncode, done.returncode, kept.returncode, lifted.returncode), done.stderr
    assert f"{APPROVER}: trained on leaked labels" == text
    assert after is None
