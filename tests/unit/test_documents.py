"""The documents name things that exist: links, paths, symbols, make targets, alerts, decision records, fields of examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tidemill.api.driftmonitor import DriftMonitorSpec

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "operator/*.md",
        "operator/images/*.md",
        "charts/*/*.md",
        "manifests/**/*.md",
    )
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"[\w.*<>-]+(?:/[\w.*<>-]+)*\.(?:py|md|yaml|json|toml|txt|sh)")
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} | {
    path.name for path in (ROOT / "operator" / "tidemill").iterdir() if path.is_dir()
}
BASES = [
    ROOT,
    *(ROOT / "operator" / folder for folder in ("", "tidemill", "tidemill/runtime", "tidemill/runtime/serve")),
    ROOT / "charts" / "tidemill",
]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    """The text without blocks of code; a block of a template names things that do not exist."""
    return FENCE.sub("", document.read_text())


def paths(document: Path) -> Iterator[str]:
    """Everything in code font that reads like a file, or a folder, of this repository."""
    for quoted in CODE.findall(prose(document)):
        named = quoted.partition(":")[0].rstrip("/")
        if any(sign in named for sign in "<>*… ") or named.startswith(("/", "~", ".", "http")):
            continue
        first, slash, _ = named.partition("/")
        if FILE.fullmatch(named) or (slash and first in FOLDERS and "." not in first):
            yield quoted


def located(named: str, document: Path) -> Path | None:
    for base in (document.parent, *BASES):
        if (base / named).exists():
            return base / named
    if "/" not in named:
        return next((path for base in ("operator", "charts", "tests") for path in (ROOT / base).rglob(named)), None)
    return None


@each_document
def test_links_lead_to_files_that_exist(document: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(prose(document)) if not re.match(r"[a-z]+:|#", link)]

    assert [] == [link for link in links if not (document.parent / link).exists()]


@each_document
def test_paths_and_the_symbols_in_them_exist(document: Path) -> None:
    # Files that a run, a version or a monitor leaves in the object store.
    elsewhere = {"sample.parquet", "answers.parquet", "timeline.json", "result.json"}
    missing = []
    for quoted in paths(document):
        named, _, symbol = quoted.partition(": ")
        path = located(named.rstrip("/"), document)
        if path is None:
            if named not in elsewhere:
                missing.append(quoted)
        elif symbol and not re.search(rf"\b{re.escape(symbol)}\b", path.read_text()):
            missing.append(quoted)

    assert [] == missing


@each_document
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", document.read_text()))

    assert set() == named - targets


def test_every_alert_is_explained_in_operations() -> None:
    groups = yaml.safe_load((ROOT / "charts/tidemill/files/alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    explained = re.findall(r"^### (Tidemill\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)

    assert sorted(alerts) == sorted(explained)


def test_the_index_lists_every_decision_with_its_date() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")

    assert [f"{number:04d}" for number in range(1, len(records) + 1)] == [path.name[:4] for path in records]
    for record in records:
        title, _, dated, *_ = record.read_text().splitlines()
        date = re.match(r"Date: (\d{4}-\d\d-\d\d)\. Status: ", dated)
        assert date, record.name
        assert f"[{title.removeprefix('# ')}]({record.name}) | {date[1]} |" in index, record.name
        assert re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE) == [
            "Context",
            "Choice",
            "Alternatives",
            "Cost",
        ]


def test_the_example_in_the_readme_is_a_valid_monitor_of_the_quickstart() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    monitor = yaml.safe_load(example)
    quickstart = list(yaml.safe_load_all((ROOT / "manifests/samples/iris-quickstart/iris.yaml").read_text()))
    names = {manifest["kind"]: manifest["metadata"]["name"] for manifest in quickstart}

    spec = DriftMonitorSpec.model_validate(monitor["spec"])

    assert spec.to_wire().keys() >= monitor["spec"].keys(), "a key that the schema does not know is dropped"
    assert spec.target.inference_service == names["InferenceService"]
    assert spec.retraining is not None
    assert spec.retraining.template.training_job == names["TrainingJob"]
