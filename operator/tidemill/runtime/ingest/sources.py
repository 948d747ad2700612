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
from tidemill.runtime.failures import SourceEmpty, SourceNotFound, SourceUnreadable
from tidemill.runtime.ingest import bundled, formats
from tidemill.runtime.ingest.origins import buckets, claims, clouds, https, partitions
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
    scratch: Path
    """A folder for files that are downloaded."""
    credentials: Path | None = None
    """A folder with the credentials of an outside store."""
    allow_private: bool = False
    """Whether a web server may be at a private address."""
    known: str = ""
    """The tag of the only file that was read last, where there was only one."""


@dataclass(frozen=True, slots=True)
class Located:
    """The files of a URI, before they are read."""

    uri: str
    origin: Origin
    files: tuple[SourceFile, ...]

    @property
    def fingerprint(self) -> str:
        """Return what changes with any of the files; empty where they do not tell."""
        if not all(file.tag for file in self.files):
            return ""
        return hashlib.sha256("\n".join(f"{file.name}\0{file.tag}" for file in self.files).encode()).hexdigest()

    @property
    def revision(self) -> str:
        """Return the version of the source for people."""
        if len(self.files) == 1:
            return f"etag:{self.files[0].tag}"
        text = "\n".join(f"{file.name} {file.tag}" for file in self.files)
        return f"etags:{hashlib.sha256(text.encode()).hexdigest()[:12]} of {len(self.files)} files"


def is_outside(source: Source) -> bool:
    """Return whether the source may be repaired without a change of the order."""
    return source.predictions is not None or (source.uri is not None and not source.uri.startswith(bundled.SCHEME))


def locate(source: Source, access: Access) -> Located | None:
    """Return the files of `source`; None for rows that are in no file. Raises RunFailed."""
    if source.uri is None or source.uri.startswith(bundled.SCHEME):
        return None
    origin = _origin(source.uri, access)
    located = Located(source.uri, origin, tuple(origin.files()))
    if source.uri.startswith("s3://") and access.credentials is None:
        root = f"s3://{urlsplit(source.uri).netloc}"
        buckets.refuse_other_namespaces(located.files, root, access.store, access.namespace)
    return located


def read(source: Source, format: str, texts: Collection[str], located: Located | None) -> Read:
    """Return the rows of `source`, of the files that were located; the columns `texts` are text whatever they look like.

    Raises SourceNotFound, SourceUnreachable, SourceEmpty or SourceUnreadable.
    """
    if located is not None:
        return Read(_rows(located, format, texts), located.revision, located.uri)
    if source.inline is not None:
        data = source.inline.data.encode()
        return Read(
            formats.read(data, "spec.source.inline", source.inline.format, texts),
            f"sha256:{hashlib.sha256(data).hexdigest()[:12]}",
            "inline",
        )
    uri = source.uri or ""
    return Read(bundled.read(uri), bundled.revision(), uri)


def _origin(uri: str, access: Access) -> Origin:
    """Return the place that `uri` names."""
    parts = urlsplit(uri)
    secret = read_secret(access.credentials) if access.credentials is not None else None
    match parts.scheme:
        case buckets.OWN:
            return buckets.own(uri, access.store, access.namespace)
        case "file" if access.store.uri.startswith("file://"):
            root = f"file://{Path(parts.path.split('*')[0]).parent}"
            return buckets.within(uri, root, ObjectStore.open(root))
        case "s3" | "gs" | "az" as scheme if parts.netloc:
            root = f"{scheme}://{parts.netloc}"
            if scheme == "s3" and secret is None:
                return buckets.within(uri, root, access.store.sibling(root))
            return buckets.within(uri, root, clouds.opened(scheme, parts.netloc, secret or {}))
        case "https":
            web = https.WebAccess(access.scratch, access.allow_private, secret, access.known)
            return https.WebFile(uri, web)
        case "pvc":
            return claims.Claim.of(uri)
        case _:
            raise SourceNotFound(
                f"{uri} has an unknown scheme; use store:///path, s3://bucket/path, https://host/path, pvc://claim/path or sklearn://name"
            )


def _rows(located: Located, format: str, texts: Collection[str]) -> pa.Table:
    """Return the rows of all files; the bytes of one file at a time are in memory."""
    uri, origin, files = located.uri, located.origin, located.files
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
