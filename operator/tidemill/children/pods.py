"""Build what all pods of Tidemill share: no rights, no token, a read-only root, the store's credentials as files."""

from __future__ import annotations

from typing import Any

from tidemill.api.base import Quantities
from tidemill.children.installation import Installation
from tidemill.contract.orders import CLAIM_PATH, CREDENTIALS_PATH
from tidemill.contract.reports import REPORT_PATH
from tidemill.contract.serving import STORE_PATH

ORDER_FOLDER = "/tidemill/order"

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The container's half of the Pod Security Standard `restricted`."""
UNPRIVILEGED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The pod's half."""


def pod(
    installation: Installation,
    container: dict[str, Any],
    *,
    files: dict[str, str],
    credentials: str = "",
    claim: str = "",
    scratch: str = "2Gi",
) -> dict[str, Any]:
    """Return a pod spec around one container, with store credentials and scratch space mounted.

    `files` maps files in `ORDER_FOLDER` to the pod annotations whose text they contain; they follow a change within seconds.

    The Secrets are optional: without one the process starts, and reports that the credentials are missing.
    """
    volumes: list[dict[str, Any]] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": scratch}},
        {"name": "store", "secret": {"secretName": installation.store_secret, "optional": True}},
        {
            "name": "order",
            "downwardAPI": {
                "items": [
                    {"path": file, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
                    for file, annotation in files.items()
                ]
            },
        },
    ]
    mounts = [
        {"name": "scratch", "mountPath": "/tmp"},
        {"name": "store", "mountPath": STORE_PATH, "readOnly": True},
        {"name": "order", "mountPath": ORDER_FOLDER, "readOnly": True},
    ]
    if credentials:
        volumes.append({"name": "credentials", "secret": {"secretName": credentials, "optional": True}})
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS_PATH, "readOnly": True})
    if claim:
        # Read-only also as a volume: the kubelet then leaves the owners of its files alone.
        volumes.append({"name": "claim", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
        mounts.append({"name": "claim", "mountPath": CLAIM_PATH, "readOnly": True})
    return {
        "serviceAccountName": installation.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": UNPRIVILEGED,
        "containers": [
            {
                **container,
                "imagePullPolicy": installation.image_pull_policy,
                "securityContext": RESTRICTED,
                "terminationMessagePath": REPORT_PATH,
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def resources(wanted: Quantities | None, *, cpu: str, memory: str) -> dict[str, Any]:
    """Return the user's resources, or requests of `cpu` and `memory` by default."""
    if wanted is None:
        return {"requests": {"cpu": cpu, "memory": memory}}
    return wanted.to_wire()
