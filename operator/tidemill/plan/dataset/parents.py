"""Choose the revisions of other Datasets that a Dataset is made from."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.api import Dataset
from tidemill.contract.orders import ParentRevision
from tidemill.plan.lookup import MissingRevisionError, current_revision, get_by_name
from tidemill.plan.world import World


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a Dataset cannot be made from the others."""

    message: str
    hopeless: bool = False
    """Whether only a change of the spec helps."""


def of(dataset: Dataset, world: World) -> tuple[ParentRevision, ...] | Unusable | None:
    """Return the current revisions of the Datasets that `dataset` is made from; None where it has another source."""
    wanted = dataset.spec.source.datasets
    if wanted is None and dataset.spec.source.scored is None:
        return None
    if circle := _circle(dataset, world):
        names = " from ".join(repr(name) for name in circle)
        return Unusable(
            f"Datasets are made from each other: {names}; take one of them out of spec.source", hopeless=True
        )
    if wanted is None:
        return None
    chosen = []
    for parent in wanted:
        revision = current(dataset.namespace, parent.name, world, "spec.source.datasets")
        if isinstance(revision, Unusable):
            return revision
        chosen.append(revision)
    return tuple(chosen)


def current(namespace: str, name: str, world: World, field: str) -> ParentRevision | Unusable:
    """Return the current revision of the Dataset that `field` names."""
    try:
        revision = current_revision(namespace, name, world, field)
    except MissingRevisionError as missing:
        return Unusable(str(missing))
    return ParentRevision(name=name, digest=revision.digest, uri=revision.uri)


def _circle(dataset: Dataset, world: World) -> tuple[str, ...]:
    """Return the names along which a Dataset is made from itself, in order; empty if it is not."""
    paths: list[tuple[str, ...]] = [(dataset.name,)]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        current = dataset if len(path) == 1 else get_by_name(Dataset, world, dataset.namespace, path[-1])
        for parent in _names(current):
            if parent == dataset.name:
                return (*path, parent)
            if parent not in seen:
                seen.add(parent)
                paths.append((*path, parent))
    return ()


def _names(dataset: Dataset | None) -> tuple[str, ...]:
    """Return the names of the Datasets that `dataset` is made from."""
    if dataset is None:
        return ()
    scored = dataset.spec.source.scored
    return (*(parent.name for parent in dataset.spec.source.datasets or ()), *((scored.dataset,) if scored else ()))
