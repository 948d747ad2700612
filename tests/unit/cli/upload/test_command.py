"""The command `upload` against the real server of an upload, through a kubectl that is a script and cuts its connections."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.api import API_VERSION
from tidemill.children import names
from tidemill.cli.main import app
from tidemill.cli.upload import local_file, transfer
from tidemill.contract import uploads as contract
from tidemill.contract.uploads import UploadOrder
from tidemill.runtime.ingest.uploads.parts import PartStore
from tidemill.runtime.ingest.uploads.server import UploadServer
from tidemill.runtime.store.objects import ObjectStore

SCRIPT = """\
#!{python} -SE
import json, pathlib, signal, socket, sys, time
folder, words = pathlib.Path({folder!r}), sys.argv[1:]
with (folder / "calls").open("a") as calls:
    print(json.dumps(words), file=calls)
if "create" in words:
    with (folder / "created").open("a") as created:
        created.write(sys.stdin.read() + "\\n")
elif "view" in words:
    print("shop", end="")
elif "logs" in words:
    print((folder / "log").read_text())
elif "get" in words:
    path = folder / (words[words.index("get") + 1].replace("/", "-") + ".json")
    print(path.read_text() if path.exists() else "")
elif "port-forward" in words:
    tunnels = folder / "tunnels"
    limits = json.loads(tunnels.read_text())
    limit = limits.pop(0) if limits else -1
    tunnels.write_text(json.dumps(limits))
    if limit == 0:
        sys.exit("error: unable to forward port because pod is not running")
    server = socket.create_server(("127.0.0.1", 0))
    print(f"Forwarding from 127.0.0.1:{{server.getsockname()[1]}} -> 8080", flush=True)
    while True:
        client = server.accept()[0]
        deadline = time.monotonic() + 10
        while not (folder / "port").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        pod = socket.create_connection(("127.0.0.1", int((folder / "port").read_text())))
        client.settimeout(0.05)
        pod.settimeout(0.05)
        ends = [False, False]
        while not all(ends):
            for number, (source, sink) in enumerate(((client, pod), (pod, client))):
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    ends = [True, True]
                    break
                if number == 0 and limit > 0:
                    limit -= len(data)
                    if limit <= 0:
                        sys.exit("lost connection to pod")
                sink.sendall(data)
        client.close()
        pod.close()
"""
PART = 64
CONTENT = b"a,target\n" + b"1,x\n" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URI = f"store:///uploads/{DIGEST}/rows.csv"


class Cluster:
    """A kubectl, the objects that it knows, and a pod that begins when its Job is created."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self.folder, self.store = folder, store
        script = folder / "kubectl"
        script.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        script.chmod(0o755)
        self.know("configmap", {"data": {"image": "workload:1", "pullPolicy": "Never", "storeSecret": "keys"}})
        self.know("pods", {"items": [{"metadata": {"name": "taker"}, "status": {"phase": "Running"}}]})
        self.cut()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._kubelet)
        self._thread.start()

    def know(self, name: str, manifest: dict[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(manifest))

    def know_dataset(self, source: dict[str, Any], **metadata: Any) -> None:
        meta = {"name": "rows", "namespace": "shop", "generation": 1, **metadata}
        manifest = {"apiVersion": API_VERSION, "kind": "Dataset", "metadata": meta, "spec": {"source": source}}
        self.know("datasets.tidemill.dev-rows", manifest)

    def cut(self, *limits: int) -> None:
        """Each tunnel ends after so many bytes; 0 never opens."""
        (self.folder / "tunnels").write_text(json.dumps(limits))

    def run(self, *arguments: str) -> Any:
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        result = CliRunner().invoke(app(), ["upload", *arguments], env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    @property
    def created(self) -> list[dict[str, Any]]:
        path = self.folder / "created"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self, verb: str) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [words for words in map(json.loads, lines) if verb in words]

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _kubelet(self) -> None:
        """Run the pod of each Job, one after the other, as its order says."""
        started = 0
        while not self._stopped.wait(0.01):
            jobs = [manifest for manifest in self.created if manifest["kind"] == "Job"]
            if len(jobs) == started:
                continue
            started = len(jobs)
            order = UploadOrder.model_validate_json(
                jobs[-1]["spec"]["template"]["metadata"]["annotations"][names.ORDER]
            )
            with UploadServer(order, PartStore(order, self.store), 0) as server:
                thread = threading.Thread(target=server.serve_forever, args=(0.02,))
                thread.start()
                (self.folder / "port").write_text(str(server.server_port))
                while (
                    not self._stopped.wait(0.01)
                    and len([job for job in self.created if job["kind"] == "Job"]) == started
                ):
                    pass
                server.shutdown()
                thread.join()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for module in (contract, local_file):
        monkeypatch.setattr(module, "PART_BYTES", PART)
    monkeypatch.setattr("tidemill.cli.upload.command.time.sleep", lambda _: None)
    folder = tmp_path / "kubectl-folder"
    folder.mkdir()
    made = Cluster(folder, ObjectStore.open(f"file://{tmp_path}/store"))
    yield made
    made.close()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(CONTENT)
    return path


def stored(cluster: Cluster) -> dict[str, bytes]:
    return {entry.key: cluster.store.get(entry.key) for entry in cluster.store.list("shop")}


def test_a_file_becomes_the_source_of_a_dataset(cluster: Cluster, rows: Path) -> None:
    cluster.know_dataset({"inline": {"data": "a\n1"}})

    done = cluster.run(str(rows), "--dataset", "rows")

    assert 0 == done.exit_code, done.stderr
    assert f"rows.csv is in the store (409 B, digest checked): {URI}" in done.stdout
    assert {f"shop/uploads/{DIGEST}/rows.csv": CONTENT} == stored(cluster)
    [words] = cluster.calls("patch")
    change = json.loads(next(word for word in words if word.startswith("--patch=")).removeprefix("--patch="))
    source = change["spec"]["source"]
    assert (URI, None, None) == (source["uri"], source["inline"], source["gitLfs"])
    [job] = cluster.created
    assert 1 == len(cluster.calls("delete"))
    assert "shop" == job["metadata"]["namespace"]
    pod = job["spec"]["template"]["spec"]
    assert ("workload:1", "Never") == (pod["containers"][0]["image"], pod["containers"][0]["imagePullPolicy"])
    assert "keys" == next(volume for volume in pod["volumes"] if volume["name"] == "store")["secret"]["secretName"]


def test_an_upload_goes_on_where_it_was_cut(cluster: Cluster, rows: Path) -> None:
    cluster.know_dataset({"uri": URI})
    cluster.cut(900, 0, 700, 900)

    done = cluster.run(str(rows), "--dataset", "rows")

    assert 0 == done.exit_code, done.stderr
    assert {f"shop/uploads/{DIGEST}/rows.csv": CONTENT} == stored(cluster)
    assert "has this source already; nothing is changed" in done.stdout
    assert 5 == len(cluster.calls("port-forward"))


def test_an_upload_that_was_given_up_goes_on_in_another_pod(cluster: Cluster, rows: Path) -> None:
    cluster.know_dataset({"uri": URI})
    cluster.cut(900, *[0] * transfer.TRIES)
    given_up = cluster.run(str(rows), "--dataset", "rows")
    parts = set(stored(cluster))

    done = cluster.run(str(rows), "--dataset", "rows")

    assert 1 == given_up.exit_code
    assert f"failed {transfer.TRIES} times, at last with: error: unable to forward port" in given_up.stderr
    assert "run the command again, and it continues where it was cut off" in given_up.stderr
    assert 1 <= len(parts) < -(-len(CONTENT) // PART)
    assert 0 == done.exit_code, done.stderr
    assert {f"shop/uploads/{DIGEST}/rows.csv": CONTENT} == stored(cluster)


def test_a_file_that_is_there_is_not_sent_again(cluster: Cluster, rows: Path) -> None:
    cluster.know_dataset({"uri": "sklearn://iris"})
    assert 0 == cluster.run(str(rows), "--dataset", "rows").exit_code

    done = cluster.run(str(rows), "--dataset", "rows", "--print")

    assert (0, 1) == (done.exit_code, len(cluster.calls("patch")))
    assert f"rows.csv was in the store already: {URI}\nspec.source.uri: {URI}\n" == done.stdout


def test_an_absent_dataset_is_printed_or_created(cluster: Cluster, rows: Path) -> None:
    printed = cluster.run(str(rows), "--dataset", "rows", "--target", "target")
    created = cluster.run(str(rows), "--dataset", "rows", "--target", "target", "--create")

    expected = {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": "rows"},
        "spec": {"source": {"uri": URI}, "columns": [{"name": "target", "role": "Target"}]},
    }
    assert expected == json.loads(printed.stdout.partition("\n")[2])
    assert "apply this manifest" in printed.stderr
    assert 0 == created.exit_code
    assert [expected] == [manifest for manifest in cluster.created if manifest["kind"] == "Dataset"]


def replaced(path: Path) -> None:
    path.write_bytes(CONTENT.replace(b"x", b"y"))


UNUSABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an empty file": (lambda path: path.write_bytes(b""), "is empty; put rows into it"),
    "no file": (lambda path: path.unlink(), "is not a file; name one file"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_file_is_refused_before_anything_is_created(case: str, cluster: Cluster, rows: Path) -> None:
    change, message = UNUSABLE[case]
    change(rows)

    done = cluster.run(str(rows), "--dataset", "rows")

    assert (2, []) == (done.exit_code, cluster.created)
    assert message in done.stderr


def test_a_file_that_changes_meanwhile_is_not_stored(
    cluster: Cluster, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.cli.upload.command.running_pod", lambda *_: replaced(rows) or "taker")

    done = cluster.run(str(rows), "--dataset", "rows")

    assert 2 == done.exit_code
    assert "was changed during the upload; run the command again" in done.stderr
    assert 1 == len(cluster.calls("delete"))
    assert f"shop/uploads/{DIGEST}/rows.csv" not in stored(cluster)


def test_a_pod_that_ends_says_why(cluster: Cluster, rows: Path) -> None:
    cluster.know("pods", {"items": [{"metadata": {"name": "taker"}, "status": {"phase": "Failed"}}]})
    (cluster.folder / "log").write_text("there is no Secret 'keys' with a key 'uri'")

    done = cluster.run(str(rows), "--dataset", "rows")

    assert 1 == done.exit_code
    assert "the pod of the upload ended: there is no Secret 'keys'" in done.stderr
    assert 1 == len(cluster.calls("delete"))


def test_a_namespace_without_settings_takes_an_image(cluster: Cluster, rows: Path) -> None:
    (cluster.folder / "configmap.json").unlink()

    refused = cluster.run(str(rows), "--dataset", "rows")
    done = cluster.run(str(rows), "--dataset", "rows", "--image", "registry/workload:2")

    assert 1 == refused.exit_code
    assert "add the namespace to the chart's value workloadNamespaces" in refused.stderr
    assert 0 == done.exit_code, done.stderr
    [job] = [manifest for manifest in cluster.created if manifest["kind"] == "Job"]
    assert "registry/workload:2" == job["spec"]["template"]["spec"]["containers"][0]["image"]
