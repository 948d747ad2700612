"""Write the reference of all fields as a Markdown page, generated from the definitions that the API server gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidemill.api import API_VERSION
from tidemill.api.structural import Schema, nodes
from tidemill.api.unsupported import LIMITS, Limit

_PREAMBLE = f"""# The five kinds, field by field

This page is generated from the models by `make generate`; `kubectl explain` prints the same text. All kinds belong to
`{API_VERSION}`, are namespaced, and are listed together by `kubectl get tidemill`. Other projects use some of the same plurals,
so use the full name in scripts, as in `kubectl get datasets.tidemill.dev`.

Durations are written like `90s`, `15m`, `1h30m` or `30d`. A field is optional unless it is marked *Required*. The operator alone
writes `status`.

Some fields are accepted by the API server before the operator supports them. Their description says *Not supported yet*, and each
kind has a list of them. The operator does not ignore such a field: it sets the conditions Ready=False and Stalled=True with the
reason Unsupported and the remedy, and starts nothing new for the object until the field is removed.
"""


def page(definitions: Iterable[Mapping[str, Any]]) -> str:
    """Return the whole page."""
    sections = [_section(definition) for definition in definitions]
    contents = "\n".join(f"* [{kind}](#{kind.lower()}): {summary}" for kind, summary, _ in sections)
    return "\n".join([_PREAMBLE, contents, *(text for _, _, text in sections)])


def _section(definition: Mapping[str, Any]) -> tuple[str, str, str]:
    names = definition["spec"]["names"]
    version = definition["spec"]["versions"][0]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    columns = ", ".join(
        column["name"] + (" (with `-o wide`)" if column.get("priority") else "")
        for column in version["additionalPrinterColumns"]
    )
    lines = [
        "",
        f"## {names['kind']}",
        "",
        schema["description"],
        "",
        f"Full name `{definition['metadata']['name']}`, short name `{names['shortNames'][0]}`. `kubectl get` shows {columns}.",
    ]
    if "scale" in version["subresources"]:
        lines.append(
            "`kubectl scale` and autoscalers set `"
            + version["subresources"]["scale"]["specReplicasPath"].removeprefix(".")
            + "`."
        )
    for part in ("spec", "status"):
        inner = schema["properties"][part]
        lines += [
            "",
            f"### {names['kind']} {part}",
            "",
            inner["description"],
            "",
            "| field | type | meaning |",
            "|---|---|---|",
        ]
        lines += [_row(*field) for field in _fields(inner)]
    if limits := LIMITS[names["kind"]]:
        lines += [
            "",
            f"### Fields of {names['kind']} that are not supported yet",
            "",
            "| field | values | instead |",
            "|---|---|---|",
        ]
        lines += [_limit(limit) for limit in limits]
    rules = list(_rules(schema))
    lines += [
        "",
        f"### Validation rules of {names['kind']}",
        "",
        "The API server rejects an object with these messages.",
        "",
        *rules,
    ]
    return names["kind"], schema["description"], "\n".join(lines) + "\n"


def _limit(limit: Limit) -> str:
    return f"| `{limit.path}` | {limit.values or 'all'} | {_cell(limit.remedy)} |"


def _fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield the path and schema of every field below `schema`, a parent before its children, and whether it is required."""
    for name, inner in schema.get("properties", {}).items():
        field_path = f"{path}.{name}".removeprefix(".")
        yield field_path, inner, name in schema.get("required", ())
        if inner.get("type") == "array":
            yield from _fields(inner["items"], f"{field_path}[]")
        else:
            yield from _fields(inner, field_path)


def _row(path: str, schema: Mapping[str, Any], required: bool) -> str:
    notes = [schema["description"]]
    if required:
        notes.append("*Required.*")
    if "default" in schema and schema["default"] != {}:
        notes.append(f"Default: `{_yaml(schema['default'])}`.")
    if bounds := _bounds(schema):
        notes.append(bounds)
    return f"| `{path}` | {_type(schema)} | {_cell(' '.join(notes))} |"


def _type(schema: Mapping[str, Any]) -> str:
    """Return a readable name of a type.

    >>> _type({"type": "array", "items": {"type": "string"}}), _type({"enum": ["On", "Off"], "type": "string"})
    ('list of string', '`On`, `Off`')
    """
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return "string, number or boolean" + (", or a list or map of these" if schema.get("maxItems") else "")
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map of {_type(schema['additionalProperties'])}"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case kind:
            return str(kind)


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    match low, high:
        case None, None:
            return ""
        case _, None:
            return f"At least {low}."
        case None, _:
            return f"At most {high}."
        case _:
            return f"From {low} to {high}."


def _rules(schema: Schema) -> Iterator[str]:
    """Yield every rule with the path it is attached to."""
    for path, node in nodes(schema):
        for rule in node.get("x-kubernetes-validations", ()):
            target = f"`{path.removeprefix('.')}`" if path else "the object"
            yield f"* {target}: {rule['message']}."
        if keys := node.get("x-kubernetes-list-map-keys"):
            yield f"* `{path.removeprefix('.')}`: two items must not have the same {keys[0]}."


def _yaml(value: Any) -> str:
    """Return a default as one line of YAML.

    >>> _yaml([{"weight": 5, "pause": "5m"}]), _yaml(False)
    ('[{weight: 5, pause: 5m}]', 'false')
    """
    match value:
        case dict():
            return "{" + ", ".join(f"{name}: {_yaml(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_yaml, value)) + "]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
