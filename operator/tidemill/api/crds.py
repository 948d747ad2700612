"""The CustomResourceDefinitions of the five kinds, made of the models and nothing else."""

from __future__ import annotations

from typing import Any, Final

from tidemill.api import GROUP, KINDS, VERSION, AnyResource
from tidemill.api.base import PrinterColumn, Rule, WireModel
from tidemill.api.structural import Schema, spelled, structural

NAME_LIMIT: Final = 52
"""What is left of a DNS label's 63 characters is for the children's names."""

NAME_RULE: Final = Rule(
    f"self.metadata.name.matches('^[a-z]([-a-z0-9]{{0,{NAME_LIMIT - 2}}}[a-z0-9])?$')",
    f"metadata.name must be at most {NAME_LIMIT} lower case letters, digits and hyphens, beginning with a letter and not ending"
    " with a hyphen: the names of what is made for it begin with it",
    accepts={"metadata": {"name": "a" * NAME_LIMIT}},
    rejects={"metadata": {"name": "a" * (NAME_LIMIT + 1)}},
)

CATEGORIES: Final = ("tidemill", "mlops")


def crds() -> tuple[dict[str, Any], ...]:
    """All five, in the order of a model's life."""
    return tuple(crd(kind) for kind in KINDS)


def crd(kind: type[AnyResource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind; UnfitModel where its models cannot be said in one."""
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
    """The schema of a whole object."""
    # A status is the operator's own: it is complete or absent, so nothing is filled into it but the sign that nobody has looked yet.
    status = structural(model_of(kind, "status"), defaults=False, bounded=False)
    return {
        "description": kind.__doc__,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "description": f"The version of the API that this object is written in: {GROUP}/{VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"The kind of this object: {kind.kind_name}.", "type": "string"},
            # The API server describes metadata itself, and refuses to be told how.
            "metadata": {"type": "object"},
            "spec": structural(model_of(kind, "spec")),
            "status": {"default": {"observedGeneration": -1}, **status},
        },
        "x-kubernetes-validations": [spelled(NAME_RULE), *map(spelled, kind.rules)],
    }


def model_of(kind: type[AnyResource], part: str) -> type[WireModel]:
    """The model of a kind's spec or status.

    >>> from tidemill.api import Dataset
    >>> model_of(Dataset, "spec").__name__
    'DatasetSpec'
    """
    found = kind.model_fields[part].annotation
    assert isinstance(found, type) and issubclass(found, WireModel), f"{part} of {kind.__name__} is a model"
    return found


def _column(column: PrinterColumn) -> dict[str, Any]:
    said: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        said["description"] = column.description
    if column.priority:
        said["priority"] = column.priority
    return said
