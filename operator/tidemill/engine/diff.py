"""Compare a live object with a manifest, and find where it differs.

A manifest says only what we care about, so everything it does not mention may be as it likes: API defaults, fields of other
managers, injected containers. A few maps say all there is, so that what a user took out of a spec goes. The comparison
knows how the API server rewrites what it stores: it drops what is empty, spells quantities its own way, and merges some
lists by a key.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_UP
from functools import lru_cache
from typing import Any, Final, NamedTuple

from kubernetes.utils.quantity import parse_quantity

from tidemill.engine.statuses import same
from tidemill.plan.world import Manifest

Path = tuple[str, ...]


class Difference(NamedTuple):
    """One path at which the live object differs from the manifest."""

    path: Path
    wanted: Any
    live: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {_brief(self.live)} → {_brief(self.wanted)}"


ABSENT: Final = None

# Lists that the API server merges by a key: elements of other managers are ignored. All other lists are compared whole.
_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port", "protocol"),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "podFailurePolicy": (),
}
_KEY_DEFAULTS: Final = {"protocol": "TCP"}

# Fields without a pointer in the API's types: false and 0 mean the same as absent there, and are not stored.
_OMITTED_WHEN_ZERO: Final = frozenset(
    {
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "readOnly",
        "stdin",
        "stdinOnce",
        "tty",
        "paused",
        "publishNotReadyAddresses",
        "minReadySeconds",
    }
)
_OMITTED_WHEN_EMPTY: Final = frozenset(
    {"labels", "annotations", "nodeSelector", "matchLabels", "requests", "limits", "data"}
)
# Maps without defaults: a key that the manifest does not mention is to be removed.
_EXACT: Final = frozenset({"resources", "requests", "limits", "parentRefs"})
_QUANTITIES: Final = frozenset({"requests", "limits", "capacity", "hard", "overhead"})
_QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "divisor", "storage"})

# Fields that the API server refuses to change. A running Job keeps the template it started with, also under a newer operator.
_FROZEN: Final[Mapping[str, tuple[Path, ...]]] = {
    "Job": (
        ("spec", "template"),
        ("spec", "selector"),
        ("spec", "completions"),
        ("spec", "completionMode"),
        ("spec", "podFailurePolicy"),
    ),
    "Deployment": (("spec", "selector"),),
}


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield every path at which `live` differs from `wanted`, in the order of `wanted`.

    >>> [str(difference) for difference in differences({"spec": {"replicas": 2}}, {"spec": {"replicas": 1, "paused": True}})]
    ['spec.replicas: 1 → 2']
    """
    frozen = _FROZEN.get(str(wanted.get("kind")), ())
    for difference in _mapping(wanted, live, ()):
        if not any(difference.path[: len(path)] == path for path in frozen):
            yield difference


def differs(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Difference | None:
    """Return the first path at which `live` differs from `wanted`, or None."""
    return next(differences(wanted, live), None)


def applicable(wanted: Manifest, live: Manifest) -> Manifest:
    """Return `wanted` with immutable fields taken from `live`, so that the rest can be applied."""
    body = wanted
    for path in _FROZEN.get(wanted["kind"], ()):
        value: Any = live
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None and path[1] in wanted.get("spec", {}):
            body = {**body, "spec": {**body["spec"], path[1]: copy.deepcopy(value)}}
    return body


def _mapping(wanted: Mapping[str, Any], live: Mapping[str, Any], path: Path) -> Iterator[Difference]:
    for key, value in wanted.items():
        here = (*path, key)
        if key not in live or live[key] is None:
            if not _same_as_absent(key, value):
                yield Difference(here, value, ABSENT)
        else:
            yield from _value(value, live[key], here)
    if path and path[-1].partition("[")[0] in _EXACT:
        for key in live.keys() - wanted.keys():
            if not _same_as_absent(key, live[key]):
                yield Difference((*path, key), ABSENT, live[key])


def _value(wanted: Any, live: Any, path: Path) -> Iterator[Difference]:
    if wanted is None:
        return  # says nothing
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        yield from _mapping(wanted, live, path)
    elif _is_list(wanted) and _is_list(live):
        keys = _MERGE_KEYS.get(path[-1], ()) if all(isinstance(element, Mapping) for element in wanted) else ()
        yield from _keyed(wanted, live, path, keys) if keys else _whole(wanted, live, path)
    elif not _equal(wanted, live, path):
        yield Difference(path, wanted, live)


def _keyed(wanted: Sequence[Any], live: Sequence[Any], path: Path, keys: tuple[str, ...]) -> Iterator[Difference]:
    by_key = {_key(element, keys): element for element in live if isinstance(element, Mapping)}
    for element in wanted:
        key = _key(element, keys)
        here = (*path[:-1], f"{path[-1]}[{'/'.join(str(part) for part in key if part is not None)}]")
        if key in by_key:
            yield from _mapping(element, by_key[key], here)
        else:
            yield Difference(here, element, ABSENT)


def _whole(wanted: Sequence[Any], live: Sequence[Any], path: Path) -> Iterator[Difference]:
    if len(wanted) != len(live):
        yield Difference(path, wanted, live)
        return
    for index, (ours, theirs) in enumerate(zip(wanted, live, strict=True)):
        yield from _value(ours, theirs, (*path[:-1], f"{path[-1]}[{index}]"))


def _key(element: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(element.get(key, _KEY_DEFAULTS.get(key)) for key in keys)


def _same_as_absent(key: str, value: Any) -> bool:
    if value is None or value == "" or (_is_list(value) and not value):
        return True
    if isinstance(value, Mapping):
        return not value and key in _OMITTED_WHEN_EMPTY
    return key in _OMITTED_WHEN_ZERO and not value


def _equal(wanted: Any, live: Any, path: Path) -> bool:
    if same(live, wanted):
        return True
    if path[-1] in _QUANTITY_FIELDS or (len(path) > 1 and path[-2] in _QUANTITIES):
        try:
            return bool(_quantity(wanted) == _quantity(live))
        except (TypeError, ValueError):
            return False
    return False


@lru_cache(maxsize=1024)
def _quantity(text: str | int | float) -> Any:
    """Return a quantity in thousandths, rounded up as the API server does."""
    return (parse_quantity(str(text)) * 1000).to_integral_value(ROUND_UP)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _brief(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
