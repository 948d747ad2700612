"""The page at `/`: what this process serves, a request to try, and where to read on. It refers to nothing outside this server."""

from __future__ import annotations

import shlex
from typing import Any, Final
from urllib.parse import quote

import orjson

from tidemill.runtime.html.page import Verdict, render, table
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.version.model import ServedModel

MAX_CLASSES: Final = 20
LINKS: Final = {
    "/v2/openapi.json": "OpenAPI document: all paths, features and classes",
    "/v2/health/ready": "Readiness",
    "/metrics": "Prometheus metrics",
    "/tidemill/v1/state": "State of this process: rollout, log, note on the model",
    "/v2": "Server metadata",
}


def home(serving: ServingContext, host: str) -> str:
    """Return the page, for a client that reached this server as `host`."""
    identity, model = serving.identity, serving.model
    base = f"/v2/models/{quote(identity.model)}"
    ready, _ = serving.state.readiness()
    verdict = (
        Verdict("good", "The model answers.")
        if ready
        else Verdict("warning", "The model does not answer.", (serving.state.message,))
    )
    request, features = "", None
    if model is not None:
        request = f"curl -d {shlex.quote(orjson.dumps(example(model)).decode())} http://{host}{base}/predict"
        features = table(
            "Features that the model takes",
            ("Feature", "Values"),
            [(feature.name, _described(feature)) for feature in model.signature.features],
        )
    return render(
        "served_model.html.j2",
        f"Model {identity.model}, version {identity.version}",
        verdict,
        _facts(serving),
        request=request,
        features=features,
        links={base: "Model metadata: inputs and outputs", **LINKS},
    )


def example(model: ServedModel) -> dict[str, Any]:
    """Return a request to `predict` with the model's own features, each in the middle of what training saw."""
    return {"rows": [{feature.name: _value(feature) for feature in model.signature.features}]}


def _value(feature: Feature) -> float | str:
    if feature.type == "Categorical":
        return feature.categories[0] if feature.categories else ""
    known = [bound for bound in (feature.minimum, feature.maximum) if bound is not None]
    return float(f"{sum(known) / len(known):.4g}") if known else 1.0


def _facts(serving: ServingContext) -> list[tuple[str, str]]:
    identity, model = serving.identity, serving.model
    facts = {"Model": identity.model, "Version": identity.version, "Role": identity.role, "Digest": identity.digest}
    if model is not None:
        signature = model.signature
        facts |= {"Task": signature.task, "Target": signature.target}
        facts["Runtime"] = "ONNX Runtime" if model.predictor.compiled else "scikit-learn"
        if signature.classes:
            names = [str(name) for name in signature.classes]
            facts["Classes"] = ", ".join(names[:MAX_CLASSES]) + (" …" if len(names) > MAX_CLASSES else "")
    return list(facts.items())


def _described(feature: Feature) -> str:
    if feature.type == "Categorical":
        shown = ", ".join(feature.categories[:MAX_CLASSES])
        return f"category: {shown}" + (" …" if len(feature.categories) > MAX_CLASSES else "")
    if feature.minimum is None or feature.maximum is None:
        return "number"
    return f"number, {feature.minimum:g} to {feature.maximum:g} in training"
