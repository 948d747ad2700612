"""The planners' view of the cluster: every relevant object by key, owner and label, as plain JSON values.

The world is a data structure without effects. The engine fills it from watches and lists, the stories from a script.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

Manifest = dict[str, Any]
"""A Kubernetes object as JSON values, in the API's own spelling."""


class Key(NamedTuple):
    """An object's address."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def key_of(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return Key(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


# Only lookups that some planner makes are indexed; every index costs memory for each object.
INDEXED_LABELS = ("tidemill.dev/model", "tidemill.dev/owner-uid", "tidemill.dev/monitor")


# References from one object to another, by the path of the field with the other's name.
INDEXED_REFERENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "Dataset": (
        ("spec", "source", "predictions", "inferenceServiceRef", "name"),
        ("spec", "source", "datasets", "name"),
        ("spec", "source", "scored", "dataset"),
        ("spec", "source", "scored", "modelVersion"),
        ("spec", "source", "scored", "inferenceService"),
    ),
    "TrainingJob": (("spec", "dataset", "name"), ("spec", "modelName"), ("spec", "servedRows", "inferenceService")),
    "ModelVersion": (("spec", "modelName"),),
    "InferenceService": (("spec", "model", "name"), ("spec", "feedback", "dataset", "name")),
    "DriftMonitor": (
        ("spec", "target", "inferenceService"),
        ("spec", "retraining", "template", "trainingJob"),
        ("spec", "reference", "dataset", "name"),
        ("spec", "feedback", "dataset", "name"),
    ),
}


def _values(manifest: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts at `path`, in each item of a list on the way."""
    if isinstance(manifest, list):
        for item in manifest:
            yield from _values(item, path)
    elif not path:
        if isinstance(manifest, str):
            yield manifest
    elif isinstance(manifest, dict):
        yield from _values(manifest.get(path[0]), path[1:])


class World:
    """Objects by key, with indexes over owner uids, kinds per namespace, and the labels that planners ask for."""

    def __init__(
        self,
        manifests: Iterable[Manifest] = (),
        *,
        objects: MutableMapping[Key, Manifest] | None = None,
        values: MutableMapping[Key, Any] | None = None,
    ) -> None:
        """Begin with `manifests`; empty mappings that save memory may be given in place of dictionaries."""
        self.objects: MutableMapping[Key, Manifest] = {} if objects is None else objects
        """The objects by key."""
        self._of_kind: defaultdict[tuple[str, str], dict[Key, None]] = defaultdict(dict)
        self._owned: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._labelled: defaultdict[tuple[str, str, str], dict[Key, None]] = defaultdict(dict)
        self._referring: defaultdict[tuple[str, str, tuple[str, ...], str], dict[Key, None]] = defaultdict(dict)
        self.values: MutableMapping[Key, Any] = {} if values is None else values
        """Objects that are parsed already; removed when the object changes."""
        self.events: Mapping[str, tuple[Manifest, ...]] = {}
        """Events of Kubernetes about objects that do not start, by uid, the newest first."""
        for manifest in manifests:
            self.put(manifest)

    def with_events(self, events: Mapping[str, tuple[Manifest, ...]]) -> World:
        """Return a view of the same objects with these Events."""
        view = copy.copy(self)
        view.events = events
        return view

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self.objects))

    def put(self, manifest: Manifest) -> None:
        """Store `manifest` in place of the object under its key."""
        key = key_of(manifest)
        self.remove(key)
        self.objects[key] = manifest
        for table, entry in self._entries(manifest):
            table[entry][key] = None

    def remove(self, key: Key) -> Manifest | None:
        """Forget what is known under `key`, and return it."""
        self.values.pop(key, None)
        manifest = self.objects.pop(key, None)
        if manifest is not None:
            for table, entry in self._entries(manifest):
                table[entry].pop(key, None)
                if not table[entry]:
                    del table[entry]  # owners come and go: empty entries would add up
        return manifest

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self.objects.get(Key(kind, namespace, name))

    def all(self, kind: str, namespace: str) -> list[Manifest]:
        """Return every object of `kind` in `namespace`, by name."""
        return self._sorted(self._of_kind.get((kind, namespace), {}))

    def has(self, kind: str, namespace: str) -> bool:
        """Return whether there is an object of `kind` in `namespace`."""
        return (kind, namespace) in self._of_kind

    def keys(self, kind: str) -> list[Key]:
        """Return the keys of every object of `kind` in every namespace, by namespace and name."""
        return sorted(key for (of, _), keys in self._of_kind.items() if of == kind for key in keys)

    def owned(self, kind: str, uid: str) -> list[Manifest]:
        """Return the objects of `kind` with an owner reference to `uid`, by name."""
        return self._sorted(key for key in self._owned.get(uid, {}) if key.kind == kind)

    def labelled(self, kind: str, namespace: str, label: str, value: str) -> list[Manifest]:
        """Return the objects of `kind` in `namespace` that carry `label: value`, by name; only for labels that are indexed."""
        if label not in INDEXED_LABELS:
            raise KeyError(f"{label} is not indexed; add it to INDEXED_LABELS")
        keys = self._labelled.get((namespace, label, value), {})
        return self._sorted(key for key in keys if key.kind == kind)

    def referring(self, kind: str, namespace: str, path: tuple[str, ...], name: str) -> list[Manifest]:
        """Return the objects of `kind` in `namespace` whose value at `path` is `name`, by name; only for references that are indexed."""
        return self._sorted(self.keys_referring(kind, namespace, path, name))

    def keys_referring(self, kind: str, namespace: str, path: tuple[str, ...], name: str) -> Iterable[Key]:
        """Return the keys of the objects of `referring`, in no order."""
        if path not in INDEXED_REFERENCES.get(kind, ()):
            raise KeyError(f"{kind} is not indexed by {'.'.join(path)}; add it to INDEXED_REFERENCES")
        return self._referring.get((kind, namespace, path, name), {})

    def _sorted(self, keys: Iterable[Key]) -> list[Manifest]:
        return [self.objects[key] for key in sorted(keys)]

    def _entries(self, manifest: Manifest) -> Iterator[tuple[defaultdict[Any, dict[Key, None]], Any]]:
        """Yield each index with the entry under which the object is listed."""
        metadata, kind = manifest["metadata"], manifest["kind"]
        namespace = metadata.get("namespace", "")
        yield self._of_kind, (kind, namespace)
        for uid in {owner["uid"] for owner in metadata.get("ownerReferences") or ()}:
            yield self._owned, uid
        labels = metadata.get("labels") or {}
        for label in INDEXED_LABELS:
            if label in labels:
                yield self._labelled, (namespace, label, labels[label])
        for path in INDEXED_REFERENCES.get(kind, ()):
            for value in set(_values(manifest, path)):
                yield self._referring, (kind, namespace, path, value)
