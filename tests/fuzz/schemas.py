"""The schemas of the five kinds as the API server gets them, and every location in them where a value may stand.

Read from the generated files, so that a new field is tried without a word here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml

from cluster.paths import REPOSITORY
from tidemill.api import GROUP, KINDS
from tidemill.api.base import WireModel
from tidemill.api.crds import model_of

Schema = Mapping[str, Any]
Path = tuple[str, ...]
"""Names of fields, `[]` for an item of a list, `{}` for a value of a map."""
ITEM, VALUE = "[]", "{}"


@dataclass(frozen=True, eq=False)
class Location:
    """Somewhere below the spec of a kind."""

    kind: str
    path: Path
    schema: Schema

    @property
    def is_leaf(self) -> bool:
        """Whether nothing stands below it."""
        return not self.schema.get("properties") and not isinstance(self.schema.get("items"), Mapping)

    def __str__(self) -> str:
        return f"{self.kind} {spelled(self.path)}"


def spelled(path: Path) -> str:
    """A path for a reader.

    >>> spelled(("checks", "[]", "failing"))
    '.spec.checks[].failing'
    """
    return ".spec" + "".join(step if step in (ITEM, VALUE) else f".{step}" for step in path)


@functools.cache
def specs() -> dict[str, Schema]:
    """The schema of each kind's spec."""
    return {kind: _whole(kind)["properties"]["spec"] for kind in _files()}


@functools.cache
def roots() -> dict[str, Schema]:
    """Return the schema of each kind's whole object."""
    return {kind: _whole(kind) for kind in _files()}


@functools.cache
def statuses() -> dict[str, Schema]:
    """The schema of each kind's status."""
    return {kind: _whole(kind)["properties"]["status"] for kind in _files()}


def locations() -> list[Location]:
    """Every location of every kind."""
    return [Location(kind, path, node) for kind, schema in specs().items() for path, node in walk(schema)]


def walk(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every node below `schema` with its path, itself first."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, (*path, name))
    if isinstance(schema.get("items"), Mapping):
        yield from walk(schema["items"], (*path, ITEM))
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from walk(schema["additionalProperties"], (*path, VALUE))


@functools.cache
def messages(kind: str) -> frozenset[str]:
    """What the rules of a kind say when they refuse."""
    return frozenset(
        rule["message"] for _, node in walk(_whole(kind)) for rule in node.get("x-kubernetes-validations", ())
    )


@functools.cache
def accepted(kind: str) -> dict[Path, tuple[Any, ...]]:
    """By path: values that the rules standing there let through, by the rules' own examples."""
    return _examples(kind, "accepts")


@functools.cache
def rejected(kind: str) -> dict[Path, tuple[Any, ...]]:
    """By path: values that a rule standing there refuses."""
    return _examples(kind, "rejects")


def _examples(kind: str, which: str) -> dict[Path, tuple[Any, ...]]:
    models = {kind.kind_name: kind for kind in KINDS}
    if kind not in models:
        return {}
    results: dict[Path, dict[str, Any]] = {}
    for path, model in _models(model_of(models[kind], "spec"), ()):
        for rule in vars(model).get("rules", ()):
            example = getattr(rule, which)
            results.setdefault(path, {})[json.dumps(example, sort_keys=True)] = example
    return {path: tuple(examples.values()) for path, examples in results.items()}


def _models(model: type[WireModel], path: Path) -> Iterator[tuple[Path, type[WireModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for inner, steps in _within(field.annotation, ()):
            yield from _models(inner, (*path, field.alias or name, *steps))


def _within(annotation: Any, steps: Path) -> Iterator[tuple[type[WireModel], Path]]:
    if isinstance(annotation, type) and issubclass(annotation, WireModel):
        yield annotation, steps
    for argument in get_args(annotation):
        origin = get_origin(annotation)
        yield from _within(
            argument, (*steps, ITEM) if origin is tuple else (*steps, VALUE) if origin is dict else steps
        )


@functools.cache
def _files() -> dict[str, Any]:
    results = {}
    for file in sorted((REPOSITORY / "crds").glob(f"*.{GROUP}.yaml")):
        definition = yaml.safe_load(file.read_text())
        results[definition["spec"]["names"]["kind"]] = definition
    return results


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions themselves."""
    return list(_files().values())


def _whole(kind: str) -> Schema:
    [version] = _files()[kind]["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema
