"""Reduce objects to what is read: ten thousand objects are kept for days, and most of their fields are never used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import orjson

from tidemill.children import names
from tidemill.plan.world import Key, Manifest

# Used by no decision: who wrote which field, and the copy that `kubectl apply` leaves.
_METADATA: Final = frozenset({"managedFields", "selfLink"})
_ANNOTATIONS: Final = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"}
)

# A Job's template never changes once it exists, and is four fifths of it; an apply of a Job reads it again.
_JOB_SPEC: Final = frozenset({"template", "selector"})
_POD_SPEC: Final = frozenset({"containers", "nodeName"})
_POD_CONTAINER: Final = frozenset({"name", "image", "resources"})
# Labels of a pod's Job controller, each with a uid or a name that is in the owner reference too.
_POD_LABELS: Final = frozenset(
    {"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"}
)


def pruned(manifest: Manifest) -> Manifest:
    """Return a copy of `manifest` with the fields that planners and the comparison read."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _METADATA}
    annotations = metadata.get("annotations")
    if annotations:
        # A pod's order is for the pod alone.
        dropped = _ANNOTATIONS | {names.ORDER} if manifest.get("kind") == "Pod" else _ANNOTATIONS
        metadata["annotations"] = {name: value for name, value in annotations.items() if name not in dropped}
    kept = {**manifest, "metadata": metadata}
    spec = manifest.get("spec")
    match manifest.get("kind"):
        case "Job" if isinstance(spec, dict):
            kept["spec"] = {name: value for name, value in spec.items() if name not in _JOB_SPEC}
        case "Pod" if isinstance(spec, dict):
            brief = {name: value for name, value in spec.items() if name in _POD_SPEC}
            brief["containers"] = [
                {name: value for name, value in container.items() if name in _POD_CONTAINER}
                for container in spec.get("containers") or ()
            ]
            kept["spec"] = brief
            labels = metadata.get("labels") or {}
            metadata["labels"] = {name: value for name, value in labels.items() if name not in _POD_LABELS}
        case _:
            pass
    return kept


def is_complete(kind: str) -> bool:
    """Return whether objects of `kind` are kept with everything that an apply of them needs."""
    return kind != "Job"


class Packed(MutableMapping[Key, Manifest]):
    """Objects by key, each kept as JSON text and parsed at every access.

    That takes half the memory of dictionaries, leaves nothing for the garbage collector to walk through, and costs
    microseconds for each look. A caller that changes the answer changes nothing here.
    """

    def __init__(self) -> None:
        self._texts: dict[Key, bytes] = {}

    def __getitem__(self, key: Key) -> Manifest:
        manifest: Manifest = orjson.loads(self._texts[key])
        return manifest

    def __setitem__(self, key: Key, manifest: Manifest) -> None:
        # A copy, because orjson leaves its answer in a buffer of twice the size or more.
        self._texts[key] = bytes(memoryview(_spelled(manifest)))

    def __delitem__(self, key: Key) -> None:
        del self._texts[key]

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[Key]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Recent(OrderedDict[Any, Any]):
    """A dictionary of at most `limit` entries that drops the least recently used one."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def get(self, key: Any, default: Any = None) -> Any:
        if key in self:
            self.move_to_end(key)
            return self[key]
        return default

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._limit:
            self.popitem(last=False)


def _spelled(manifest: Manifest) -> bytes:
    try:
        return orjson.dumps(manifest)
    except TypeError:
        return orjson.dumps(_in_range(manifest))


def _in_range(value: Any) -> Any:
    """Return `value` with integers of more than 64 bits as floats, as the API server reads them."""
    if isinstance(value, dict):
        return {name: _in_range(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_in_range(inner) for inner in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value
