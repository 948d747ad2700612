"""Layers and images that are written without an engine."""

import io
import json
import marshal
import sys
import tarfile
from pathlib import Path

import pytest

from cluster import code_layer, scratch


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"not really one")
    return path


def opened(content: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(content))


def test_an_image_of_one_program_holds_it_and_names_itself(program: Path) -> None:
    packed = scratch.archive("toy:1", {"bin/program": program}, command=["/bin/program"], links={"bin/sh": "program"})

    with opened(packed) as image:
        (manifest,) = json.load(image.extractfile("manifest.json"))
        config = json.load(image.extractfile(manifest["Config"]))
        layer = image.extractfile("layer.tar").read()
    with opened(layer) as files:
        content, link = files.extractfile("bin/program").read(), files.getmember("bin/sh").linkname
    assert (["toy:1"], ["/bin/program"]) == (manifest["RepoTags"], config["config"]["Entrypoint"])
    assert (b"not really one", "program") == (content, link)


def test_the_same_files_make_the_same_image(program: Path) -> None:
    first, two = (scratch.archive("toy:1", {"bin/program": program}, command=["/bin/program"]) for _ in range(2))

    assert first == two


@pytest.mark.skipif(not code_layer.possible(), reason="the images have another Python")
def test_our_code_goes_in_compiled_and_knows_where_it_will_lie(tmp_path: Path) -> None:
    source = tmp_path / "toy.py"
    source.write_text("answer = 42\n")

    packed = code_layer.archive({"tidemill/part/toy.py": source})

    with opened(packed) as layer:
        compiled = layer.extractfile(f"opt/tidemill/tidemill/part/__pycache__/toy.{sys.implementation.cache_tag}.pyc")
        code = marshal.loads(compiled.read()[16:])
    assert "/opt/tidemill/tidemill/part/toy.py" == code.co_filename


@pytest.mark.skipif(not code_layer.possible(), reason="the images have another Python")
def test_the_same_code_makes_the_same_layer(tmp_path: Path) -> None:
    source = tmp_path / "toy.py"
    source.write_text("answer = 42\n")

    assert code_layer.archive({"tidemill/toy.py": source}) == code_layer.archive({"tidemill/toy.py": source})
