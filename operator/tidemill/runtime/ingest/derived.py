"""Rows that are made from other rows: by the statement of a Dataset, and from revisions of other Datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tidemill.contract.orders import IngestOrder, ParentRevision
from tidemill.runtime.failures import SourceEmpty
from tidemill.runtime.ingest import transform
from tidemill.runtime.ingest.sources import Read
from tidemill.runtime.store.objects import ObjectStore


def parents_of(order: IngestOrder) -> tuple[ParentRevision, ...]:
    """Return the revisions of other Datasets that the order reads."""
    return (order.scored.rows,) if order.scored is not None else order.parents or ()


def read(parents: Sequence[ParentRevision], sql: str | None, store: ObjectStore, scratch: Path) -> Read:
    """Return the rows that the statement makes of other Datasets; those of a single one unchanged where there is none."""
    folders = {
        parent.name: store.fetch(parent.uri, parent.digest, scratch / f"parent-{number}")
        for number, parent in enumerate(parents)
    }
    only = f'SELECT * FROM "{parents[0].name}"'
    name = f"Dataset {', '.join(folders)}"
    table = transform.run(sql or only, dict(folders), scratch)
    revision = ",".join(f"{parent.name}@{parent.digest[:19]}" for parent in parents)
    return Read(_some(table, name), revision, name)


def transformed(rows: Read, sql: str, scratch: Path) -> Read:
    """Return what the statement makes of the rows of a source."""
    return rows._replace(table=_some(transform.run(sql, {transform.SOURCE: rows.table}, scratch), rows.name))


def _some(table: pa.Table, name: str) -> pa.Table:
    if not table.num_rows:
        raise SourceEmpty(f"spec.transform.sql returns no row of {name}; correct its conditions, or wait for rows")
    return table
