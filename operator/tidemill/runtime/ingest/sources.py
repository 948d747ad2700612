"""Reading a Dataset's source: files of a store, rows written in the spec, or a set that scikit-learn brings along."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from tidemill.api.dataset import Source
from tidemill.contract.orders import CREDENTIALS_PATH
from tidemill.runtime.failures import SourceEmpty, SourceNotFound, SourceUnreadable, StoreCredentialsMissing
from tidemill.runtime.ingest import bundled, formats
from tidemill.runtime.ingest.origins import buckets, partitions
from tidemill.runtime.ingest.origins.origin import Origin, SourceFile
from tidemill.runtime.store.objects import ObjectStore, read_secret


class Read(NamedTuple):
    """Rows as they came, and what the source was when they were read."""

    table: pa.Table
    revision: str
    name: str


@dataclass(frozen=True, slots=True)
class Access:
    """What a run may read with."""

    store: ObjectStore
    """The store of the namespace."""
    namespace: str
    credentials: Path | None = None
    """A folder with the credentials of an outside store."""


def is_outside(source: Source) -> bool:
    """Return whether the source may be repaired without a change of the order."""
    return source.predictions is not None or (source.uri is not None and not source.uri.startswith(bundled.SCHEME))


def read(source: Source, format: str, texts: Collection[str], access: Access) -> Read:
    """Return the rows of `source`; the columns `texts` are text whatever they look like.

    Raises SourceNotFound, SourceUnreachable, SourceEmpty or SourceUnreadable.
    """
    if source.inline is not None:
        data = source.inline.data.encode()
        return Read(
            formats.read(data, "spec.source.inline", source.inline.format, texts),
            f"sha256:{hashlib.sha256(data).hexdigest()[:12]}",
            "inline",
        )
    uri = source.uri or ""
    if uri.startswith(bundled.SCHEME):
        return Read(bundled.read(uri), bundled.revision(), uri)
    origin, files = _opened(uri, access)
    return Read(_rows(uri, origin, files, format, texts), _revision(files), uri)


def _opened(uri: str, access: Access) -> tuple[Origin, list[SourceFile]]:
    """Return the place that `uri` names, and the files there."""
    parts = urlsplit(uri)
    if parts.scheme == buckets.OWN:
        own = buckets.own(uri, access.store, access.namespace)
        return own, own.files()
    if parts.scheme == "file" and access.store.uri.startswith("file://"):
        root = f"file://{Path(parts.path.split('*')[0]).parent}"
        bucket = buckets.within(uri, root, ObjectStore.open(root))
        return bucket, bucket.files()
    if parts.scheme != "s3" or not parts.netloc:
        raise SourceNotFound(f"{uri} has an unknown scheme; use store:///path, s3://bucket/path or sklearn://name")
    root = f"s3://{parts.netloc}"
    if access.credentials is not None:
        bucket = buckets.within(uri, root, _with_keys(root, access.credentials))
        return bucket, bucket.files()
    bucket = buckets.within(uri, root, access.store.sibling(root))
    files = bucket.files()
    buckets.refuse_other_namespaces(files, root, access.store, access.namespace)
    return bucket, files


def _with_keys(root: str, credentials: Path) -> ObjectStore:
    """Return a bucket with the keys of the Secret that is mounted at `credentials`."""
    secret = read_secret(credentials)
    absent = [key for key in ("access-key-id", "secret-access-key") if key not in secret]
    if absent:
        raise StoreCredentialsMissing(
            f"the Secret that spec.credentials names does not exist or has no key {absent[0]!r}; create it with endpoint, access-key-id and "
            f"secret-access-key ({CREDENTIALS_PATH} is empty), and the run is repeated by itself"
        )
    return ObjectStore.open(
        root,
        endpoint=secret.get("endpoint", ""),
        region=secret.get("region", ""),
        access_key_id=secret["access-key-id"],
        secret_access_key=secret["secret-access-key"],
    )


def _rows(uri: str, origin: Origin, files: list[SourceFile], format: str, texts: Collection[str]) -> pa.Table:
    """Return the rows of all files; the bytes of one file at a time are in memory."""
    folders = partitions.columns(files, texts, uri)
    kinds: dict[str, str] = {}
    if format == "Auto":
        for file in files:
            _remember(kinds, formats.kind_of_name(file.name), file, uri)
    tables: list[Any] = []
    empty: list[SourceEmpty] = []
    for index, file in enumerate(files):
        content = origin.content(file)
        try:
            kind, table = formats.read_kind(content, file.name, format, texts)
        except SourceEmpty as error:
            empty.append(error)
            continue
        _remember(kinds, kind, file, uri)
        tables.append(table if folders is None else partitions.added(table, folders.slice(index, 1), file.name))
    if not tables:
        raise SourceEmpty(f"{uri}: {empty[0].message}") if empty else SourceEmpty(f"{uri} has no rows")
    return _together(tables, uri)


def _remember(kinds: dict[str, str], kind: str, file: SourceFile, uri: str) -> None:
    """Note the kind of a file; raise SourceUnreadable where another file is of another kind."""
    if not kind:
        return
    kinds.setdefault(kind, file.name)
    if len(kinds) > 1:
        (first_kind, first), (other_kind, other) = list(kinds.items())[:2]
        raise SourceUnreadable(
            f"{uri} matches files of different kinds: {first} is {first_kind}, {other} is {other_kind}; name one kind, such as *{Path(other).suffix}, "
            "or move the others"
        )


def _together(tables: list[pa.Table], uri: str) -> pa.Table:
    try:
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceUnreadable(
            f"the files of {uri} do not fit together: {str(error).splitlines()[0]}; give a column the same type in all"
        ) from error


def _revision(files: list[SourceFile]) -> str:
    if len(files) == 1:
        return f"etag:{files[0].tag}"
    digest = hashlib.sha256("\n".join(f"{file.name} {file.tag}" for file in files).encode()).hexdigest()
    return f"etags:{digest[:12]} of {len(files)} files"
