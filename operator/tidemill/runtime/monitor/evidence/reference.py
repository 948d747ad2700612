"""References that a window is compared with: the served version's own files, a Dataset's revision, or earlier windows of the log."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from tidemill.api.modelversion import Measured
from tidemill.contract.layout import LogColumn, prediction_folder
from tidemill.contract.orders import CheckOrder, TimeRange
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.log import reader
from tidemill.runtime.log.conforming import conformed, kinds_of
from tidemill.runtime.log.sampling import RowSample
from tidemill.runtime.model.artifact import ANSWERS_FILE, EVALUATION_FILE, PROFILE_FILE, SAMPLE_FILE
from tidemill.runtime.model.files import VersionFiles
from tidemill.runtime.model.predictor import SIGNATURE_FILE
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.monitor.evidence import external_service
from tidemill.runtime.monitor.evidence.evidence import OUTPUTS, ReferenceData
from tidemill.runtime.profile import Counter, Profile, ProfiledColumn, ProfileError, empty_profile
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import parquet
from tidemill.runtime.tables.delimited import TableError
from tidemill.runtime.tables.revision import row_files

_evaluation: TypeAdapter[tuple[Measured, ...]] = TypeAdapter(tuple[Measured, ...])
_FITTED_TO = 50_000
"""Rows of earlier windows that bins are fitted to."""


def load_reference(version: VersionOrder, store: ObjectStore) -> ReferenceData:
    """Return the version's training data, from those of its files that matter here; each is checked before it is read."""
    files = VersionFiles(version.uri, version.digest, store)
    try:
        signature = Signature.from_json(files.read(SIGNATURE_FILE))
        profile = Profile.from_json(files.read(PROFILE_FILE))
        evaluation = _evaluation.validate_json(files.read(EVALUATION_FILE)) if EVALUATION_FILE in files else ()
    except (ValueError, ProfileError) as error:
        raise ArtifactCorrupt(f"{version.uri} cannot be compared with: {error}; train the version again") from error
    holdout = next((measured.metrics for measured in evaluation if measured.on == "Holdout"), {})
    return ReferenceData.of(
        signature, profile, holdout, sample=files.table(SAMPLE_FILE), answers=files.table(ANSWERS_FILE)
    )


def of_order(order: CheckOrder, store: ObjectStore) -> tuple[ReferenceData, tuple[str, ...]]:
    """Return the reference of the order, and warnings."""
    reference = (
        external_service.of_order(order, store)
        if external_service.is_outside(order)
        else load_reference(order.version, store)
    )
    other = order.reference
    if other is None:
        return reference, ()
    if other.ranges:
        return of_earlier(order, other.ranges, reference, store)
    return of_dataset(other.dataset_uri, other.dataset_digest, reference, store), ()


def of_dataset(uri: str, digest: str, version: ReferenceData, store: ObjectStore) -> ReferenceData:
    """The version's reference with a Dataset's rows in place of those it was trained on."""
    wanted = {feature.name for feature in version.signature.features}
    with tempfile.TemporaryDirectory(prefix="tidemill-reference-") as folder:
        files = row_files(store.fetch(uri, digest, Path(folder) / "revision"))

        def rows() -> Iterator[pa.Table]:
            for file in files:
                for batch in parquet.batches(file, wanted):
                    table = pa.Table.from_batches([batch])
                    yield table.rename_columns([LogColumn.FEATURE + name for name in table.column_names])

        try:
            reference = _fitted(version, rows, (), least=1)
        except TableError as error:
            raise ArtifactCorrupt(f"{uri} cannot be compared with: {error}; have the Dataset ingested again") from error
    if reference is None:
        raise ArtifactCorrupt(f"{uri} holds no rows to compare with; have the Dataset ingested again")
    return reference


def of_earlier(
    order: CheckOrder, ranges: Sequence[TimeRange], version: ReferenceData, store: ObjectStore
) -> tuple[ReferenceData, tuple[str, ...]]:
    """The version's reference with what was served in earlier windows in place of its training data.

    The log is read twice: bins are fitted to some of its rows, then all are counted.
    """
    skipped = reader.Skipped([])
    wanted = {LogColumn.FEATURE + feature.name for feature in version.signature.features}
    wanted |= {LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, *OUTPUTS}
    folder = prediction_folder(order.namespace, order.service)

    def rows() -> Iterator[pa.Table]:
        noted = reader.Skipped([])
        for span in ranges:
            parts = reader.keys(store, folder, span.start, span.end)
            for batch in reader.rows(store, parts, lambda names: [name for name in names if name in wanted], noted):
                yield reader.within(batch, span.start, span.end)
        skipped.parts[:] = noted.parts

    reference = _fitted(version, rows, OUTPUTS, least=order.minimum_samples)
    if reference is not None:
        return reference, skipped.warnings()
    spans = "the earlier window" if len(ranges) == 1 else f"{len(ranges)} earlier windows"
    message = f"fewer than {order.minimum_samples} rows were served in {spans}, too few to compare with"
    empty = Profile(0, ())
    return replace(version, features=empty, outputs=empty, sample=None), (*skipped.warnings(), message)


def _fitted(
    version: ReferenceData, rows: Callable[[], Iterator[pa.Table]], outputs: Sequence[str], *, least: int
) -> ReferenceData | None:
    """Bins fitted to a sample of the rows, with all of them counted; None where there are fewer than `least`."""
    features = [LogColumn.FEATURE + feature.name for feature in version.signature.features]
    kinds = kinds_of(version.signature)
    sample = RowSample(_FITTED_TO, [*features, *outputs])
    count = 0
    for table in rows():
        count += table.num_rows
        sample.add(conformed(table, kinds))
    drawn = sample.table()
    if drawn is None or count < least:
        return None
    columns = [
        ProfiledColumn(LogColumn.FEATURE + feature.name, feature.type)
        for feature in version.signature.features
        if LogColumn.FEATURE + feature.name in drawn.column_names
    ]
    classifies = version.signature.task == "Classification"
    columns += [
        ProfiledColumn(name, "Categorical" if classifies and name == LogColumn.PREDICTION else "Numerical")
        for name in outputs
        if name in drawn.column_names
    ]
    counter = Counter(empty_profile(drawn, columns))
    for table in rows():
        counter.add(table)
    profile = counter.profile()
    inputs = tuple(column for column in profile.columns if column.name.startswith(LogColumn.FEATURE))
    answers = tuple(column for column in profile.columns if column.name in outputs)
    return replace(
        version,
        features=Profile(profile.rows, inputs),
        outputs=Profile(profile.rows, answers) if outputs else version.outputs,
        sample=drawn.select([column.name for column in inputs]),
    )
