"""Everyone who waits for an object comes to the same end: kubectl, Flux and Helm by kstatus, Argo CD by its script.

The statuses are those that the planners write while the stories play. The judges are the real ones: kstatus as Flux and Helm
link it, kubectl and Helm as programs, Argo CD's script in Lua 5.1; the objects lie on a real API server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from api.crds.server import BY_KIND, OPERATOR, Manifest, Server, least
from cluster import clients, versions
from cluster.commands import CommandFailed, run
from support.readiness import MEANS, ROLLOUTS, STATES, by_the_rule, health, shown, states
from tidemill.api import API_VERSION

CASES = [(kind, state) for kind in BY_KIND for state in STATES]
KINDS = pytest.mark.parametrize("kind", BY_KIND)


def kstatus(*manifests: Manifest) -> list[str]:
    """The verdict of kstatus on each."""
    given = "\n".join(json.dumps(manifest) for manifest in manifests).encode()
    output = run([clients.locate(versions.KSTATUS_JUDGE)], given=given, timeout=60)
    return [json.loads(line)[0] for line in output.splitlines()]


@contextmanager
def standing(server: Server, seen: Manifest, name: str = "judged") -> Iterator[Manifest]:
    """An object of a story, on the server with the status that it had."""
    manifest = {
        "apiVersion": API_VERSION,
        "kind": seen["kind"],
        "metadata": {"name": name, "namespace": "default"},
        "spec": seen["spec"],
    }
    answer = server.create(manifest)
    assert 201 == answer.status_code, answer.text
    try:
        # The story's own count of changes of the spec, put in terms of this object's.
        status = json.loads(json.dumps(seen["status"]))
        for holder in [status, *status["conditions"]]:
            holder["observedGeneration"] = 1
        answer = server.as_user(OPERATOR).merge(manifest, {"status": status}, "status")
        assert 200 == answer.status_code, answer.text
        yield answer.json()
    finally:
        server.delete(manifest)


def waits_for(server: Server, manifest: Manifest, condition: str) -> bool:
    """Whether `kubectl wait` is content at once."""
    kind = BY_KIND[manifest["kind"]]
    try:
        server.kubectl(
            "wait",
            f"{kind.plural}.tidemill.dev/{manifest['metadata']['name']}",
            f"--for=condition={condition}",
            "--timeout=0",
            "-n",
            "default",
        )
    except CommandFailed:
        return False
    return True


def test_the_stories_show_every_kind_in_every_state() -> None:
    assert set(CASES) == states().keys()


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_all_judges_agree(server: Server, kind: str, state: str) -> None:
    for seen in states()[kind, state]:
        with standing(server, seen) as manifest:
            (verdict,) = kstatus(manifest)
            argo, message = health(manifest)
            case = (kind, state, manifest["status"]["conditions"])

            assert by_the_rule(manifest) == verdict, case
            assert MEANS[argo] == verdict, case
            assert message
            # kubectl waits for one condition, and knows nothing of what is under way next to it.
            ready = any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in manifest["status"]["conditions"]
            )
            assert ready == waits_for(server, manifest, "Ready"), case
            assert ready or verdict != "Current", case
            assert (verdict == "Failed") == waits_for(server, manifest, "Stalled"), case


@pytest.mark.parametrize("case", ROLLOUTS)
def test_all_judges_agree_on_a_rollout_that_waits(server: Server, case: str) -> None:
    row = ROLLOUTS[case]
    with standing(server, shown(row)[-1]) as manifest:
        assert [row.verdict] == kstatus(manifest)
        assert row.verdict == MEANS[health(manifest)[0]]
        assert row.ready == waits_for(server, manifest, "Ready")
        assert (row.verdict == "Current") == waits_for(server, manifest, "RolloutComplete")
        assert not waits_for(server, manifest, "Stalled")


@KINDS
def test_a_new_object_is_waited_for(server: Server, kind: str) -> None:
    manifest = least(kind, name="fresh")
    assert 201 == server.create(manifest).status_code
    resource = server.read(manifest)
    content = waits_for(server, resource, "Ready")
    server.delete(manifest)

    assert (["InProgress"], "Progressing", False) == (kstatus(resource), health(resource)[0], content)


@KINDS
def test_an_object_whose_spec_changed_is_waited_for_until_it_was_seen(server: Server, kind: str) -> None:
    seen = states()[kind, "ready"][0]
    with standing(server, seen) as manifest:
        suspend = not manifest["spec"].get("suspend", False)
        answer = server.merge(manifest, {"spec": {"suspend": suspend}})
        changed = answer.json()

        assert 2 == changed["metadata"]["generation"]
        assert (["InProgress"], "Progressing") == (kstatus(changed), health(changed)[0])
        assert not waits_for(server, changed, "Ready")


@KINDS
def test_an_object_that_is_being_deleted_is_not_healthy(server: Server, kind: str) -> None:
    with standing(server, states()[kind, "ready"][0]) as manifest:
        held = {"metadata": {"finalizers": ["example.com/held"]}}
        assert 200 == server.merge(manifest, held).status_code
        server.delete(manifest)
        leaving = server.read(manifest)
        server.merge(manifest, {"metadata": {"finalizers": None}})

    assert leaving["metadata"]["deletionTimestamp"]
    assert (["Terminating"], "Progressing") == (kstatus(leaving), health(leaving)[0])


def test_drift_never_makes_a_monitor_unready() -> None:
    drifting = [
        manifest
        for (kind, _), manifests in states().items()
        for manifest in manifests
        if kind == "DriftMonitor"
        and any(condition["type"] == "DriftDetected" for condition in manifest["status"]["conditions"])
        and "Reconciling" not in str(manifest["status"]["conditions"])
    ]

    assert drifting
    assert {"Current"} == set(kstatus(*({"apiVersion": API_VERSION, **manifest} for manifest in drifting)))


def test_the_ends_of_a_run_can_be_waited_for(server: Server) -> None:
    for state, end in (("ready", "Complete"), ("failed", "Failed")):
        over = [
            manifest
            for manifest in states()["TrainingJob", state]
            if end in {condition["type"] for condition in manifest["status"]["conditions"]}
        ]
        assert over
        for seen in over:
            with standing(server, seen) as manifest:
                assert waits_for(server, manifest, end)
                assert (end == "Failed") == waits_for(server, manifest, "Stalled")


@pytest.mark.parametrize(
    ("kind", "state"), [("Dataset", "ready"), ("Dataset", "failed"), ("TrainingJob", "progressing")]
)
def test_helm_waits_as_the_others_do(server: Server, kind: str, state: str, tmp_path: Path) -> None:
    """A chart with the object; its status is what it was before the chart took it over."""
    with standing(server, states()[kind, state][0], name="charted") as manifest:
        (tmp_path / "templates").mkdir()
        (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: models\nversion: 1.0.0\n")
        charted = {word: manifest[word] for word in ("apiVersion", "kind", "spec")}
        charted["metadata"] = {"name": "charted", "namespace": "default"}
        (tmp_path / "templates" / "object.yaml").write_text(yaml.safe_dump(charted))
        try:
            server.helm(
                "install",
                "models",
                tmp_path,
                "-n",
                "default",
                "--take-ownership",
                "--force-conflicts",
                "--wait",
                "--timeout=5s",
            )
            content = True
        except CommandFailed:
            content = False
        finally:
            server.helm("uninstall", "models", "-n", "default", "--ignore-not-found")

    assert (state == "ready") == content
