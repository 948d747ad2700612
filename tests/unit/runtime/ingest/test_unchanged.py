"""A source that has not changed is not read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tidemill
from tidemill.contract.orders import IngestOrder
from tidemill.contract.reports import Ingested
from tidemill.runtime.failures import SourceNotFound
from tidemill.runtime.ingest import formats
from tidemill.runtime.ingest.job import ingest
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectStore


def ordered(previous: Ingested | None = None, **changes: Any) -> IngestOrder:
    return IngestOrder.model_validate(
        {
            "namespace": "team",
            "dataset": "flowers",
            "source": {"uri": "store:///raw/"},
            "previous": previous.uri if previous else "",
            **changes,
        }
    )


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read."""
    names: list[str] = []
    parse = formats.read_kind

    def counted(content: bytes, name: str, format: str, texts: Any) -> Any:
        names.append(name)
        return parse(content, name, format, texts)

    monkeypatch.setattr(formats, "read_kind", counted)
    return names


def test_an_unchanged_source_is_the_same_revision_without_a_read(
    store: ObjectStore, tmp_path: Path, reads: list[str]
) -> None:
    store.put("team/raw/a.csv", b"a,target\n1,x\n2,y\n3,x\n")
    first = ingest(ordered(), store, tmp_path)
    reads.clear()

    second = ingest(ordered(first[0], tick=60), store, tmp_path)

    assert (first, []) == (second, reads)
    store.put("team/raw/b.csv", b"a,target\n4,x\n")
    third, _ = ingest(ordered(second[0], tick=120), store, tmp_path)
    assert (4, ["raw/a.csv", "raw/b.csv"]) == (third.rows, reads)


def changed_order(store: ObjectStore, first: Ingested, monkeypatch: pytest.MonkeyPatch) -> IngestOrder:
    return ordered(first, splits={"seed": 8})


def another_release(store: ObjectStore, first: Ingested, monkeypatch: pytest.MonkeyPatch) -> IngestOrder:
    monkeypatch.setattr(tidemill, "__version__", "99.0.0")
    return ordered(first)


def a_damaged_record(store: ObjectStore, first: Ingested, monkeypatch: pytest.MonkeyPatch) -> IngestOrder:
    store.put(f"{store.key_of(first.uri)}/source.json", b"{")
    return ordered(first)


def a_revision_that_is_gone(store: ObjectStore, first: Ingested, monkeypatch: pytest.MonkeyPatch) -> IngestOrder:
    store.delete(f"{store.key_of(first.uri)}/{manifest.FILE}")
    return ordered(first)


@pytest.mark.parametrize(
    "change", [changed_order, another_release, a_damaged_record, a_revision_that_is_gone], ids=lambda it: it.__name__
)
def test_the_source_is_read_again_where_the_record_does_not_count(
    change: Any, store: ObjectStore, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("team/raw/a.csv", b"a,target\n1,x\n2,y\n3,x\n")
    first, _ = ingest(ordered(), store, tmp_path)
    order = change(store, first, monkeypatch)
    reads.clear()

    ingest(order, store, tmp_path)

    assert ["raw/a.csv"] == reads


def test_a_source_that_is_gone_is_told_although_the_revision_is_there(store: ObjectStore, tmp_path: Path) -> None:
    store.put("team/raw/a.csv", b"a,target\n1,x\n2,y\n3,x\n")
    first, _ = ingest(ordered(), store, tmp_path)
    store.delete("team/raw/a.csv")

    with pytest.raises(SourceNotFound):
        ingest(ordered(first, tick=60), store, tmp_path)
