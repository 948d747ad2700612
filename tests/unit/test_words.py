"""All text that a user meets keeps the style rule of docs/contributing.md, as far as a test can tell; so do names in the code.

What does not keep it yet is listed in words_to_change.yaml. That list only shrinks: take an entry out with the change that makes it
unnecessary, and add none.
"""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tidemill.api.crds import crds
from tidemill.api.structural import nodes
from tidemill.cli.commands import COMMANDS
from tidemill.cli.generate.values import table
from tidemill.cli.group import load

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "operator" / "tidemill"
BANNED = re.compile(
    r"\b(whoever|whomever|nobody|anew|for ever|mend(s|ed|ing)?|artefacts?|learnt|(?<!there )is no (?!longer)|beside|tides?(?!-)|came to nothing)\b",
    re.IGNORECASE,
)
UNFIT_BEGINNINGS = re.compile(r"(Of|What|Whether|Its|Which|Who|Whom|Whose|How|Where)\b")
MESSAGE_CALLS = {
    "true",
    "false",
    "unknown",
    "Notice",
    "PendingCondition",
    "Hold",
    "Failure",
    "Limit",
    "Rule",
    "_failed",
}
VAGUE_NAMES = re.compile(
    r"_{0,2}(said|told|found|places?|chance|one|spread|beside|aside|learnt|anew|nobody|whoever"
    r"|(most|least|fewest|longest)_(bytes|rows|seconds|waiting|held|message|at_once|values|columns|size))",
    re.IGNORECASE,
)
"""Names that do not tell what they hold; bounds begin with `max_` or `min_`."""
TO_CHANGE = yaml.safe_load(Path(__file__).with_name("words_to_change.yaml").read_text())


def unfit(text: str, words: int = 3) -> list[str]:
    """Return what is wrong with a description."""
    problems = []
    if not re.match(r"[A-Z`]|scikit-learn", text):
        problems.append("begins without a capital")
    if not re.search(r"[.!?]$", text):
        problems.append("ends without a stop")
    if len(text.split()) < words and text not in ("Desired state.", "Observed state."):
        problems.append(f"has fewer than {words} words")
    if UNFIT_BEGINNINGS.match(text):
        problems.append("has no noun or verb of its own")
    if word := BANNED.search(text):
        problems.append(f"contains {word[0]!r}")
    return problems


def descriptions() -> Iterator[tuple[str, str]]:
    for definition in crds():
        kind = definition["spec"]["names"]["kind"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, node in nodes(schema):
            if "description" in node:
                yield f"{kind}{path}", node["description"]
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]:
            if "description" in column:
                yield f"{kind} column {column['name']}", column["description"]


def helps() -> Iterator[tuple[str, str]]:
    """Every help text of the commands and of their options, read with Typer or with argparse."""
    for name, entry in COMMANDS.items():
        yield name, entry.help
        module = importlib.import_module(entry.module)
        if hasattr(module, "main"):
            continue  # Read with argparse, whose helps begin without a capital and end without a stop.
        command = load(name, entry)
        yield f"{name}: description", " ".join(command.help.split())
        for parameter in command.params:
            if text := getattr(parameter, "help", None):
                yield f"{name} {parameter.name}", " ".join(text.split())


def literals(node: ast.AST) -> str:
    """The words of a string or an f-string, with … where values stand."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(literals(value) for value in values)
        case ast.BinOp(left=left, right=right):
            return literals(left) + literals(right)
        case ast.IfExp(body=body, orelse=orelse):
            return f"{literals(body)} | {literals(orelse)}"
        case ast.FormattedValue():
            return "…"
    return ""


def remarks(file: Path) -> Iterator[str]:
    """Yield the docstrings and comments of a file, without what is in backquotes."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.COMMENT or (
            token.type == tokenize.STRING and token.string.lstrip("rb").startswith('"""')
        ):
            yield re.sub(r"`[^`]*`", "", token.string)


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def messages() -> Iterator[tuple[str, str]]:
    """Texts of conditions, Events and exceptions, with the file that they are in."""
    for file in sorted(PRODUCT.rglob("*.py")):
        tree = ast.parse(file.read_text())
        raised = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (id(node) in raised or called(node) in MESSAGE_CALLS):
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    if len(text := literals(argument)) > 3:
                        yield str(file.relative_to(PRODUCT)), text


def defined(tree: ast.AST) -> Iterator[str]:
    """Every name that a file gives: to a variable, parameter, attribute, function, class, or keyword of its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield "" if name.startswith("test_") else name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.keyword(arg=str(name)):
                yield name
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                yield from (alias.asname for alias in names if alias.asname)


def test_descriptions_of_fields_keep_the_style_rule() -> None:
    assert {} == {path: problems for path, text in descriptions() if (problems := unfit(text))}


def test_rules_name_the_problem_and_the_remedy() -> None:
    messages = {
        rule["message"]
        for definition in crds()
        for _, node in nodes(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        for rule in node.get("x-kubernetes-validations", ())
    }

    assert [] == [text for text in messages if BANNED.search(text) or text.endswith(".") or len(text.split()) < 4]


def test_helps_of_commands_keep_the_style_rule() -> None:
    assert {} == {
        path: problems for path, text in helps() if path not in TO_CHANGE["helps"] and (problems := unfit(text, 2))
    }


def test_comments_of_chart_values_keep_the_style_rule() -> None:
    values = (ROOT / "charts/tidemill/values.yaml").read_text()

    assert {} == {value.path: problems for value in table(values) if (problems := unfit(value.meaning))}


def test_alerts_keep_the_style_rule() -> None:
    groups = yaml.safe_load((ROOT / "charts/tidemill/files/alerts.yaml").read_text())["groups"]
    texts = {
        f"{rule['alert']} {part}": rule["annotations"][part]
        for group in groups
        for rule in group["rules"]
        for part in ("summary", "description")
    }

    assert {} == {
        name: problems
        for name, text in texts.items()
        # An alert may begin with the name of an object, or with a command.
        if name not in TO_CHANGE["alerts"] and (problems := [p for p in unfit(text) if "capital" not in p])
    }


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("operator/**/*.md"), ROOT / "crds/README.md"]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_plain_words(document: Path) -> None:
    text = re.sub(r"`[^`]*`|^\*A mill driven by the tide.*$", "", document.read_text(), flags=re.MULTILINE)

    assert [] == [word[0] for word in BANNED.finditer(text)]


def test_messages_use_plain_words() -> None:
    unfit_files: dict[str, list[str]] = defaultdict(list)
    for file, text in messages():
        if BANNED.search(text):
            unfit_files[file].append(text)

    assert {} == {file: texts for file, texts in unfit_files.items() if file not in TO_CHANGE["messages"]}


@pytest.mark.parametrize("tree", [PRODUCT, ROOT / "tests"], ids=["product", "tests"])
def test_docstrings_and_comments_use_plain_words(tree: Path) -> None:
    unfit_texts = {
        str(file.relative_to(tree)): words
        for file in sorted(tree.rglob("*.py"))
        if (words := [word[0] for text in remarks(file) for word in BANNED.finditer(text)])
    }

    assert {} == unfit_texts


@pytest.mark.parametrize("tree", [PRODUCT, ROOT / "tests"], ids=["product", "tests"])
def test_names_say_what_they_hold(tree: Path) -> None:
    vague = {
        str(file.relative_to(tree)): names
        for file in sorted(tree.rglob("*.py"))
        if (names := sorted({name for name in defined(ast.parse(file.read_text())) if VAGUE_NAMES.fullmatch(name)}))
    }

    assert {} == vague


def test_no_two_classes_have_one_name() -> None:
    files_of: dict[str, list[str]] = defaultdict(list)
    for file in sorted(PRODUCT.rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                files_of[node.name].append(str(file.relative_to(PRODUCT)))

    assert {} == {name: files for name, files in files_of.items() if len(files) > 1}
