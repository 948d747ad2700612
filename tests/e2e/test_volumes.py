"""A Dataset reads files of a PersistentVolumeClaim, which its pod can neither write nor change the owner of."""

import pytest

from support.environment import UPLOADS, Environment
from support.waiting import until
from tidemill.api import API_VERSION, Dataset

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = UPLOADS
CLAIM = "lake"
WRITE = """
import os, pathlib
for day in (1, 2):
    folder = pathlib.Path(f"/lake/tx/day={day}")
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("n,target\\n1,yes\\n2,no\\n3,yes\\n")
    (folder / "rows.csv").chmod(0o644)
    (folder / "key.csv").symlink_to("/tidemill/store/secret-access-key")
"""


@pytest.fixture(scope="module")
def claim(environment: Environment) -> str:
    """A claim with two files, and a link to the pod's own key next to each."""
    metadata = {"name": CLAIM, "namespace": UPLOADS}
    environment.api.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        }
    )
    container = {
        "name": "write",
        "image": environment.images["workload"],
        "command": ["python", "-c", WRITE],
        "volumeMounts": [{"name": "lake", "mountPath": "/lake"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    environment.api.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "writer", "namespace": UPLOADS},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1234,
                    "fsGroup": 1234,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": [{"name": "lake", "persistentVolumeClaim": {"claimName": CLAIM}}],
            },
        }
    )

    def written() -> bool:
        pod = environment.api.get("Pod", UPLOADS, "writer")
        assert pod is not None
        assert pod["status"].get("phase") != "Failed", environment.api.log(UPLOADS, "writer")
        return bool(pod["status"].get("phase") == "Succeeded")

    until("the files on the volume", written, seconds=120)
    return CLAIM


def test_files_of_a_claim_become_a_dataset(environment: Environment, claim: str) -> None:
    metadata = {"name": "on-a-volume", "namespace": UPLOADS}
    spec = {"source": {"uri": f"pvc://{claim}/tx/"}}
    environment.api.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": metadata, "spec": spec})

    def ready() -> Dataset | None:
        dataset = environment.api.read(Dataset, UPLOADS, "on-a-volume")
        return dataset if dataset is not None and dataset.status.is_true("Ready") else None

    dataset = until("the Dataset ready", ready, seconds=180, explain=environment.operator_log)
    assert dataset.status.revision is not None
    assert (6, 3) == (dataset.status.revision.rows, dataset.status.revision.columns)


def test_a_link_on_the_volume_does_not_lead_to_the_keys_of_the_pod(environment: Environment, claim: str) -> None:
    metadata = {"name": "linked", "namespace": UPLOADS}
    spec = {"source": {"uri": f"pvc://{claim}/tx/day=1/key.csv"}}
    environment.api.create({"apiVersion": API_VERSION, "kind": "Dataset", "metadata": metadata, "spec": spec})

    def refused() -> str | None:
        dataset = environment.api.read(Dataset, UPLOADS, "linked")
        fetched = dataset.status.condition("Fetched") if dataset is not None else None
        return fetched.message if fetched is not None and fetched.status == "False" else None

    message = until("the refusal", refused, seconds=120, explain=environment.operator_log)
    assert "leads through a symbolic link" in message
