"""Objects of the world as values of the domain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from tidemill.api import AnyResource, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.contract.serving import SERVING_PORT
from tidemill.plan.world import Key, Manifest, World

KIND_TYPES: dict[str, type[AnyResource]] = {
    kind.kind_name: kind for kind in (Dataset, TrainingJob, ModelVersion, InferenceService, DriftMonitor)
}
Kind = TypeVar("Kind", Dataset, TrainingJob, ModelVersion, InferenceService, DriftMonitor)


class InvalidObjectError(Exception):
    """An object of ours does not parse; only that object is concerned."""


def read(kind: type[Kind], manifest: Manifest) -> Kind:
    """`manifest` as a value of `kind`; raises UnreadableError with the path of what is wrong."""
    try:
        return kind.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidObjectError(f"{where}: {first['msg']}") from error


def get_or_none(kind: type[Kind], world: World, key: Key) -> Kind | None:
    """The object under `key`, read once for each change of it; raises UnreadableError, None where there is none."""
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
    """The object by name; None where there is none, or none that can be read."""
    try:
        return get_or_none(kind, world, Key(kind.kind_name, namespace, name))
    except InvalidObjectError:
        return None


def all_of(kind: type[Kind], world: World, manifests: Iterable[Manifest]) -> list[Kind]:
    """Those of `manifests` that can be read: a neighbour that cannot disturbs nobody."""
    values = (
        get_by_name(kind, world, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        for manifest in manifests
    )
    return [value for value in values if value is not None]


def is_being_deleted(manifest: Manifest | None) -> bool:
    return manifest is not None and bool(manifest["metadata"].get("deletionTimestamp"))


def is_ours(manifest: Manifest, uid: str) -> bool:
    """Whether the object carries an owner reference to `uid`."""
    return any(owner.get("uid") == uid for owner in manifest["metadata"].get("ownerReferences") or ())


def label(manifest: Manifest, name: str) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(name, ""))


def annotation(manifest: Manifest, name: str) -> str:
    return str((manifest["metadata"].get("annotations") or {}).get(name, ""))


def get_path(manifest: Any, *path: str) -> Any:
    """The value at `path`, or None where the path breaks off."""
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
