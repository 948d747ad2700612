"""The CustomResourceDefinitions of the five kinds, generated from the models."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Final

from tidemill.api import GROUP, KINDS, VERSION, AnyResource
from tidemill.api.base import PrinterColumn, Rule, WireModel
from tidemill.api.structural import Schema, structural, validation_of
from tidemill.api.unsupported import LIMITS, Limit

NAME_LIMIT: Final = 52
"""Maximum length of an object's name; the rest of a DNS label's 63 characters is for the suffixes of children's names."""

NAME_RULE: Final = Rule(
    f"self.metadata.name.matches('^[a-z]([-a-z0-9]{{0,{NAME_LIMIT - 2}}}[a-z0-9])?$')",
    f"metadata.name must have at most {NAME_LIMIT} lower case letters, digits and hyphens, begin with a letter and not end"
    " with a hyphen; choose a shorter or simpler name",
    accepts={"metadata": {"name": "a" * NAME_LIMIT}},
    rejects={"metadata": {"name": "a" * (NAME_LIMIT + 1)}},
)

CATEGORIES: Final = ("tidemill", "mlops")


def crds() -> tuple[dict[str, Any], ...]:
    """Return all five definitions, in the order of a model's life."""
    return tuple(crd(kind) for kind in KINDS)


def crd(kind: type[AnyResource]) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind; raise UnfitModel where a model has no structural schema."""
    subresources: dict[str, Any] = {"status": {}}
    if kind.scale:
        subresources["scale"] = dict(kind.scale)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "tidemill", "app.kubernetes.io/part-of": "tidemill"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind_name,
                "listKind": f"{kind.kind_name}List",
                "plural": kind.plural,
                "singular": kind.kind_name.lower(),
                "shortNames": [kind.short_name],
                "categories": list(CATEGORIES),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": schema(kind)},
                }
            ],
        },
    }


def schema(kind: type[AnyResource]) -> Schema:
    """Return the schema of a whole object."""
    # The operator alone writes the status, always completely: the only default is the generation that marks it as not yet observed.
    status = structural(model_of(kind, "status"), defaults=False, bounded=False)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "description": f"API version of this object: {GROUP}/{VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"Kind of this object: {kind.kind_name}.", "type": "string"},
            # The API server defines metadata itself, and rejects any other schema for it.
            "metadata": {"type": "object"},
            "spec": _with_notes(structural(model_of(kind, "spec")), LIMITS[kind.kind_name]),
            "status": {"default": {"observedGeneration": -1}, **status},
        },
        "x-kubernetes-validations": [validation_of(NAME_RULE), *map(validation_of, kind.rules)],
    }


def _with_notes(spec: Schema, limits: Iterable[Limit]) -> Schema:
    """Return `spec` with a note in the description of each field that is not supported yet."""
    noted = deepcopy(spec)
    for limit in limits:
        node = noted
        for part in limit.path.removeprefix("spec.").split("."):
            name = part.removesuffix("[]")
            node = node["properties"][name]
            if part != name:
                node = node["items"]
        node["description"] += f" {limit.note}"
    return noted


def model_of(kind: type[AnyResource], part: str) -> type[WireModel]:
    """Return the model of a kind's spec or status.

    >>> from tidemill.api import Dataset
    >>> model_of(Dataset, "spec").__name__
    'DatasetSpec'
    """
    model = kind.model_fields[part].annotation
    assert isinstance(model, type) and issubclass(model, WireModel), f"{part} of {kind.__name__} is a model"
    return model


def _column(column: PrinterColumn) -> dict[str, Any]:
    printed: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        printed["description"] = column.description
    if column.priority:
        printed["priority"] = column.priority
    return printed
