"""Just enough of a Kubernetes client to see a cluster come up."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.authority import Authority, Certificate
from cluster.processes import POLL


class TooLate(TimeoutError):
    """Something that was waited for did not happen."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API server at `server`, as seen by one client."""

    server: str
    authority: Authority
    client: Certificate

    def get(self, path: str) -> Any:
        """The object at `path`, or None while there is no answer or no object."""
        try:
            trust = ssl.create_default_context(cafile=self.authority.certificate)
            trust.load_cert_chain(self.client.certificate, self.client.key)
            # Never through a proxy: the server is on this machine.
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
            )
            with opener.open(self.server + path, timeout=5) as answer:
                content = answer.read()
        except (OSError, urllib.error.URLError):
            return None
        return json.loads(content) if content[:1] in b"{[" else content.decode()

    @property
    def ready(self) -> bool:
        return bool(self.get("/readyz") == "ok")

    def node_ready(self, name: str) -> bool:
        return holds(self.get(f"/api/v1/nodes/{name}"), "Ready")

    def deployment_available(self, namespace: str, name: str) -> bool:
        return holds(self.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"), "Available")


def holds(seen: Any, condition: str) -> bool:
    """Whether an object reports `condition` as true.

    >>> holds({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Ready")
    True
    >>> holds(None, "Ready")
    False
    """
    conditions = ((seen or {}).get("status") or {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def wait(what: str, question: Callable[[], bool], *, seconds: float, poll: float = 5 * POLL) -> None:
    """Ask until the answer is yes, for `seconds` at most."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise TooLate(f"{what} did not happen within {seconds:g} s")
        time.sleep(poll)
