"""Find the objects to visit when an object is created, changed or deleted."""

from __future__ import annotations

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.children import names
from tidemill.plan.lookup import get_path, label
from tidemill.plan.world import Key, Manifest, World, key_of


def dependents(manifest: Manifest, world: World) -> set[Key]:
    """Return the keys to visit after a change of `manifest`.

    Read from raw values on purpose: other objects depend on an object even if it does not parse.
    """
    key = key_of(manifest)
    keys: set[Key] = set()
    match key.kind:
        case "Dataset":
            runs = _referring(world, TrainingJob.kind_name, key.namespace, key.name, "spec", "dataset", "name")
            keys = runs | _referring(
                world, DriftMonitor.kind_name, key.namespace, key.name, "spec", "reference", "dataset", "name"
            )
            for run in runs:
                keys |= _templated(world, run)
            keys |= _referring(world, Dataset.kind_name, key.namespace, key.name, "spec", "source", "datasets", "name")
            keys |= _referring(world, Dataset.kind_name, key.namespace, key.name, "spec", "source", "scored", "dataset")
            feedback = ("spec", "feedback", "dataset", "name")
            labelled = _referring(world, InferenceService.kind_name, key.namespace, key.name, *feedback)
            keys |= _watching(world, labelled)
            for service in labelled:
                keys |= _reading(world, service)
            keys |= _referring(world, DriftMonitor.kind_name, key.namespace, key.name, *feedback)
        case "TrainingJob":
            model = str(get_path(manifest, "spec", "modelName"))
            # A service without a version says what its training lacks.
            services = _referring(world, InferenceService.kind_name, key.namespace, model, "spec", "model", "name")
            keys |= services
            if monitor := label(manifest, names.MONITOR):
                keys.add(Key(DriftMonitor.kind_name, key.namespace, monitor))
                # Every other monitor of the model waits until this retraining is over.
                keys |= _watching(world, services)
            keys |= _templated(world, key)
        case "ModelVersion":
            model = str(get_path(manifest, "spec", "modelName"))
            services = _referring(world, InferenceService.kind_name, key.namespace, model, "spec", "model", "name")
            keys = services | _watching(world, services)
            scored = ("spec", "source", "scored", "modelVersion")
            keys |= _referring(world, Dataset.kind_name, key.namespace, key.name, *scored)
        case "InferenceService":
            model = str(get_path(manifest, "spec", "model", "name"))
            keys = _referring(world, ModelVersion.kind_name, key.namespace, model, "spec", "modelName")
            keys |= _watching(world, {key})
            keys |= _reading(world, key)
        case "DriftMonitor":
            pass
        case _:
            owner = label(manifest, names.OWNER_NAME)
            kind = label(manifest, names.OWNER_KIND)
            return {Key(kind, key.namespace, owner)} if owner and kind else set()
    return keys | {key}


def _referring(world: World, kind: str, namespace: str, name: str, *path: str) -> set[Key]:
    return set(world.keys_referring(kind, namespace, path, name))


def _templated(world: World, run: Key) -> set[Key]:
    """Return the monitors that use the run as a template."""
    path = ("spec", "retraining", "template", "trainingJob")
    return _referring(world, DriftMonitor.kind_name, run.namespace, run.name, *path)


def _reading(world: World, service: Key) -> set[Key]:
    """Return the Datasets and runs that read the rows which `service` answered."""
    predictions = ("spec", "source", "predictions", "inferenceServiceRef", "name")
    served = ("spec", "servedRows", "inferenceService")
    scored = ("spec", "source", "scored", "inferenceService")
    datasets = _referring(world, Dataset.kind_name, service.namespace, service.name, *predictions)
    datasets |= _referring(world, Dataset.kind_name, service.namespace, service.name, *scored)
    return datasets | _referring(world, TrainingJob.kind_name, service.namespace, service.name, *served)


def _watching(world: World, services: set[Key]) -> set[Key]:
    """Return the monitors that watch any of `services`."""
    return {
        monitor
        for service in services
        for monitor in _referring(
            world, DriftMonitor.kind_name, service.namespace, service.name, "spec", "target", "inferenceService"
        )
    }


__all__ = ["dependents"]
