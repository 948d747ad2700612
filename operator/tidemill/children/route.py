"""Build the HTTPRoute of a service whose requests a Gateway splits."""

from __future__ import annotations

from typing import Any

from tidemill.api import InferenceService
from tidemill.children import names, serving
from tidemill.contract.serving import SERVING_PORT

TESTER = "x-tidemill-version"
"""Requests with the value `candidate` in this header go to the candidate, whatever its weight."""


def route(service: InferenceService, *, weight: int, answering: bool) -> dict[str, Any]:
    """Return a route that sends `weight` percent of the requests to the candidate; one that is not `answering` is not named."""
    stable = {"name": names.service(service.name), "port": 80}
    candidate = {"name": names.candidate(service.name), "port": SERVING_PORT}
    rules: list[dict[str, Any]] = [{"backendRefs": [_backend(stable, 1)]}]
    if answering:
        tester = {"headers": [{"name": TESTER, "value": "candidate"}]}
        rules = [
            {"matches": [tester], "backendRefs": [_backend(candidate, 1)]},
            {"backendRefs": [_backend(stable, 100 - weight), _backend(candidate, weight)]},
        ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": names.owned_by(service, names.service(service.name), serving.COMPONENT),
        "spec": {
            "parentRefs": [_parent(parent.to_wire()) for parent in service.spec.traffic.parent_refs],
            "hostnames": list(service.spec.traffic.hostnames),
            "rules": rules,
        },
    }


def _backend(reference: dict[str, Any], weight: int) -> dict[str, Any]:
    # As the API server stores it, so that what is there is seen to be what is wanted.
    return {"group": "", "kind": "Service", **reference, "weight": weight}


def _parent(reference: dict[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in reference.items() if value}
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", **named}
