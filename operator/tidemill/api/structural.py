"""Convert models to structural schemas, the dialect of OpenAPI that a CustomResourceDefinition accepts.

Descriptions are the docstrings of the fields, defaults and bounds are those of pydantic, rules are class attributes of the
models. A model without a description or a bound, or of an unknown type, is rejected here before the API server sees it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

from tidemill.api.base import MAX_PARAMETER_ITEMS, Rule, WireModel

Schema = dict[str, Any]

TIMESTAMP_PATTERN: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""RFC 3339 as CEL reads it. The format alone accepts more, such as `t` for `T`: then no rule of the object could be evaluated,
and the status could not be written any more."""
QUANTITY_PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
"""A Kubernetes quantity written as a string, such as `500m` or `2Gi`."""

_INT_OR_STRING: Final[Schema] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "maxLength": 64,
    "pattern": QUANTITY_PATTERN,
    "x-kubernetes-int-or-string": True,
}
# A structural schema has no type for "string, number or boolean", but it can give objects and arrays impossible sizes.
_SCALAR: Final[Schema] = {
    "maxItems": 0,
    "maxLength": 1024,
    "maxProperties": 0,
    "minItems": 1,
    "minProperties": 1,
    "x-kubernetes-preserve-unknown-fields": True,
}
# Scalars, and lists and maps of these: what is in a list or a map is bounded as a scalar is, so that nothing is nested in it.
_PARAMETER: Final[Schema] = {
    "additionalProperties": _SCALAR,
    "items": _SCALAR,
    "maxItems": MAX_PARAMETER_ITEMS,
    "maxLength": 1024,
    "maxProperties": MAX_PARAMETER_ITEMS,
    "minItems": 1,
    "minProperties": 1,
    "x-kubernetes-preserve-unknown-fields": True,
}


# Used within this module only: moved from the items of a list to the list.
_LIST_KEY: Final = "x-list-key"


class UnfitModel(ValueError):
    """A model without a structural schema; the message names each field and the problem."""


def structural(model: type[BaseModel], *, defaults: bool = True, bounded: bool = True) -> Schema:
    """Return the structural schema of `model`.

    With `defaults` the API server fills in fields that are left out (wanted for a spec, not for a status).
    `bounded` requires a bound on every string, list and map: the API server needs them to compute the cost of rules, and
    they limit the size of an object. Raise UnfitModel where a description, a bound or a known type is missing.
    """
    whole = _Dialect(by_alias=True, ref_template=DEFAULT_REF_TEMPLATE).generate(
        model.__pydantic_core_schema__, mode="validation"
    )
    schema = _unkeyed(_inlined(whole, whole.get("$defs", {})))
    schema = _describe_list_defaults(schema) if defaults else _without_defaults(schema)
    problems = [*_undescribed(schema), *(_unbounded(schema) if bounded else ())]
    if problems:
        raise UnfitModel("\n".join([f"{model.__name__} has no structural schema:", *problems]))
    return schema


def validation_of(rule: Rule) -> Schema:
    """Return a rule in the form of the API server."""
    validation = {"rule": rule.rule, "message": rule.message}
    if rule.field_path:
        validation["fieldPath"] = rule.field_path
    return validation


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every schema within `schema` with its path: `.name` for fields, `[]` for items, `{}` for values of maps.

    >>> [path for path, _ in nodes({"properties": {"a": {"items": {}}}})]
    ['', '.a', '.a[]']
    """
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


class _Dialect(GenerateJsonSchema):
    """Pydantic's JSON schema generator, with the keywords that structural schemas spell differently."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        described.pop("title", None)
        described.pop("additionalProperties", None)
        model = schema["cls"]
        if issubclass(model, WireModel):
            if model.rules:
                described["x-kubernetes-validations"] = [validation_of(rule) for rule in model.rules]
            if model.list_key:
                described[_LIST_KEY] = model.list_key
        return described

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        # An optional field is left out; null has no meaning in this API.
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = self.generate_inner(schema["schema"])
        default = _wire(schema.get("default"))
        # An empty string, list or map means the same as its absence; an empty object brings in its own defaults.
        if default in (None, "", []) or (default == {} and "additionalProperties" in described):
            return described
        if "$ref" in described:
            return {"allOf": [described], "default": default}
        return {**described, "default": default}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return {"enum": [_wire(value) for value in schema["expected"]], "type": "string"}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return {**super().datetime_schema(schema), "pattern": TIMESTAMP_PATTERN}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return {"format": "int64", **super().int_schema(schema)}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        described = super().float_schema(schema)
        for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if exclusive in described:
                # OpenAPI 3.0 has a number and a flag where newer JSON schemas have a number.
                described[bound] = described.pop(exclusive)
                described[exclusive] = True
        return described

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        described = super().tuple_schema(schema)
        if "prefixItems" in described or "items" not in described:
            raise UnfitModel("a tuple of fixed length has no structural schema; use a model or a list")
        if "x-kubernetes-preserve-unknown-fields" in described["items"]:
            # The API server accepts null in such a list in any case. If the items are not nullable, no rule of the object can
            # be evaluated any more and its status cannot be written; so null is accepted here, and rejected when parsed.
            described["items"] = {**described["items"], "nullable": True}
        return described

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        choices = [
            self.generate_inner(choice[0] if isinstance(choice, tuple) else choice) for choice in schema["choices"]
        ]
        types = {choice.get("type") for choice in choices}
        if types == {"string", "integer"}:
            return dict(_INT_OR_STRING)
        if types == {"string", "integer", "number", "boolean"}:
            return dict(_SCALAR)
        if types == {"string", "integer", "number", "boolean", "array", "object"}:
            return dict(_PARAMETER)
        raise UnfitModel(
            f"a union of {sorted(map(str, types))} has no structural schema; use optional fields and a rule that requires one of them"
        )


def _wire(value: Any) -> Any:
    """Return a default with the field names of the API, without values that equal nested defaults."""
    match value:
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
        case tuple() | list():
            return [_wire(item) for item in value]
        case _:
            return to_jsonable_python(value)


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return `schema` with every reference replaced by its target; keywords next to a reference override those of the target."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    siblings = {word: value for word, value in schema.items() if word not in ("$defs", "$ref", "allOf")}
    below: Schema = {}
    for part in [*schema.get("allOf", ()), *([schema["$ref"]] if "$ref" in schema else ())]:
        below |= _inlined(definitions[part.rpartition("/")[2]] if isinstance(part, str) else part, definitions)
    words = {
        word: {name: _unkeyed(_inlined(inner, definitions)) for name, inner in value.items()}
        if word == "properties"
        else value
        if word == "default"
        else " ".join(value.split())
        if word == "description"
        else _inlined(value, definitions)
        for word, value in siblings.items()
    }
    merged = {**below, **words}
    if merged.get("type") == "array":
        key = merged["items"].get(_LIST_KEY, "")
        merged["items"] = _unkeyed(merged["items"])
        merged |= (
            {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
            if key
            else {"x-kubernetes-list-type": "atomic"}
        )
    return dict(sorted(merged.items()))


def _unkeyed(schema: Schema) -> Schema:
    return {word: value for word, value in schema.items() if word != _LIST_KEY}


def _describe_list_defaults(schema: Schema) -> Schema:
    """Return `schema` with the defaults of list items moved to their descriptions.

    Clients compare a list as a whole: if the API server filled in defaults of its items, every apply of the same file
    would be a change, and a GitOps tool would report a difference all the time.
    """
    kept = dict(schema)
    if "properties" in kept:
        kept["properties"] = {name: _describe_list_defaults(inner) for name, inner in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _describe_item_defaults(kept["items"])
    return kept


def _describe_item_defaults(item: Schema) -> Schema:
    properties = {name: _describe_default(inner) for name, inner in item.get("properties", {}).items()}
    return {**item, "properties": properties} if properties else item


def _describe_default(schema: Schema) -> Schema:
    default = schema.get("default")
    below = _describe_item_defaults({word: value for word, value in schema.items() if word != "default"})
    if default in (None, {}):
        return below
    text = default if isinstance(default, str) else json.dumps(default)
    return {**below, "description": f"{below.get('description', '')} Default: `{text}`."}


def _without_defaults(schema: Schema) -> Schema:
    kept = {word: value for word, value in schema.items() if word != "default"}
    if "properties" in kept:
        kept["properties"] = {name: _without_defaults(inner) for name, inner in kept["properties"].items()}
    for word in ("items", "additionalProperties"):
        if word in kept:
            kept[word] = _without_defaults(kept[word])
    return kept


def _undescribed(schema: Schema) -> Iterator[str]:
    for path, node in nodes(schema):
        for name, inner in node.get("properties", {}).items():
            if not inner.get("description"):
                yield f"{path}.{name} has no description; write a docstring below the field"


def _unbounded(schema: Schema) -> Iterator[str]:
    needed = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}
    for path, node in nodes(schema):
        kind = node.get("type")
        if kind not in needed or "enum" in node or node.get("format") == "date-time" or "properties" in node:
            continue
        if needed[kind] not in node:
            yield f"{path} has no {needed[kind]}; give the field a max_length"
