"""Ingest: read a source, understand and check it, hold rows out, and publish it all as a revision that never changes.

A revision's digest is that of its rows, its columns and its split; the profile and the report next to them are made from
these. The same content is the same digest, however often it is read.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from tidemill.api.dataset import ColumnSpec, SourceParent
from tidemill.contract.orders import IngestOrder
from tidemill.contract.reports import Ingested
from tidemill.runtime.failures import QualityFailed, RunFailed, TransformFailed
from tidemill.runtime.ingest import (
    columns,
    derived,
    expectations,
    predictions,
    report,
    scored,
    sources,
    splits,
    unchanged,
)
from tidemill.runtime.ingest.unchanged import SourceRecord
from tidemill.runtime.profile import ProfiledColumn, profile_table
from tidemill.runtime.store.manifest import Manifest
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import revision, schema
from tidemill.runtime.tables.schema import HOLDOUT, Column, Schema

logger = logging.getLogger(__name__)

REPORT: Final = "report.html"
ROWS_PER_FILE: Final = 4_000_000
_ROWS_PER_GROUP: Final = 131_072
_MAX_CLASSES: Final = 50


def ingest(
    order: IngestOrder, store: ObjectStore, scratch: Path, *, credentials: str | Path | None = None
) -> tuple[Ingested, tuple[str, ...]]:
    """Publish the rows of `order.source`, and say what was found wanting without blocking them.

    Raises a RunFailed that is worth another try wherever the source itself may be repaired.
    """
    try:
        return _ingest(order, store, scratch, credentials)
    except RunFailed as error:
        if sources.is_outside(order.source) or (derived.parents_of(order) and not isinstance(error, TransformFailed)):
            error.retryable = True
        raise


def _ingest(
    order: IngestOrder, store: ObjectStore, scratch: Path, credentials: str | Path | None
) -> tuple[Ingested, tuple[str, ...]]:
    record, located = unchanged.recorded(order, store), None
    if order.source.predictions is None and not derived.parents_of(order):
        located = sources.locate(order.source, _access(order, store, scratch, credentials, record))
    if record and located and record.fingerprint and record.fingerprint == located.fingerprint:
        logger.info("%s has not changed since %s was published", located.uri, order.previous)
        return record.ingested, record.warnings
    read, declared, source_warnings = _read(order, store, scratch, located)
    rows = columns.understand(read.table, declared)
    before, warnings = _previous(order, store)
    warnings = (*source_warnings, *warnings)
    if before:
        schema.compare(before.columns, rows.columns, order.evolution)
    broken = expectations.broken(rows.table, order.expectations.rules_, order.columns)
    if broken and order.expectations.on_failure == "Block":
        raise QualityFailed(
            f"{read.name} does not meet spec.expectations: {'; '.join(broken)}; fix the source or change the expectations"
        )
    held_out, rule, split_warnings = splits.hold_out(rows, order.splits, before)
    warnings = (*rows.warnings, *warnings, *split_warnings, *broken)
    kept = Schema(columns=rows.columns, target=rows.target, split=rule)
    table = rows.table.append_column(HOLDOUT, pa.array(held_out))
    files: dict[str, bytes | Path] = {**_write(table, scratch), schema.FILE: _spell(kept)}
    digest = Manifest.of(files).digest
    profile = profile_table(table, _profiled(rows.table, rows.columns))
    pages: dict[str, bytes | Path] = {revision.PROFILE: profile.to_json()}
    if order.report is not False:
        pages[REPORT] = report.page(order.dataset, digest, read.name, table, kept, profile, warnings).encode()
    published = store.publish(
        f"{order.namespace}/datasets/{order.dataset}/{digest.removeprefix('sha256:')}", files, pages
    )
    logger.info("published %d rows of %s as %s", table.num_rows, read.name, published.uri)
    ingested = Ingested(
        digest=published.digest,
        uri=published.uri,
        rows=table.num_rows,
        bytes=sum(file.stat().st_size for file in files.values() if isinstance(file, Path)),
        columns=len(rows.columns),
        features=len(kept.features),
        target=rows.target,
        source_revision=read.revision[:256],
        parents=tuple(SourceParent(name=parent.name, digest=parent.digest) for parent in derived.parents_of(order)),
        profile_uri=f"{published.uri}/{revision.PROFILE}",
        report_uri=f"{published.uri}/{REPORT}" if REPORT in pages else "",
    )
    if located is not None and located.fingerprint:
        tag = located.files[0].tag if len(located.files) == 1 else ""
        made = SourceRecord(
            order=unchanged.identity(order),
            fingerprint=located.fingerprint,
            tag=tag,
            ingested=ingested,
            warnings=warnings,
        )
        unchanged.write(made, store)
    return ingested, warnings


def _access(
    order: IngestOrder, store: ObjectStore, scratch: Path, credentials: str | Path | None, record: SourceRecord | None
) -> sources.Access:
    return sources.Access(
        store,
        order.namespace,
        scratch,
        Path(credentials) if order.credentials and credentials is not None else None,
        bool(order.allow_private),
        record.tag if record else "",
    )


def _read(
    order: IngestOrder, store: ObjectStore, scratch: Path, located: sources.Located | None
) -> tuple[sources.Read, tuple[ColumnSpec, ...], tuple[str, ...]]:
    """The rows as they came or as the transform made them, what is known of their columns, and what there is to warn of."""
    if order.parents is not None:
        return derived.read(order.parents, order.sql, store, scratch), order.columns, ()
    read, known, warnings = (
        scored.read(order.scored, order.columns, store, scratch)
        if order.scored is not None
        else _of_source(order, store, located)
    )
    if order.sql is None:
        return read, known, warnings
    return derived.transformed(read, order.sql, scratch), order.columns, warnings


def _of_source(
    order: IngestOrder, store: ObjectStore, located: sources.Located | None
) -> tuple[sources.Read, tuple[ColumnSpec, ...], tuple[str, ...]]:
    """The rows of a source that is not a Dataset."""
    if order.source.predictions is not None and order.answered is not None:
        return predictions.read(order.source.predictions, order.answered, order.namespace, order.columns, store)
    texts = [spec.name for spec in order.columns if spec.type == "Categorical" or spec.role in ("Id", "Entity")]
    read = sources.read(order.source, order.format, texts, located)
    return read, order.columns, ()


def _previous(order: IngestOrder, store: ObjectStore) -> tuple[Schema | None, tuple[str, ...]]:
    """The schema of the revision that is current, if it can be read."""
    if not order.previous:
        return None, ()
    try:
        return Schema.model_validate_json(store.get(f"{store.key_of(order.previous)}/{schema.FILE}")), ()
    except (FileNotFoundError, ValueError):
        return None, (
            f"the current revision at {order.previous} is gone, so columns were not compared with it and a new hold-out was drawn",
        )


def _write(table: pa.Table, scratch: Path) -> dict[str, bytes | Path]:
    """The rows as Parquet files; the same rows are the same bytes."""
    files: dict[str, bytes | Path] = {}
    for number, start in enumerate(range(0, max(table.num_rows, 1), ROWS_PER_FILE)):
        name = revision.row_file(number)
        parquet.write_table(
            table.slice(start, ROWS_PER_FILE).replace_schema_metadata(None),
            scratch / name,
            row_group_size=_ROWS_PER_GROUP,
            compression="zstd",
            store_schema=False,
        )
        files[name] = scratch / name
    return files


def _spell(kept: Schema) -> bytes:
    return kept.model_dump_json(by_alias=True, indent=1).encode()


def _profiled(table: pa.Table, kept: tuple[Column, ...]) -> list[ProfiledColumn]:
    """The columns whose distribution says something; a target with few values is profiled by value."""
    profiled = []
    for column in kept:
        if column.type == "Other" or column.role in ("Id", "Entity"):
            continue
        few = (
            column.role == "Target"
            and not pa.types.is_floating(table.column(column.name).type)
            and _distinct(table.column(column.name)) <= _MAX_CLASSES
        )
        profiled.append(
            ProfiledColumn(column.name, "Categorical" if few or column.type == "Categorical" else "Numerical")
        )
    return profiled


def _distinct(column: Any) -> int:
    return int(pc.count_distinct(column, mode="only_valid").as_py())
