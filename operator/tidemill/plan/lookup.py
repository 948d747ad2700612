"""Look objects up in the world, as typed values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from tidemill.api import AnyResource, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.dataset import Revision
from tidemill.contract.serving import SERVING_PORT
from tidemill.plan.world import Key, Manifest, World

KIND_TYPES: dict[str, type[AnyResource]] = {
    kind.kind_name: kind for kind in (Dataset, TrainingJob, ModelVersion, InferenceService, DriftMonitor)
}
Kind = TypeVar("Kind", Dataset, TrainingJob, ModelVersion, InferenceService, DriftMonitor)


class InvalidObjectError(Exception):
    """A custom resource does not parse; other objects are planned as usual."""


def read(kind: type[Kind], manifest: Manifest) -> Kind:
    """Return `manifest` as a value of `kind`; raises InvalidObjectError with the path of the invalid field."""
    try:
        return kind.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidObjectError(f"{where}: {first['msg']}") from error


def get_or_none(kind: type[Kind], world: World, key: Key) -> Kind | None:
    """Return the object under `key`, parsed once for each change, or None if there is none; raises InvalidObjectError."""
    known = world.values.get(key)
    if known is not None:
        return known  # type: ignore[no-any-return]
    manifest = world.get(*key)
    if manifest is None:
        return None
    value = read(kind, manifest)
    world.values[key] = value
    return value


def get_by_name(kind: type[Kind], world: World, namespace: str, name: str) -> Kind | None:
    """Return the object by name; None if it does not exist or does not parse."""
    try:
        return get_or_none(kind, world, Key(kind.kind_name, namespace, name))
    except InvalidObjectError:
        return None


class MissingRevisionError(Exception):
    """The Dataset that a spec names does not exist, or has no revision."""


def current_revision(namespace: str, name: str, world: World, field: str) -> Revision:
    """Return the current revision of the Dataset that `field` of a spec names; raises MissingRevisionError with what to do."""
    dataset = get_by_name(Dataset, world, namespace, name)
    if dataset is None:
        raise MissingRevisionError(f"Dataset {name!r} not found; create it, or correct {field}")
    revision: Revision | None = dataset.status.revision
    if revision is None:
        ready = dataset.status.condition("Ready")
        because = f" ({ready.reason}: {ready.message})" if ready and ready.message else ""
        raise MissingRevisionError(f"Dataset {name!r} has no revision yet{because}")
    return revision


def all_of(kind: type[Kind], world: World, manifests: Iterable[Manifest]) -> list[Kind]:
    """Return those of `manifests` that parse; an invalid one does not affect the others."""
    values = (
        get_by_name(kind, world, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        for manifest in manifests
    )
    return [value for value in values if value is not None]


def is_being_deleted(manifest: Manifest | None) -> bool:
    return manifest is not None and bool(manifest["metadata"].get("deletionTimestamp"))


def is_ours(manifest: Manifest, uid: str) -> bool:
    """Return whether the object has an owner reference to `uid`."""
    return any(owner.get("uid") == uid for owner in manifest["metadata"].get("ownerReferences") or ())


def label(manifest: Manifest, name: str) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(name, ""))


def annotation(manifest: Manifest, name: str) -> str:
    return str((manifest["metadata"].get("annotations") or {}).get(name, ""))


def get_path(manifest: Any, *path: str) -> Any:
    """Return the value at `path`, or None if there is no such path."""
    for part in path:
        if not isinstance(manifest, dict):
            return None
        manifest = manifest.get(part)
    return manifest


def is_ready(pod: Manifest) -> bool:
    conditions = get_path(pod, "status", "conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def base_url(pod: Manifest) -> str:
    address = get_path(pod, "status", "podIP")
    if not address:
        return ""
    return f"http://[{address}]:{SERVING_PORT}" if ":" in address else f"http://{address}:{SERVING_PORT}"
