"""A person with the cluster's `edit` in a namespace, and nothing else, puts a file into the store and trains on it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import clients, versions
from cluster.paths import REPOSITORY
from support.environment import UPLOADS, Environment
from support.kubectl import apply_manifests, kubectl
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import Dataset
from tidemill.children import names, uploads

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = UPLOADS
PERSON = "ann"
ROWS = 2_700_000


@pytest.fixture(scope="module")
def rights(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a person who may do what `edit` says in one namespace."""
    metadata = {"name": PERSON, "namespace": UPLOADS}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    apply_manifests(environment.cluster, UPLOADS, [account, binding])
    token = kubectl(environment.cluster, "create", "token", PERSON, "--namespace", UPLOADS).strip()
    config: dict[str, Any] = json.loads(
        kubectl(environment.cluster, "config", "view", "--raw", "--minify", "--flatten", "--output=json")
    )
    config["users"] = [{"name": PERSON, "user": {"token": token}}]
    config["contexts"][0]["context"].update(user=PERSON, namespace=UPLOADS)
    folder = tmp_path_factory.mktemp("person")
    (folder / "kubeconfig").write_text(json.dumps(config))
    (folder / "kubectl").symlink_to(clients.locate(versions.KUBECTL))
    yield {
        **os.environ,
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY / "operator"),
    }
    # The Job of the command that was killed ends by itself only minutes later.
    label = f"{names.COMPONENT}={uploads.COMPONENT}"
    kubectl(environment.cluster, "delete", "jobs", "--namespace", UPLOADS, "--selector", label, "--wait=true")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three parts."""
    path = tmp_path_factory.mktemp("rows") / "Käufe 2026.csv"
    path.write_text("n,weekday,target\n" + "".join(f"{n},{n % 7},{'yes' if n % 3 else 'no'}\n" for n in range(ROWS)))
    return path


def start(rights: dict[str, str], *words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tidemill", "upload", *map(str, words)]
    return subprocess.Popen(
        command, env=rights, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_an_upload_that_is_killed_continues_and_becomes_a_dataset(
    environment: Environment, rights: dict[str, str], rows: Path
) -> None:
    store_client = StoreClient.start(environment.api, UPLOADS, environment.images["workload"])
    words = (rows, "--dataset", "purchases", "--target", "target", "--create")
    killed = start(rights, *words)
    until(
        "the first part in the store",
        lambda: store_client.keys(f"{UPLOADS}/uploads/") or killed.poll() is not None,
        seconds=120,
        poll=0.1,
    )
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    arrived = store_client.keys(f"{UPLOADS}/uploads/")

    done = start(rights, *words)
    out, problems = done.communicate(timeout=240)

    assert 0 == done.returncode, problems
    assert "digest checked" in out or "in the store already" in out
    assert arrived, "some of it had arrived before the command was killed"
    [key] = store_client.keys(f"{UPLOADS}/uploads/")
    assert key.endswith("/K_ufe_2026.csv")
    store_client.stop()

    def ready() -> Dataset | None:
        dataset = environment.api.read(Dataset, UPLOADS, "purchases")
        return dataset if dataset is not None and dataset.status.is_true("Ready") else None

    dataset = until("the Dataset ready", ready, seconds=180, explain=environment.operator_log)
    assert f"store:///{key.removeprefix(f'{UPLOADS}/')}" == dataset.spec.source.uri
    assert dataset.status.revision is not None
    assert (ROWS, "target") == (dataset.status.revision.rows, dataset.status.revision.target)


def test_another_file_replaces_the_source_and_the_job_is_gone(
    environment: Environment, rights: dict[str, str], tmp_path: Path
) -> None:
    small = tmp_path / "small.csv"
    small.write_text("n,weekday,target\n1,2,yes\n2,3,no\n3,4,yes\n")

    done = start(rights, small, "--dataset", "purchases")
    out, problems = done.communicate(timeout=240)

    assert 0 == done.returncode, problems
    assert "set the source of Dataset 'purchases'" in out

    def read() -> bool:
        dataset = environment.api.read(Dataset, UPLOADS, "purchases")
        return dataset is not None and dataset.status.revision is not None and 3 == dataset.status.revision.rows

    until("the new revision", read, seconds=120, explain=environment.operator_log)
