"""Find what the objects of the cluster use in the object store, so that the sweeper deletes nothing else.

Every text of every object is searched for URIs and digests, whatever its field: a field that is added later, an
annotation, or the order in a Deployment's template keeps what it names. Too much may be kept, never too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tidemill.api import Dataset, DriftMonitor, InferenceService
from tidemill.contract.references import References
from tidemill.plan.lookup import get_path
from tidemill.plan.world import World

_FOLDER: Final = re.compile(r"/([^/\s\"]+/(?:datasets|models)/[^/\s\"\\]+/[^/\s\"\\]+)")
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")


def in_use(world: World) -> References:
    """Return everything in the store that an object stands for or mentions."""
    namespaces, logs, monitors = set[str](), set[str](), set[str]()
    folders, digests = set[str](), set[str]()
    for key in world:
        manifest = world.get(*key)
        if manifest is None:
            continue
        match key.kind:
            case InferenceService.kind_name:
                logs.add(f"{key.namespace}/{key.name}")
            case DriftMonitor.kind_name:
                monitors.add(f"{key.namespace}/{key.name}")
                watched = get_path(manifest, "spec", "target", "inferenceService") or f"cloudevents.{key.name}"
                logs.add(f"{key.namespace}/{watched}")
            case Dataset.kind_name:
                read = get_path(manifest, "spec", "source", "predictions", "inferenceServiceRef", "name")
                if read:
                    logs.add(f"{key.namespace}/{read}")
            case _:
                pass
        namespaces.add(key.namespace)
        for text in _texts(manifest):
            if len(text) >= 64:
                digests.update(_DIGEST.findall(text))
            if "/" in text:
                folders.update(_FOLDER.findall(text))
    return References(
        format="tidemill.dev/references/v1",
        namespaces=tuple(sorted(namespaces)),
        logs=tuple(sorted(logs)),
        monitors=tuple(sorted(monitors)),
        folders=tuple(sorted(folders)),
        digests=tuple(sorted(digests)),
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
