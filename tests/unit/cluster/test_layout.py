"""Images as blobs that are shared, appended to and sent in part."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from cluster.layout import NAME, Layout


def put(folder: Path, content: bytes) -> str:
    index = folder / "blobs" / "sha256"
    index.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    (index / digest).write_bytes(content)
    return f"sha256:{digest}"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """One image `below:1` of one layer."""
    layer = put(tmp_path, b"the dependencies")
    config = put(tmp_path, json.dumps({"rootfs": {"diff_ids": [layer]}}).encode())
    manifest = put(tmp_path, json.dumps({"config": {"digest": config}, "layers": [{"digest": layer}]}).encode())
    entry = {"digest": manifest, "annotations": {NAME: "below:1"}}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    return Layout(tmp_path)


def exported(layout: Layout, *references: str, present: set[str]) -> list[str]:
    stream = io.BytesIO()
    layout.export(list(references), stream, present=present)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        return tar.getnames()


def test_an_appended_image_has_the_layers_below_and_one_more(layout: Layout) -> None:
    layout.append("below:1", "above:1", b"our code")

    assert ["below:1", "above:1"] == layout.references()
    assert layout.layers("below:1") == layout.layers("above:1")[:-1]
    assert len(b"our code") == layout.size(layout.layers("above:1")[-1])


def test_only_what_the_receiver_lacks_is_sent(layout: Layout) -> None:
    layout.append("below:1", "above:1", b"our code")
    present = set(layout.blobs("below:1"))

    sent = exported(layout, "above:1", present=present)

    missing = {blob.replace("sha256:", "blobs/sha256/") for blob in set(layout.blobs("above:1")) - present}
    assert {"oci-layout", "index.json", *missing} == set(sent)
    assert len(missing) == 3, "a layer, a config and a manifest"


def test_a_receiver_that_has_nothing_gets_everything(layout: Layout) -> None:
    assert len(layout.blobs("below:1")) + 2 == len(exported(layout, "below:1", present=set()))


def test_what_is_forgotten_takes_its_own_blobs_along_and_no_others(layout: Layout) -> None:
    layout.append("below:1", "above:1", b"our code")
    layout.append("below:1", "above:2", b"our better code")

    layout.forget({"above:1"})

    assert ["below:1", "above:2"] == layout.references()
    kept = {f"sha256:{path.name}" for path in (layout.folder / "blobs" / "sha256").iterdir()}
    assert {*layout.blobs("below:1"), *layout.blobs("above:2")} == kept


def test_building_the_same_reference_again_replaces_it(layout: Layout) -> None:
    layout.append("below:1", "above:1", b"our code")
    layout.append("below:1", "above:1", b"our better code")

    assert ["below:1", "above:1"] == layout.references()
