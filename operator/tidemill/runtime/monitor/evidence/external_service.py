"""The reference of a service that Tidemill does not run: it has no version here, so features are those of the reference itself."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pydantic import ValidationError

from tidemill.contract.layout import LogColumn, prediction_folder
from tidemill.contract.orders import OUTSIDE_DIGEST, CheckOrder
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.log import reader
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.monitor.evidence.evidence import ReferenceData
from tidemill.runtime.profile import Profile, ProfileError
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import revision, schema

MAX_FEATURES = 1_024


def is_outside(order: CheckOrder) -> bool:
    """Return whether the order is about a service that is not Tidemill's."""
    return order.version.digest == OUTSIDE_DIGEST


def of_order(order: CheckOrder, store: ObjectStore) -> ReferenceData:
    """Return the features that are compared, without counts: of the Dataset's revision, or those that the log held at the time."""
    assert order.reference is not None, "a service without a version is compared with a Dataset or a window"
    signature = _of_log(order, store) if order.reference.ranges else _of_revision(order.reference.dataset_uri, store)
    return ReferenceData(signature, Profile(0, ()), Profile(0, ()))


def _of_revision(uri: str, store: ObjectStore) -> Signature:
    try:
        read = schema.Schema.model_validate_json(store.get(f"{store.key_of(uri)}/{schema.FILE}"))
    except (FileNotFoundError, ValidationError) as error:
        raise ArtifactCorrupt(
            f"{uri} has no {schema.FILE} that can be read; have the Dataset ingested again"
        ) from error
    features = tuple(
        Feature(column.name, "Numerical" if column.type == "Numerical" else "Categorical")
        for column in read.features
        if column.type != "Other"
    )
    target = next((column for column in read.columns if column.name == read.target), None)
    if target is None:
        return Signature("Classification", features, read.target)
    classes = _classes(uri, read.target, store)
    return Signature("Classification" if classes else "Regression", features, read.target, classes)


def _classes(uri: str, target: str, store: ObjectStore) -> tuple[str, ...]:
    """The values of the target; none where it is a quantity."""
    try:
        profile = Profile.from_json(store.get(f"{store.key_of(uri)}/{revision.PROFILE}"))
    except (FileNotFoundError, ProfileError) as error:
        raise ArtifactCorrupt(
            f"{uri} has no {revision.PROFILE} that can be read; have the Dataset ingested again"
        ) from error
    column = profile.column(target)
    return tuple(sorted(column.categories)) if isinstance(column, CategoricalProfile) else ()


def _of_log(order: CheckOrder, store: ObjectStore) -> Signature:
    """The columns of the earlier windows; one that held text in any part is a category."""
    kinds: dict[str, bool] = {}
    classes = True
    for table in _parts(order, store):
        for field in table.schema:
            if field.name.startswith(LogColumn.FEATURE) and not pa.types.is_null(field.type):
                kinds[field.name] = kinds.get(field.name, False) or pa.types.is_string(field.type)
        if LogColumn.PREDICTION in table.schema.names:
            classes = pa.types.is_string(table.schema.field(LogColumn.PREDICTION).type)
    features = tuple(
        Feature(name.removeprefix(LogColumn.FEATURE), "Categorical" if texts else "Numerical")
        for name, texts in sorted(kinds.items())[:MAX_FEATURES]
    )
    return Signature("Classification" if classes else "Regression", features, "")


def _parts(order: CheckOrder, store: ObjectStore) -> Iterator[pa.Table]:
    assert order.reference is not None
    folder = prediction_folder(order.namespace, order.service)
    for span in order.reference.ranges:
        parts = reader.keys(store, folder, span.start, span.end)
        yield from reader.rows(store, parts, lambda names: names, reader.Skipped([]))
