"""Reading the files of a URI, from a folder and from a real S3 server."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from support import gateway
from tidemill.api.dataset import Source
from tidemill.runtime.failures import RunFailed, SourceNotFound, SourceUnreachable, SourceUnreadable
from tidemill.runtime.ingest import formats, sources
from tidemill.runtime.store.objects import ObjectStore


def read(uri: str, store: ObjectStore, format: str = "Auto", texts: tuple[str, ...] = ()) -> sources.Read:
    source = Source(uri=uri)
    return sources.read(source, format, texts, sources.locate(source, sources.Access(store, "team", Path("/nowhere"))))


def as_parquet(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_a_file_of_the_namespaces_own_folder_is_read(store: ObjectStore) -> None:
    store.put("team/raw/a.csv", b"a,b\n1,x\n")

    result = read("store:///raw/a.csv", store)

    assert {"a": [1], "b": ["x"]} == result.table.to_pydict()
    assert ("store:///raw/a.csv", True) == (result.name, result.revision.startswith("etag:"))


def test_a_folder_is_read_with_the_columns_of_its_partitions(store: ObjectStore) -> None:
    store.put("team/tx/day=2/country=BE/b.parquet", as_parquet(a=[3]))
    store.put("team/tx/day=1/country=NL/a.parquet", as_parquet(a=[1, 2]))
    store.put("team/tx/_SUCCESS", b"")

    for uri in ("store:///tx/", "store:///tx/**/*.parquet", "store:///tx/day=*/*/*"):
        assert {"a": [1, 2, 3], "day": [1, 1, 2], "country": ["NL", "NL", "BE"]} == read(uri, store).table.to_pydict()
    assert {"a": [1, 2], "country": ["NL", "NL"]} == read("store:///tx/day=1/", store).table.to_pydict()


def test_a_pattern_over_nothing_but_files_makes_no_columns(store: ObjectStore) -> None:
    store.put("team/tx/n=1.csv", b"a\n1\n")

    assert {"a": [1]} == read("store:///tx/*.csv", store).table.to_pydict()


@pytest.mark.parametrize("uri", ["store://tidemill/team/raw/a.csv", "store:///../other/a.csv", "store:///", "store:/a"])
def test_nothing_outside_the_namespaces_folder_is_read(uri: str, store: ObjectStore) -> None:
    store.put("other/a.csv", b"a\n1\n")

    with pytest.raises(SourceNotFound):
        read(uri, store)


def test_data_of_another_namespace_is_not_read_by_the_name_of_the_bucket(endpoint: str) -> None:
    for uri in (f"s3://{gateway.BUCKET}", f"s3://{gateway.BUCKET}/prefix"):
        store = gateway.open_store(endpoint, uri)
        store.put("other/predictions/fraud/a.csv", b"a\n1\n")
        store.put("sources/a.csv", b"a\n1\n")
        store.put("team/labels/fraud/a.csv", b"a\n2\n")

        for path in ("other/predictions/fraud/a.csv", "*/predictions/fraud/a.csv", "**/a.csv"):
            with pytest.raises(SourceNotFound, match="belongs to namespace 'other'"):
                read(f"{uri}/{path}", store)
        assert {"a": [1]} == read(f"{uri}/sources/a.csv", store).table.to_pydict()
        assert {"a": [2]} == read(f"{uri}/team/labels/fraud/a.csv", store).table.to_pydict()


ODD_NAMES = (
    "sources/../other/predictions/fraud/a.csv", "/other/predictions/fraud/a.csv", "other//predictions/fraud/a.csv",
    "other/./predictions/fraud/a.csv", "./other/predictions/fraud/a.csv", "team/../other/predictions/fraud/*.csv",
    "other/%70redictions/fraud/a.csv", "oth?r/**/a.csv", "other//predictions/**", "other//predictions/fraud/",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_odd_name_leads_to_data_of_another_namespace(name: str, endpoint: str) -> None:
    store = gateway.open_store(endpoint)
    store.put("other/predictions/fraud/a.csv", b"a\n1\n")

    with pytest.raises((SourceNotFound, SourceUnreachable)):
        read(f"s3://{gateway.BUCKET}/{name}", store)


MIXED = {
    "by their names": ({"a.csv": b"a\n1\n", "b.parquet": as_parquet(a=[1])}, r"a.csv is CSV, .*b.parquet is Parquet"),
    "packed": ({"a.csv.gz": gzip.compress(b"a\n1\n"), "b.jsonl": b'{"a": 1}\n'}, "b.jsonl is JSONLines"),
    "by their content": ({"part-0": b"a\n1\n", "part-1": as_parquet(a=[1])}, r"part-1 is Parquet"),
}


@pytest.mark.parametrize("case", MIXED)
def test_files_of_different_kinds_are_refused_by_name(case: str, store: ObjectStore) -> None:
    contents, message = MIXED[case]
    for name, content in contents.items():
        store.put(f"team/{case}/{name}", content)

    with pytest.raises(SourceUnreadable, match=f"different kinds: .*{message}"):
        read(f"store:///{case}/", store)


def test_files_whose_columns_do_not_fit_are_refused(store: ObjectStore) -> None:
    store.put("team/odd/a.parquet", as_parquet(a=[1]))
    store.put("team/odd/b.parquet", as_parquet(a=["x"]))

    with pytest.raises(SourceUnreadable, match=r"do not fit together: .*a"):
        read("store:///odd/", store)


def test_a_file_that_vanishes_while_it_is_read_is_named(
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.put("team/tx/a.csv", b"a\n1\n")
    store.put("team/tx/b.csv", b"a\n2\n")
    parse = formats.read_kind

    def parse_and_delete(content: bytes, name: str, format: str, texts: tuple[str, ...]) -> object:
        store.delete("team/tx/b.csv")
        return parse(content, name, format, texts)

    monkeypatch.setattr(formats, "read_kind", parse_and_delete)

    with pytest.raises(SourceNotFound, match=r"tx/b.csv does not exist: it was there a moment ago"):
        read("store:///tx/*.csv", store)


@pytest.fixture
def vanishing(tmp_path: Path) -> Iterator[tuple[ObjectStore, Path]]:
    """A bucket on a server of its own, and the folder that it is."""
    with gateway.gateway(tmp_path / "vanishing") as address:
        yield gateway.open_store(address), tmp_path / "vanishing" / gateway.BUCKET


def test_files_of_any_name_are_read(vanishing: tuple[ObjectStore, Path]) -> None:
    """Another program wrote them, so their names are not as obstore would write them."""
    store, folder = vanishing
    names = ("a b", "é", "p%20q", "h#x", "k=v,w", "t~{}|^", "c'\"d", "[x]", "back\\slash")
    (folder / "team" / "odd").mkdir(parents=True)
    for number, name in enumerate(names):
        (folder / "team" / "odd" / f"{name}.csv").write_text(f"a\n{number}\n")

    assert list(range(len(names))) == sorted(read("store:///odd/", store).table.column("a").to_pylist())


def test_a_bucket_that_vanishes_while_it_is_read_is_told(
    vanishing: tuple[ObjectStore, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder = vanishing
    for name in ("a", "b"):
        store.put(f"team/tx/{name}.csv", b"a\n1\n")
    parse = formats.read_kind

    def parse_and_delete(*arguments: Any) -> Any:
        shutil.rmtree(folder)
        return parse(*arguments)

    monkeypatch.setattr(formats, "read_kind", parse_and_delete)

    with pytest.raises(SourceUnreachable, match=r"the source .* there is no such bucket \(NoSuchBucket\)") as refused:
        read("store:///tx/", store)
    assert refused.value.retryable


def test_revoked_credentials_are_told_from_an_absent_file(endpoint: str) -> None:
    revoked = gateway.open_store(endpoint, secret="revoked")

    for uri in ("store:///a.csv", "store:///tx/"):
        with pytest.raises(SourceUnreachable, match=r"the source .* (denies access|refuses the secret)") as refused:
            read(uri, revoked)
        assert refused.value.retryable


def test_a_packed_file_that_unpacks_without_end_is_refused(
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "MAX_UNPACKED", 1 << 20)
    store.put("team/bomb.csv.gz", gzip.compress(b"a\n" + b"1\n" * (1 << 20)))

    with pytest.raises(RunFailed, match=r"bomb.csv.gz unpacks to more than 1 MiB"):
        read("store:///bomb.csv.gz", store)
