"""The interface of one served version as an OpenAPI 3.1 document: the protocol's paths, with this model's features and classes."""

from __future__ import annotations

from typing import Any, Final

import tidemill
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.feedback import Expected
from tidemill.runtime.protocol.tensors import DATATYPES, MAX_DIMENSIONS
from tidemill.runtime.serve.http.bodies import Bounds
from tidemill.runtime.serve.version.model import ServedModel

Schema = dict[str, Any]

ERROR: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What is wrong, beginning with the field."}},
}
NUMBER: Final[Schema] = {
    "type": ["number", "null"],
    "description": "null where the model gives no number, as for values beyond what it can reckon with.",
}
PARAMETERS: Final[Schema] = {"type": "object", "additionalProperties": True}
ROUTING_KEY: Final = "Requests with the same one are answered by the same version while a candidate is on trial."
ROUTING_HEADER: Final[Schema] = {
    "name": "x-routing-key",
    "in": "header",
    "required": False,
    "description": f"{ROUTING_KEY} It comes before one in the body.",
    "schema": {"type": "string"},
}
TENSOR: Final[Schema] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "maxItems": MAX_DIMENSIONS,
        },
        "datatype": {"type": "string", "enum": list(DATATYPES)},
        "parameters": PARAMETERS,
        "data": {"type": "array", "description": "In row-major order, flat or nested; null is a missing number."},
    },
}
REFUSALS: Final = {
    "400": "The request is malformed; the message names the field.",
    "405": "Another method is wanted.",
    "408": "The body did not come in time.",
    "413": "The body is too long.",
    "415": "Another content type or coding is wanted.",
    "500": "The model, or the server, failed at it.",
    "503": "The model is not ready, or too many requests wait.",
    "504": "The model took too long.",
}


def document(model: ServedModel, bounds: Bounds) -> Schema:
    """The document of `model`, whose requests may take what `bounds` say."""
    base = f"/v2/models/{model.identity.model}"
    pinned = f"{base}/versions/{model.identity.version}"
    answered = _answered(model)
    of_model: dict[str, Schema] = {}
    for path in (base, pinned):
        mark = "" if path == base else "Version"
        of_model |= {
            path: _get(f"model{mark}Metadata", "What the model takes and gives.", _ref("Metadata")),
            f"{path}/ready": _get(f"model{mark}Ready", "Whether the model answers.", _ref("Ready"), unready=True),
            f"{path}/infer": _post(
                f"infer{mark}", "Answer tensors.", "InferRequest", answered, binary=True, routed=path == base
            ),
            f"{path}/predict": _post(
                f"predict{mark}",
                "Answer rows that name each feature.",
                "Rows",
                _ref("Predictions"),
                routed=path == base,
            ),
            f"{path}/explain": _post(
                f"explain{mark}", "Attributions and an outlier score for a few rows.", "Explained", answered
            ),
            f"{path}/feedback": _post(
                f"feedback{mark}",
                "Take the right answers to earlier requests.",
                "Feedback",
                _ref("Accepted"),
            ),
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{model.identity.model}, version {model.identity.version}",
            "version": tidemill.__version__,
            "description": f"The Open Inference Protocol, version 2. A body holds at most {bounds.body_bytes} bytes.",
        },
        "paths": {
            "/v2": _get("serverMetadata", "The server and its extensions.", {"type": "object"}),
            "/v2/health/live": _get("serverLive", "Whether the server lives.", {"type": "object"}),
            "/v2/health/ready": _get("serverReady", "Whether the server answers.", _ref("Ready"), unready=True),
            **of_model,
        },
        "components": {"schemas": _schemas(model.signature)},
    }


def _label(signature: Signature) -> Schema:
    expected = Expected.of(signature)
    if expected.classes is not None:
        return {"description": "The class that was right, as the model spells it; other labels are counted as unknown."}
    return {
        "type": "number",
        "description": f"The number that was right, between {expected.minimum:.6g} and {expected.maximum:.6g}.",
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _get(name: str, summary: str, answer: Schema, *, unready: bool = False) -> Schema:
    responses = {"200": _response("The answer.", answer)}
    if unready:
        responses["503"] = _response("Not yet, or not any more.", _ref("Ready"))
    else:
        responses["503"] = _response(REFUSALS["503"], _ref("Error"))
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _post(name: str, summary: str, asked: str, answer: Schema, *, binary: bool = False, routed: bool = False) -> Schema:
    content: Schema = {"application/json": {"schema": _ref(asked)}}
    answered = _response("The answer.", answer)
    if binary:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        answered["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            **({"parameters": [ROUTING_HEADER]} if routed else {}),
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": answered,
                **{code: _response(meaning, _ref("Error")) for code, meaning in REFUSALS.items()},
                **(
                    {"501": _response("The version keeps no rows to explain with.", _ref("Error"))}
                    if asked == "Explained"
                    else {}
                ),
            },
        }
    }


def _response(meaning: str, schema: Schema) -> Schema:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _answered(model: ServedModel) -> Schema:
    return {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": {"const": model.identity.model},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": PARAMETERS,
            "outputs": {"type": "array", "items": _ref("Tensor")},
        },
    }


def _schemas(signature: Signature) -> Schema:
    row = {
        "type": "object",
        "required": [feature.name for feature in signature.features],
        "properties": {column.name: _of(column) for column in (*signature.protected, *signature.features)},
        "additionalProperties": True,
    }
    rows: Schema = {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "id": _id(),
            "routing_key": {**_id(), "description": ROUTING_KEY},
            "rows": {"type": "array", "minItems": 1, "items": row},
        },
    }
    infer: Schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _id(),
            "parameters": {**PARAMETERS, "properties": {"routing_key": {**_id(), "description": ROUTING_KEY}}},
            "inputs": {"type": "array", "minItems": 1, "items": _ref("Tensor")},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": PARAMETERS},
                },
            },
        },
    }
    return {
        "Error": ERROR,
        "Tensor": TENSOR,
        "Ready": {
            "type": "object",
            "required": ["ready"],
            "properties": {
                name: {"type": kind}
                for name, kind in (("ready", "boolean"), ("name", "string"), ("reason", "string"), ("error", "string"))
            },
        },
        "Metadata": {
            "type": "object",
            "required": ["name", "versions", "platform", "inputs", "outputs"],
            "properties": {"name": {"type": "string"}, "versions": {"type": "array", "items": {"type": "string"}}},
        },
        "Rows": rows,
        "InferRequest": infer,
        "Explained": {"anyOf": [_ref("Rows"), _ref("InferRequest")]},
        "Predictions": {
            "type": "object",
            "required": ["model_name", "model_version", "id", "predictions"],
            "properties": {
                "predictions": {
                    "type": "array",
                    "items": {"enum": list(signature.classes)} if signature.classes else NUMBER,
                },
                "classes": {"type": "array"},
                "probabilities": {"type": "array", "items": {"type": "array", "items": NUMBER}},
            },
        },
        "Feedback": {
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["id", "label"],
                        "properties": {
                            "id": _id(least=1),
                            "row": {"type": "integer", "minimum": 0},
                            "label": _label(signature),
                            "time": {
                                "type": ["string", "number"],
                                "description": "When the label became known, in RFC 3339 or in seconds since 1970; now if left out. Not"
                                " before the request and not in the future; clocks may differ by 5 minutes.",
                            },
                        },
                    },
                }
            },
        },
        "Accepted": {
            "type": "object",
            "required": ["accepted", "unknown"],
            "properties": {
                "accepted": {"type": "integer", "description": "Labels that were taken."},
                "unknown": {"type": "integer", "description": "Labels among these that are not a class of the model."},
                "classes": {
                    "type": "array",
                    "description": "Classes of the model, if there are unknown labels; the first 100 of them.",
                },
                "message": {
                    "type": "string",
                    "description": "What is wrong with the unknown labels, and what to send.",
                },
            },
        },
    }


def _id(least: int = 0) -> Schema:
    text = {"type": "string", "minLength": least, "maxLength": 128, "pattern": "^[ -~]*$"}
    return text if least else {**text, "type": ["string", "null"]}


def _of(feature: Feature) -> Schema:
    if feature.type == "Categorical":
        return {"type": ["string", "number", "boolean", "null"], "examples": list(feature.categories[:5])}
    return {"type": ["number", "boolean", "null"]}
