"""Files in an object store: the namespace's own folder (`store:///`), or a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tidemill.runtime.failures import SourceNotFound, SourceUnreachable, StoreUnreachable
from tidemill.runtime.ingest.origins.matching import PathSelection, confined
from tidemill.runtime.ingest.origins.origin import SourceFile
from tidemill.runtime.store.objects import ObjectStore

OWN: Final = "store"
_PRIVATE: Final = frozenset({"datasets", "models", "predictions", "labels", "counts", "monitors", "uploads"})
"""Folders of a namespace in the store that Tidemill writes."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The files that a URI selects in an object store."""

    uri: str
    """As the user wrote it."""
    store: ObjectStore
    selection: PathSelection
    """Over keys of `store`."""
    root: str = ""
    """What a key starts with that names do not show."""

    def files(self) -> list[SourceFile]:
        """Return the selected objects."""
        try:
            if self.selection.is_one_file:
                return [self._named_file()]
            below = ((entry.key, entry) for entry in self.store.stream(self.selection.folder))
            chosen = self.selection.chosen(self.uri, below)
            return sorted(self._file(entry.key, entry.tag) for entry in chosen)
        except StoreUnreachable as error:
            raise _as_source(error) from error

    def content(self, file: SourceFile) -> bytes:
        """Return the bytes of an object."""
        try:
            return self.store.get(self.root + file.name)
        except StoreUnreachable as error:
            raise _as_source(error) from error
        except FileNotFoundError as error:
            raise SourceNotFound(f"{error}: it was there a moment ago; upload it again") from error

    def _named_file(self) -> SourceFile:
        key = self.selection.path
        entry = self.store.head(key)
        if entry is not None:
            return self._file(entry.key, entry.tag)
        below = next(islice(self.store.stream(key), 1), None)
        if below is None:
            raise SourceNotFound(f"{self.uri} does not exist; upload it, or correct spec.source.uri")
        raise SourceNotFound(
            f"{self.uri} is a folder; name a file in it, such as {self.uri}/{below.key[len(key) :].lstrip('/')}, or write {self.uri}/ to "
            "read all files below it"
        )

    def _file(self, key: str, tag: str) -> SourceFile:
        return SourceFile(key.removeprefix(self.root), self.selection.relative(key), tag)


def own(uri: str, store: ObjectStore, namespace: str) -> Bucket:
    """Return the files of a `store:///` URI, which lie in the namespace's folder; raise SourceNotFound for any other place."""
    path = confined(uri.removeprefix(f"{OWN}://"), uri) if uri.startswith(f"{OWN}:///") else ""
    if not path:
        raise SourceNotFound(
            f"{uri!r} names no path in this namespace's folder; write store:/// and the path, without a bucket"
        )
    return Bucket(uri, store, PathSelection.of(f"{namespace}/{path}"), f"{namespace}/")


def within(uri: str, root: str, bucket: ObjectStore) -> Bucket:
    """Return the files of a URI that begins with `root`, the URI of a whole bucket."""
    return Bucket(uri, bucket, PathSelection.of(uri[len(root) :].lstrip("/")))


def refuse_other_namespaces(files: Sequence[SourceFile], root: str, store: ObjectStore, namespace: str) -> None:
    """Raise SourceNotFound where a file in the bucket `root` is data of Tidemill for another namespace in this store."""
    for file in files:
        name = f"{root}/{file.name}"
        if not name.startswith(f"{store.uri}/"):
            continue
        owner, _, rest = name[len(store.uri) + 1 :].partition("/")
        if owner != namespace and rest.partition("/")[0] in _PRIVATE:
            raise SourceNotFound(
                f"{name} belongs to namespace {owner!r}; read it there, or copy it to this namespace's folder (store:///)"
            )


def _as_source(error: StoreUnreachable) -> SourceUnreachable:
    return SourceUnreachable(error.message.replace("the store", "the source", 1))
