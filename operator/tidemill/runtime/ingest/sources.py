"""Reading a Dataset's source: a file or a glob in a bucket, rows written in the spec, or a set that scikit-learn brings along."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from tidemill.api.dataset import Source
from tidemill.contract.orders import CREDENTIALS_PATH
from tidemill.runtime.failures import (
    SourceEmpty,
    SourceNotFound,
    SourceUnreachable,
    SourceUnreadable,
    StoreCredentialsMissing,
    StoreUnreachable,
)
from tidemill.runtime.ingest import bundled, formats
from tidemill.runtime.store.objects import ObjectEntry, ObjectStore, read_secret

_MAX_FILES: Final = 10_000


class Read(NamedTuple):
    """Rows as they came, and what the source was when they were read."""

    table: pa.Table
    revision: str
    name: str


def is_outside(source: Source) -> bool:
    """Return whether the source may be repaired without a change of the order."""
    return source.predictions is not None or (source.uri is not None and not source.uri.startswith(bundled.SCHEME))


def read(
    source: Source, format: str, texts: Collection[str], store: ObjectStore, *, credentials: str | Path | None = None
) -> Read:
    """The rows of `source`; `credentials` is a folder with those of an outside store.

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
    return _from_bucket(uri, format, texts, _bucket(uri, store, credentials))


def _bucket(uri: str, store: ObjectStore, credentials: str | Path | None) -> ObjectStore:
    """The bucket that `uri` lies in, with the credentials that were given for it, or else with those of the namespace's store."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and store.uri.startswith("file://"):
        return ObjectStore.open(f"file://{Path(parts.path.split('*')[0]).parent}")
    if parts.scheme != "s3" or not parts.netloc:
        raise SourceNotFound(f"{uri} is of no kind that is known here; use s3://bucket/path or sklearn://name")
    root = f"s3://{parts.netloc}"
    if credentials is None:
        return store.sibling(root)
    read = read_secret(Path(credentials))
    absent = [key for key in ("access-key-id", "secret-access-key") if key not in read]
    if absent:
        raise StoreCredentialsMissing(
            f"the Secret that spec.credentials names does not exist or has no key {absent[0]!r}; create it with endpoint, access-key-id and "
            f"secret-access-key ({CREDENTIALS_PATH} is empty), and the run is repeated by itself"
        )
    return ObjectStore.open(
        root,
        endpoint=read.get("endpoint", ""),
        region=read.get("region", ""),
        access_key_id=read["access-key-id"],
        secret_access_key=read["secret-access-key"],
    )


def _from_bucket(uri: str, format: str, texts: Collection[str], bucket: ObjectStore) -> Read:
    try:
        entries = _matching(uri, bucket)
        contents = [(entry, bucket.get(entry.key)) for entry in entries]
    except StoreUnreachable as error:
        raise SourceUnreachable(error.message.replace("the store", "the source", 1)) from error
    except FileNotFoundError as error:
        raise SourceNotFound(f"{error}: it was there a moment ago") from error
    tables, empty = [], []
    for entry, content in contents:
        try:
            tables.append(formats.read(content, entry.key, format, texts))
        except SourceEmpty as error:
            empty.append(error)
    if not tables:
        raise SourceEmpty(f"{uri}: {empty[0].message}") if empty else SourceEmpty(f"{uri} has no rows")
    return Read(_together(tables, uri), _revision(entries), uri)


def _matching(uri: str, bucket: ObjectStore) -> list[ObjectEntry]:
    key = bucket.key_of(uri)
    if "*" not in key and "?" not in key:
        entry = bucket.head(key)
        if entry is not None:
            return [entry]
        below = next(bucket.list(key), None)
        if below is not None:
            raise SourceNotFound(
                f"{uri} is a folder; name a file in it, such as {bucket.uri_of(below.key)}, or write {uri.rstrip('/')}/*"
            )
        raise SourceNotFound(f"{uri} does not exist; upload it, or correct spec.source.uri")
    folder = re.split(r"[*?]", key, maxsplit=1)[0].rpartition("/")[0]
    wanted = pattern(key)
    entries = [entry for entry in bucket.list(folder) if wanted.fullmatch(entry.key)]
    if not entries:
        raise SourceNotFound(f"no object matches {uri}; upload one, or correct spec.source.uri")
    if len(entries) > _MAX_FILES:
        raise SourceUnreadable(
            f"{uri} matches {len(entries)} objects, more than {_MAX_FILES}; put the rows into fewer files"
        )
    return entries


def pattern(glob: str) -> re.Pattern[str]:
    """A glob over keys: `*` and `?` stay within a folder, `**` does not.

    >>> bool(pattern("a/*.csv").fullmatch("a/b.csv")), bool(pattern("a/*.csv").fullmatch("a/b/c.csv"))
    (True, False)
    >>> bool(pattern("a/**.csv").fullmatch("a/b/c.csv"))
    True
    """
    written = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(written.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", glob)))


def _together(tables: list[pa.Table], uri: str) -> pa.Table:
    try:
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceUnreadable(
            f"the files of {uri} do not fit together: {str(error).splitlines()[0]}; give a column the same type in all"
        ) from error


def _revision(entries: list[ObjectEntry]) -> str:
    if len(entries) == 1:
        return f"etag:{entries[0].tag}"
    digest = hashlib.sha256("\n".join(f"{entry.key} {entry.tag}" for entry in entries).encode()).hexdigest()
    return f"etags:{digest[:12]} of {len(entries)} files"
