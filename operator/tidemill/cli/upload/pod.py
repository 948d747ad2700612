"""The pod that takes the file: wait until it runs, and say why it does not."""

from __future__ import annotations

import json
import time
from typing import Any

from tidemill.cli.kubectl import Kubectl, refuse

START_SECONDS = 180.0
"""How long the pod may take to run."""
POLL_SECONDS = 1.0


def running_pod(kubectl: Kubectl, job: str, seconds: float = START_SECONDS) -> str:
    """Return the name of the Job's pod once it runs; end the command where it failed, or does not run in time."""
    end = time.monotonic() + seconds
    while True:
        pods = json.loads(kubectl.run("get", "pods", f"--selector=job-name={job}", "--output=json"))["items"]
        for pod in pods:
            name, phase = str(pod["metadata"]["name"]), pod.get("status", {}).get("phase")
            if phase == "Running":
                return name
            if phase in ("Failed", "Succeeded"):
                last = kubectl.run("logs", f"pod/{name}", "--tail=1").strip()
                refuse(f"the pod of the upload ended: {last or status_of(pod)}")
        if time.monotonic() > end:
            reason = status_of(pods[0]) if pods else _newest_event(kubectl, job)
            refuse(f"the pod of the upload does not run after {seconds:.0f} seconds: {reason}")
        time.sleep(POLL_SECONDS)


def status_of(pod: dict[str, Any]) -> str:
    """Return why a pod does not run.

    >>> status_of({"status": {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}})
    'ImagePullBackOff: no such image'
    >>> status_of({"status": {"phase": "Pending"}})
    'it is Pending'
    """
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        for state in container.get("state", {}).values():
            if state.get("reason"):
                return ": ".join(text for text in (state["reason"], state.get("message", "")) if text)
    for condition in status.get("conditions", ()):
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return f"it is {status.get('phase', 'unknown')}"


def _newest_event(kubectl: Kubectl, job: str) -> str:
    text = kubectl.run(
        "get", "events", f"--field-selector=involvedObject.name={job}", "--output=jsonpath={.items[-1:].message}"
    )
    return text.strip() or "no pod was created; check the quotas of the namespace"
