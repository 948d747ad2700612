"""Files on a volume that others may write: what is read, and what no link leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.runtime.failures import RunFailed, SourceNotFound, SourceUnreadable
from tidemill.runtime.ingest.origins.claims import Claim


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    for path in ("raw/day=1/a.csv", "raw/day=2/b.csv", "raw/_SUCCESS", "single.csv"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"a\n{len(path)}\n")
    (tmp_path / "secret").write_text("key")
    return root


def names(uri: str, volume: Path) -> list[str]:
    return [file.name for file in Claim.of(uri, volume).files()]


def test_a_file_a_folder_and_a_pattern_are_read(volume: Path) -> None:
    assert ["single.csv"] == names("pvc://lake/single.csv", volume)
    assert ["raw/day=1/a.csv", "raw/day=2/b.csv"] == names("pvc://lake/raw/", volume)
    assert ["raw/day=2/b.csv"] == names("pvc://lake/raw/*/b*", volume)
    claim = Claim.of("pvc://lake/raw/", volume)
    first = claim.files()[0]
    assert (b"a\n15\n", "day=1/a.csv") == (claim.content(first), first.path)


def test_a_change_of_a_file_changes_its_tag(volume: Path) -> None:
    [before] = Claim.of("pvc://lake/single.csv", volume).files()
    [same] = Claim.of("pvc://lake/single.csv", volume).files()
    (volume / "single.csv").write_text("a\n2\n")
    [after] = Claim.of("pvc://lake/single.csv", volume).files()

    assert before == same
    assert before.tag != after.tag


@pytest.mark.parametrize(
    "uri",
    ["pvc://lake/../secret", "pvc://lake/raw/../../secret", "pvc://lake/%2e%2e/secret", "pvc://lake/", "pvc:///a", "pvc://lake//secret"],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_volume_is_refused(uri: str, volume: Path) -> None:
    with pytest.raises(SourceNotFound):
        names(uri, volume)


def test_links_are_not_followed(volume: Path) -> None:
    (volume / "link.csv").symlink_to(volume.parent / "secret")
    (volume / "inside.csv").symlink_to("single.csv")
    (volume / "out").symlink_to(volume.parent)
    (volume / "linked").mkdir()
    (volume / "linked" / "l.csv").symlink_to(volume.parent / "secret")
    (volume / "linked" / "r.csv").write_text("a\n1\n")

    for uri in ("pvc://lake/link.csv", "pvc://lake/inside.csv", "pvc://lake/out/secret"):
        with pytest.raises(SourceNotFound, match="leads through a symbolic link"):
            names(uri, volume)
    assert ["linked/r.csv"] == names("pvc://lake/linked/", volume)
    assert ["single.csv"] == names("pvc://lake/*.csv", volume)


def test_a_file_that_becomes_a_link_before_it_is_read_is_not_followed(volume: Path) -> None:
    claim = Claim.of("pvc://lake/raw/", volume)
    first, second = claim.files()
    (volume / first.name).unlink()
    (volume / first.name).symlink_to(volume.parent / "secret")
    (volume / "raw" / "day=2" / "b.csv").unlink()
    (volume / "raw" / "day=2").rmdir()
    (volume / "raw" / "day=2").symlink_to(volume.parent)

    for file in (first, second):
        with pytest.raises(SourceNotFound, match="leads through a symbolic link"):
            claim.content(file)


def test_what_is_not_a_file_is_refused(volume: Path) -> None:
    os.mkfifo(volume / "pipe.csv")

    with pytest.raises(SourceUnreadable, match=r"'pipe\.csv' on the volume is not a file"):
        names("pvc://lake/pipe.csv", volume)
    with pytest.raises(SourceNotFound, match="is a folder; write pvc://lake/raw/ to read"):
        names("pvc://lake/raw", volume)
    assert ["single.csv"] == names("pvc://lake/*.csv", volume)


@pytest.mark.parametrize("uri", ["pvc://lake/absent.csv", "pvc://lake/absent/*.csv", "pvc://lake/absent/"])
def test_an_absent_file_is_told(uri: str, volume: Path) -> None:
    with pytest.raises(RunFailed, match="does not exist on the volume"):
        names(uri, volume)


def test_a_name_that_is_not_utf_8_is_told(volume: Path) -> None:
    (Path(os.fsdecode(os.fsencode(volume) + b"/raw/\xff.csv"))).write_text("a\n1\n")

    with pytest.raises(SourceUnreadable, match="is not UTF-8"):
        names("pvc://lake/raw/", volume)
