"""The object store: bytes under names, and folders that appear whole or not at all.

A folder is published data first and `manifest.json` last, created only where there is none; what has no manifest does
not exist. What is fetched is checked against the digest in the order before anything else looks at it.

An S3 bucket is addressed path-style, over http where the endpoint says so; `file:///path` is a folder, for laptops and
tests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from tidemill.runtime.failures import ArtifactCorrupt, StoreCredentialsMissing, StoreUnreachable
from tidemill.runtime.store import manifest as manifests
from tidemill.runtime.store import streaming
from tidemill.runtime.store.manifest import Manifest

SECRET: Final = "tidemill-store"
"""The Secret that `STORE_PATH` is mounted from, unless the installation says otherwise."""

# A store that is down is known to be down within about twenty seconds, whether it refuses, drops or keeps silent.
CLIENT: Final[dict[str, Any]] = {
    "allow_http": True,
    "connect_timeout": "3s",
    "read_timeout": "8s",
    "timeout": "10m",
}
RETRIES: Final[dict[str, Any]] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=2), "base": 2},
}


class TooLargeError(ValueError):
    """An object is larger than who asks for it takes."""


class ObjectEntry(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    modified: datetime
    tag: str
    """Changes with the content."""


class Published(NamedTuple):
    """A folder that is in the store."""

    uri: str
    digest: str


@dataclass(frozen=True)
class ObjectStore:
    """One bucket, or a prefix in it; keys are relative to `uri`."""

    uri: str
    """Such as `s3://tidemill` or `file:///tmp/store`."""
    endpoint: str
    objects: Any = field(repr=False)
    """The store as obstore knows it, already below the prefix."""
    sibling: Callable[[str], ObjectStore] = field(repr=False)
    """The store at another URI of the same endpoint, with the same credentials."""

    @classmethod
    def open(
        cls, uri: str, *, endpoint: str = "", region: str = "", access_key_id: str = "", secret_access_key: str = ""
    ) -> ObjectStore:
        """The store at `uri`; nothing is asked of it yet. Raises StoreUnreachable where the URI is of no known kind."""
        uri = uri.rstrip("/")
        parts = urlsplit(uri)
        if parts.scheme == "file" and not parts.netloc and parts.path:
            return cls(uri, "", LocalStore(parts.path, mkdir=True), cls.open)
        if parts.scheme != "s3" or not parts.netloc:
            raise StoreUnreachable(
                f"the store {uri!r} is of no kind that is known here; use s3://bucket or s3://bucket/prefix"
            )
        options: dict[str, Any] = {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
        if not access_key_id:
            # Without keys obstore would ask the cloud's metadata service, which takes its time where there is none.
            options = {"skip_signature": True}
        if endpoint:
            options["endpoint"] = endpoint
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            region=region or "us-east-1",
            virtual_hosted_style_request=False,
            client_options=CLIENT,
            retry_config=RETRIES,
            **options,
        )
        access = {
            "endpoint": endpoint,
            "region": region,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
        }
        return cls(uri, endpoint, store, lambda other: cls.open(other, **access))

    @classmethod
    def from_files(cls, folder: str | Path | None = None, *, namespace: str = "", secret: str = SECRET) -> ObjectStore:
        """The store whose URI and credentials lie as files in `folder`, as a mounted Secret has them; by default where a pod has it.

        Raises StoreCredentialsMissing where there is nothing.
        """
        from tidemill.contract.serving import STORE_PATH

        read = read_secret(Path(folder or STORE_PATH))
        where = f" in namespace {namespace!r}" if namespace else " in this namespace"
        if "uri" not in read:
            raise StoreCredentialsMissing(
                f"there is no Secret {secret!r} with a key 'uri'{where}; create it with the keys uri, endpoint, region, access-key-id and "
                "secret-access-key, or add the namespace to the chart's value workloadNamespaces; the run is then repeated by itself"
            )
        if read["uri"].startswith("s3://"):
            absent = [key for key in ("access-key-id", "secret-access-key") if key not in read]
            if absent:
                raise StoreCredentialsMissing(
                    f"the Secret {secret!r}{where} has no key {absent[0]!r}; add it, and the run is repeated by itself"
                )
        return cls.open(
            read["uri"],
            endpoint=read.get("endpoint", ""),
            region=read.get("region", ""),
            access_key_id=read.get("access-key-id", ""),
            secret_access_key=read.get("secret-access-key", ""),
        )

    def uri_of(self, key: str) -> str:
        """The whole name of a key."""
        return f"{self.uri}/{key.strip('/')}"

    def key_of(self, uri: str) -> str:
        """The key of a whole name; raises StoreUnreachable where it lies in another store."""
        if not uri.startswith(self.uri + "/"):
            raise StoreUnreachable(
                f"{uri} does not lie in this namespace's store, {self.uri}; point the Secret at the store that has it"
            )
        return uri[len(self.uri) + 1 :].strip("/")

    def get(self, key: str, *, most: int | None = None) -> bytes:
        """The bytes of one object; raises FileNotFoundError, and TooLargeError, without reading it, beyond `most` bytes."""
        with self._answering(key):
            response = obstore.get(self.objects, key)
            size = response.meta["size"]
            if most is None or size <= most:
                return bytes(response.bytes())
        raise TooLargeError(f"it has {size:,} bytes, and {most:,} at most are read")

    def head(self, key: str) -> ObjectEntry | None:
        """An object without its bytes, or None where there is none."""
        try:
            with self._answering(key):
                return _entry(obstore.head(self.objects, key))
        except FileNotFoundError:
            return None

    def list(self, folder: str = "", *, after: str = "") -> Iterator[ObjectEntry]:
        """The objects below a folder, in the order of their keys, from the first one behind the key `after`."""
        with self._answering(folder):
            entries = [
                _entry(meta)
                for page in obstore.list(self.objects, folder or None, offset=after or None, chunk_size=1000)
                for meta in page
            ]
        # S3 answers in this order anyway; a folder on disk does not.
        yield from sorted(entries)

    def stream(self, folder: str = "", *, after: str = "") -> Iterator[ObjectEntry]:
        """The objects below a folder, a page at a time, as many as there may be; in the order of their keys on S3 alone."""
        with self._answering(folder):
            for page in obstore.list(self.objects, folder or None, offset=after or None, chunk_size=1000):
                yield from map(_entry, page)

    def put(self, key: str, content: bytes | Path) -> None:
        """Write one object; it appears whole or not at all."""
        with self._answering(key):
            obstore.put(self.objects, key, content)

    def put_stream(self, key: str, chunks: Iterator[bytes]) -> None:
        """Write one object from its parts; where `chunks` raises an error, it is raised here, and no object appears.

        `chunks` may read from a store: it runs in a thread of its own, because obstore does not call itself.
        """
        with self._answering(key), streaming.from_thread(chunks) as ready:
            obstore.put(self.objects, key, ready, use_multipart=True, chunk_size=16 << 20, max_concurrency=2)

    def create(self, key: str, content: bytes) -> bool:
        """Write one object if there is none under this key; says whether it was written."""
        try:
            with self._answering(key):
                obstore.put(self.objects, key, content, mode="create")
        except FileExistsError:
            return False
        return True

    def delete(self, *keys: str) -> None:
        """Remove objects; one that is not there is as good as removed."""
        for key in keys:
            try:
                with self._answering(key):
                    obstore.delete(self.objects, key)
            except FileNotFoundError:
                continue

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove any number of objects with as few requests as the store allows; one that is not there is as good as removed."""
        for start in range(0, len(keys), 1000):
            some = list(keys[start : start + 1000])
            try:
                with self._answering(some[0]):
                    obstore.delete(self.objects, some)
            except (FileNotFoundError, StoreUnreachable):
                # A folder on disk stops at one that is not there, and not every store removes several at once.
                self.delete(*some)

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """The names of the folders directly below a folder."""
        with self._answering(folder):
            prefixes = obstore.list_with_delimiter(self.objects, folder or None)["common_prefixes"]
        return tuple(sorted(name.rstrip("/").rpartition("/")[2] for name in prefixes))

    def download(self, key: str, path: Path) -> manifests.ManifestEntry:
        """Write one object to a file in constant memory, and say what came."""
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with self._answering(key):
            content = obstore.get(self.objects, key)
            with path.open("wb") as file:
                for chunk in content.stream(min_chunk_size=1 << 20):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
        return manifests.ManifestEntry(digest=f"sha256:{digest.hexdigest()}", size=size)

    def publish(
        self, folder: str, files: Mapping[str, bytes | Path], derived: Mapping[str, bytes | Path] | None = None
    ) -> Published:
        """Put `files` into the folder permanently, `manifest.json` last; the same content again makes no second copy.

        Files that are `derived` from these, such as reports, are not part of the digest. Raises ArtifactCorrupt where the folder holds
        something else already.
        """
        manifest = Manifest.of(files)
        key, text = f"{folder}/{manifests.FILE}", manifest.to_json()
        every = {**files, **(derived or {})}
        if self._is_there(key, text):
            # Touched first and looked at afterwards: a sweeper marks the folder first and looks for a touch afterwards, so
            # that one of the two always sees the other.
            self.put(key, text)
            if self._is_settled(folder, every):
                return Published(self.uri_of(folder), manifest.digest)
        for name, content in every.items():
            self.put(f"{folder}/{name}", content)
        if not self.create(key, text):
            # Somebody else was quicker; the same content is welcome, and put the same bytes.
            self._is_there(key, text)
        if not self._is_settled(folder, every):
            raise self._being_deleted(folder)
        return Published(self.uri_of(folder), manifest.digest)

    def _is_settled(self, folder: str, files: Mapping[str, Any]) -> bool:
        """Whether every file is there and stays; raises StoreUnreachable while the folder is being deleted."""
        if self.head(f"{folder}/{manifests.DELETING}") is not None:
            raise self._being_deleted(folder)
        there = {entry.key for entry in self.stream(folder)}
        return {f"{folder}/{name}" for name in (*files, manifests.FILE)} <= there

    def _being_deleted(self, folder: str) -> StoreUnreachable:
        return StoreUnreachable(
            f"{self.uri_of(folder)} is being deleted, because no object used it; the run is repeated when it is gone"
        )

    def _is_there(self, key: str, text: bytes) -> bool:
        try:
            existing = self.get(key)
        except FileNotFoundError:
            return False
        if existing != text:
            raise ArtifactCorrupt(
                f"{self.uri_of(key)} names other content already; delete that folder, or publish under another name"
            )
        return True

    def fetch(self, uri: str, digest: str, into: Path) -> Path:
        """The published folder at `uri` as files in `into`, each checked; raises ArtifactCorrupt where it is not what `digest` names."""
        folder = self.key_of(uri)
        try:
            manifest = Manifest.verified(self.get(f"{folder}/{manifests.FILE}"), digest, uri)
        except FileNotFoundError:
            raise ArtifactCorrupt(
                f"{uri} has no {manifests.FILE}: it was deleted, or never published; make it again"
            ) from None
        for name, expected in manifest.files.items():
            try:
                actual = self.download(f"{folder}/{name}", into / name)
            except FileNotFoundError:
                raise ArtifactCorrupt(f"{uri}/{name} is gone; make it again") from None
            if actual != expected:
                (into / name).unlink()
                raise ArtifactCorrupt(
                    f"{uri}/{name} holds {actual.size} bytes of digest {actual.digest}, not the {expected.size} bytes of {expected.digest} that were"
                    " published; nothing of it was used; make it again"
                )
        return into

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        """Translate the errors of the store into those of a run: absence and existence become Python's own errors."""
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unreachable(error) from None
            raise FileNotFoundError(f"{self.uri_of(key)} does not exist") from None
        except AlreadyExistsError:
            raise FileExistsError(f"{self.uri_of(key)} exists already") from None
        except (BaseError, ValueError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> StoreUnreachable:
        where = self.uri + (f" at {self.endpoint}" if self.endpoint else "")
        return StoreUnreachable(f"the store {where} cannot be used: {explain(str(error))}")


def read_secret(folder: Path) -> dict[str, str]:
    """A mounted Secret: each file's text by its name; files without text are left out.

    Kubernetes mounts a Secret through links and folders that start with two dots; those are not keys.
    """
    if not folder.is_dir():
        return {}
    read = {
        file.name: file.read_text().strip()
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.is_file()
    }
    return {name: text for name, text in read.items() if text}


def explain(message: str) -> str:
    """Return the error of an S3 server or of the way to it, in short and without signatures or keys.

    >>> explain("Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket</Code>…")
    'there is no such bucket (NoSuchBucket); create it'
    >>> explain("Generic S3 error: … HTTP error: error sending request  Debug source: … ConnectionRefused …")
    'nothing answers there; check the endpoint, and that the store runs'
    """
    code = re.search(r"<Code>(\w+)</Code>", message)
    if code:
        remedies = {
            "NoSuchBucket": "there is no such bucket (NoSuchBucket); create it",
            "ContainerNotFound": "there is no such container (ContainerNotFound); create it, or correct the name",
            "AuthenticationFailed": "it refuses the credentials (AuthenticationFailed); correct the Secret",
            "AuthorizationFailure": "it refuses the credentials (AuthorizationFailure); correct the Secret",
            "AuthorizationPermissionMismatch": "it denies access (AuthorizationPermissionMismatch); give the identity the right to read there",
            "SignatureDoesNotMatch": "it refuses the secret access key (SignatureDoesNotMatch); correct the Secret",
            "InvalidAccessKeyId": "it does not know the access key (InvalidAccessKeyId); correct the Secret",
            "InsufficientStorage": "it is full (InsufficientStorage); delete data or enlarge its volume",
            "QuotaExceeded": "its quota is used up (QuotaExceeded); delete data or raise the quota",
            "InternalError": "it has an internal error (InternalError); look into its log, and whether its volume is full",
            "AccessDenied": "it denies access (AccessDenied); give the credentials' owner the right to read and write there",
        }
        return remedies.get(code[1], f"it answers {code[1]}")
    if "kind: Timeout" in message:
        return "it does not answer in time; check the endpoint, the network and the store's load"
    if "error sending request" in message:
        return "nothing answers there; check the endpoint, and that the store runs"
    status = re.search(r"status code: (\d{3}[^:]*)", message)
    if status and status[1].startswith(("401", "403")):
        # An answer to HEAD has no body that would say more.
        return f"it denies access ({status[1].strip()}); correct the keys in the Secret, or the rights of their owner"
    return f"it answers {status[1].strip()}" if status else message.split("\n")[0][:200]


def _entry(meta: Any) -> ObjectEntry:
    return ObjectEntry(meta["path"], meta["size"], meta["last_modified"], (meta["e_tag"] or "").strip('"'))
