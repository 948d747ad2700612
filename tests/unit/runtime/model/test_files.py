"""A version's files are read only where they are what was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.files import VersionFiles, check_folder, folder_digest, published_digest
from tidemill.runtime.store.objects import ObjectStore, Published


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


@pytest.fixture
def published(store: ObjectStore) -> Published:
    return store.publish("team/models/iris/iris-1", {"signature.json": b"{}", "model.onnx": b"weights"})


def test_a_published_file_is_read_and_an_absent_one_is_named(store: ObjectStore, published: Published) -> None:
    files = VersionFiles(published.uri, published.digest, store)

    assert b"weights" == files.read("model.onnx")
    assert ("model.onnx" in files, "profile.json" in files) == (True, False)
    assert files.table("sample.parquet") is None
    with pytest.raises(ArtifactCorrupt, match=r"iris-1 has no profile\.json; train the version again"):
        files.read("profile.json")


def test_a_changed_file_is_refused_with_the_remedy_of_the_reader(store: ObjectStore, published: Published) -> None:
    store.put("team/models/iris/iris-1/model.onnx", b"other weights")

    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx is not what was published; .*; delete that folder"):
        VersionFiles(published.uri, published.digest, store, remedy="delete that folder").read("model.onnx")


def test_a_deleted_file_is_refused(store: ObjectStore, published: Published) -> None:
    store.delete("team/models/iris/iris-1/model.onnx")

    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx is gone"):
        VersionFiles(published.uri, published.digest, store).read("model.onnx")


def test_a_version_of_another_digest_or_of_none_is_refused(store: ObjectStore, published: Published) -> None:
    with pytest.raises(ArtifactCorrupt, match="has the digest"):
        VersionFiles(published.uri, f"sha256:{'0' * 64}", store)
    with pytest.raises(ArtifactCorrupt, match=r"has no manifest\.json: it was deleted, or never published"):
        VersionFiles(store.uri_of("team/models/iris/iris-2"), published.digest, store)


def test_the_digest_of_a_version_is_found_in_a_store_and_in_a_folder(
    store: ObjectStore, published: Published, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "team" / "models" / "iris" / "iris-1"

    assert published.digest == published_digest(published.uri, store) == folder_digest(folder)
    assert folder_digest(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        published_digest(store.uri_of("team/models/iris/iris-2"), store)


def test_a_folder_is_checked_where_it_has_a_manifest(published: Published, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "team" / "models" / "iris" / "iris-1"

    check_folder(tmp_path)
    check_folder(folder)
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactCorrupt, match="copy the folder again"):
        check_folder(folder)
