"""Kubeconfig files: written for our own clusters, read for everybody's."""

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from cluster.authority import Authority, Certificate


def write(path: Path, *, server: str, context: str, authority: Authority, client: Certificate) -> None:
    """Write a kubeconfig that carries its certificates in itself, for its owner's eyes only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {"name": context, "cluster": {"server": server, "certificate-authority-data": _text(authority.certificate)}}
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": _text(client.certificate),
                    "client-key-data": _text(client.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))


def current_context(path: Path) -> str:
    """The context that a client given only this file would use."""
    content: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return str(content.get("current-context", ""))


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
