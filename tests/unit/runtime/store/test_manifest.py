"""Manifests: what a folder holds, and which names it may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.store.manifest import Manifest, digest_of, entry_of


@settings(deadline=None)
@given(some.dictionaries(some.from_regex("[a-z]{1,5}", fullmatch=True), some.binary(max_size=50), max_size=5))
def test_equal_content_is_an_equal_digest_whatever_its_order(files: dict[str, bytes]) -> None:
    backwards = dict(reversed(files.items()))

    assert Manifest.of(files).digest == Manifest.of(backwards).digest


@settings(deadline=None)
@given(some.binary(max_size=50), some.binary(max_size=50))
def test_other_content_is_another_digest(first: bytes, second: bytes) -> None:
    assert (first == second) == (Manifest.of({"a": first}).digest == Manifest.of({"a": second}).digest)


def test_a_file_counts_the_same_as_bytes_and_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"tide")

    assert entry_of(tmp_path / "a") == entry_of(b"tide")


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", "a\\b", "", "a//b", "./a", "manifest.json", "a\0b"]
)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    text = json.dumps({"files": {name: {"digest": digest_of(b""), "size": 0}}}).encode()

    with pytest.raises(ArtifactCorrupt, match="is not a manifest of Tidemill"):
        Manifest.verified(text, digest_of(text), "s3://b/folder")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"files": {"a": {"digest": "md5:1", "size": 1}}}', b'{"files": {"a": {"size": -1}}}']
)
def test_whatever_a_manifest_holds_it_is_read_or_refused(text: bytes) -> None:
    with pytest.raises(ArtifactCorrupt):
        Manifest.verified(text, digest_of(text), "s3://b/folder")
