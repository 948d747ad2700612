"""What of an object is worth remembering: ten thousand objects are kept for days, and most of what they say is never read."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any, Final

from tidemill.children import names
from tidemill.plan.world import Manifest

_SHARED_LENGTH: Final = 40

# Nobody decides by these: who wrote which field, and the copy that `kubectl apply` leaves behind.
_METADATA: Final = frozenset({"managedFields", "selfLink"})
_ANNOTATIONS: Final = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"}
)

# A Job's template never changes once it exists, and is four fifths of it; whoever applies a Job reads it afresh.
_JOB_SPEC: Final = frozenset({"template", "selector"})
_POD_SPEC: Final = frozenset({"containers", "nodeName"})
_POD_CONTAINER: Final = frozenset({"name", "image", "resources"})


def pruned(manifest: Manifest) -> Manifest:
    """A copy of `manifest` with what planners and the comparison read, in as little memory as it takes."""
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
        case _:
            pass
    shared: Manifest = _shared(kept)
    return shared


def is_complete(kind: str) -> bool:
    """Whether objects of `kind` are remembered with everything that an apply of them needs."""
    return kind != "Job"


def _shared(value: Any) -> Any:
    """`value` with every field name and short text shared with all other objects, since most of them recur."""
    if isinstance(value, dict):
        return {sys.intern(name): _shared(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    if isinstance(value, str) and len(value) <= _SHARED_LENGTH:
        return sys.intern(value)
    return value


class Recent(OrderedDict[Any, Any]):
    """A dictionary that forgets what has not been used for longest, and never holds more than `limit` things."""

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
