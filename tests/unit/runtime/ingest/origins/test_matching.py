"""Which keys a path selects, and which paths are refused."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tidemill.runtime.failures import SourceNotFound, SourceUnreadable
from tidemill.runtime.ingest.origins import matching
from tidemill.runtime.ingest.origins.matching import PathSelection, confined

KEYS = (
    "lake/a.csv",
    "lake/a.csv.gz",
    "lake/b.parquet",
    "lake/_SUCCESS",
    "lake/.a.csv.crc",
    "lake/day=1/a.csv",
    "lake/day=1/_temporary/a.csv",
    "lake/day=2/country=NL/a.csv",
    "lakes/a.csv",
)
SELECTED = {
    "lake/a.csv": ["lake/a.csv"],
    "lake/_SUCCESS": ["lake/_SUCCESS"],
    "lake/": ["lake/a.csv", "lake/a.csv.gz", "lake/b.parquet", "lake/day=1/a.csv", "lake/day=2/country=NL/a.csv"],
    "lake/*.csv": ["lake/a.csv"],
    "lake/?.csv": ["lake/a.csv"],
    "lake/_*": ["lake/_SUCCESS"],
    "lake/**/*.csv": ["lake/a.csv", "lake/day=1/a.csv", "lake/day=2/country=NL/a.csv"],
    "lake/day=*/*.csv": ["lake/day=1/a.csv"],
    "lake/day=*/**": ["lake/day=1/a.csv", "lake/day=2/country=NL/a.csv"],
    "**/a.csv": ["lake/a.csv", "lake/day=1/a.csv", "lake/day=2/country=NL/a.csv", "lakes/a.csv"],
}


@pytest.mark.parametrize("path", SELECTED)
def test_a_path_selects_these_keys(path: str) -> None:
    selection = PathSelection.of(path)

    assert SELECTED[path] == [key for key in KEYS if selection.matches(key)]
    assert all(key.startswith(selection.folder) for key in SELECTED[path])


def test_a_path_that_selects_nothing_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceNotFound, match=r"no file matches s3://b/x/\*; upload one"):
        list(PathSelection.of("x/*").chosen("s3://b/x/*", ((key, key) for key in KEYS)))
    monkeypatch.setattr(matching, "MAX_FILES", 2)
    with pytest.raises(SourceUnreadable, match="matches more than 2 files"):
        list(PathSelection.of("lake/").chosen("s3://b/lake/", ((key, key) for key in KEYS)))


@pytest.mark.parametrize(
    "path",
    [
        "/../other/a.csv", "/a/../../other/a.csv", "/..", "/./a.csv", "/a/./b.csv", "//other/a.csv", "/a//b.csv", "",
        "/", "/%2e%2e/other/a.csv", "/%2E./other/a.csv", "/a%2fb.csv", "/a%00.csv", "/..\\other", "/a\n.csv", "/a\x00",
    ],
)  # fmt: skip
def test_a_path_that_could_lead_out_of_its_folder_is_refused(path: str) -> None:
    with pytest.raises(SourceNotFound, match="contains an e"):
        confined(path, f"store://{path}")


@pytest.mark.parametrize(
    "path", ["/a.csv", "/raw/day=1/*.csv", "/a..b/c...csv", "/100%/é.csv", "/raw/", "/…/x", "/.raw/a.csv"]
)
def test_odd_names_are_only_names(path: str) -> None:
    assert path[1:] == confined(path, f"store://{path}")


@pytest.mark.parametrize("name", ["a\x1b[2J.csv", "a\n.csv", "a\u202etxt.csv", "a\udcff.csv", "a\x9b.csv"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(SourceUnreadable, match="control characters or is not UTF-8") as refused:
        list(PathSelection.of("lake/").chosen("s3://b/lake/", [(f"lake/{name}", 1)]))
    assert refused.value.message.isascii()
    assert refused.value.message.isprintable()


@given(some.text(alphabet="a./%2eE\\*\n-", max_size=12))
def test_no_path_that_is_accepted_leads_out_of_its_folder(path: str) -> None:
    try:
        kept = confined(path, f"store://{path}")
    except SourceNotFound:
        return

    folder = posixpath.normpath(f"/root/{unquote(kept)}")
    assert folder.startswith("/root/")
    assert PathSelection.of(f"team/{kept}").folder.startswith("team")
