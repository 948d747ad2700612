"""The embedded cluster itself, on the real thing: it comes up, repairs itself, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cluster
from cluster import cgroups, clients, network, versions
from cluster.choice import Provider
from cluster.embedded import INSISTED, Embedded
from cluster.paths import ClusterPaths

NAME = "tidetest"
PATHS = ClusterPaths(NAME)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="the embedded node needs Linux and root"),
    pytest.mark.skipif(os.environ.get("TIDEMILL_CLUSTER") == "kind", reason="kind was asked for"),
]


def traces() -> dict[str, list[str]]:
    """Everything on this machine that would be there because of our cluster."""
    folders = (str(PATHS.state), str(PATHS.run))
    command_lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command_lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    routes = subprocess.run(["ip", "route", "show", "table", "all"], check=True, capture_output=True, text=True).stdout
    return {
        "processes": [line for line in command_lines if any(folder in line for folder in folders)],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAME in line],
        "cards": [path.name for path in Path("/sys/class/net").iterdir() if path.name == network.card(NAME)],
        "routes": [line for line in routes.splitlines() if network.card(NAME) in line],
        "groups": [str(group) for group in cgroups.groups(f"tidemill-{NAME}") if group.exists()],
        "folders": [folder for folder in folders if Path(folder).exists()],
    }


def insisted() -> list[str]:
    return [folder for folder in INSISTED if Path(folder).exists()]


@pytest.fixture(autouse=True)
def taken_down() -> Iterator[None]:
    """Whatever happens in a test, and whatever happened in the one before."""
    Embedded(PATHS).down()
    yield
    Embedded(PATHS).down()


def kubectl(up: cluster.Cluster, *words: str, given: str | None = None) -> str:
    command = [clients.locate(versions.KUBECTL), "--kubeconfig", up.kubeconfig, *words]
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True, timeout=90).stdout


POD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 65532}
  containers:
    - name: web
      image: tidemill.dev/system/busybox:1
      command: [sh, -c, "echo hello > /kept/index.html; exec /bin/busybox httpd -f -p 8080 -h /kept"]
      securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}
      readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
      volumeMounts: [{name: kept, mountPath: /kept}]
  volumes: [{name: kept, persistentVolumeClaim: {claimName: kept}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def test_it_runs_pods_that_the_machine_can_talk_to_and_leaves_nothing() -> None:
    before = insisted()
    up = cluster.ensure(NAME, Provider.EMBEDDED)

    kubectl(up, "apply", "-f", "-", given=POD)
    kubectl(up, "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    address = kubectl(up, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    from_here = subprocess.run(
        ["busybox", "wget", "-qO-", f"http://{address}/"], capture_output=True, text=True, timeout=20
    )
    from_a_pod = kubectl(up, "exec", "web", "--", "wget", "-qO-", "http://web.default.svc/")
    assert ("hello\n", "hello\n") == (from_here.stdout, from_a_pod)

    began = time.monotonic()
    assert up == cluster.ensure(NAME, Provider.EMBEDDED)
    assert time.monotonic() - began < 2, "a second `up` finds everything in place"

    cluster.down(NAME)
    assert {} == {kind: result for kind, result in traces().items() if result}
    assert before == insisted()


def test_it_comes_up_again_after_everything_died() -> None:
    cluster.ensure(NAME, Provider.EMBEDDED)
    for process in cgroups.members(f"tidemill-{NAME}"):
        process.signal(signal.SIGKILL)

    up = cluster.ensure(NAME, Provider.EMBEDDED)

    assert NAME in kubectl(up, "get", "nodes", "-o", "name")


def test_an_interrupted_start_tidies_up(tmp_path: Path) -> None:
    tests = Path(cluster.__file__).parent.parent
    command = [sys.executable, "-m", "cluster", "up", "--name", NAME, "--provider", "embedded"]
    environment = {**os.environ, "PYTHONPATH": str(tests)}
    output = tmp_path / "said"
    with output.open("wb") as log, subprocess.Popen(command, env=environment, stderr=log, stdout=log) as starting:
        deadline = time.monotonic() + 60
        while not (PATHS.state / "processes" / "etcd.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

        starting.send_signal(signal.SIGINT)

        assert 130 == starting.wait(60), output.read_text()
    assert {} == {kind: result for kind, result in traces().items() if result}
