"""Tags that follow from what goes in."""

from pathlib import Path

import pytest

from cluster import recipes
from cluster.recipes import Recipe
from cluster.wheels import Wheel


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    dockerfile, settings, code = (tmp_path / name for name in ("Dockerfile", "settings", "code.py"))
    for path in (dockerfile, settings, code):
        path.write_text(path.name)
    return Recipe("toy", dockerfile, {"settings": settings}, {"BASE": "a"}, {"tidemill/code.py": code})


@pytest.mark.parametrize("changed", ["Dockerfile", "settings", "code.py"])
def test_a_change_of_any_file_changes_the_tag(recipe: Recipe, tmp_path: Path, changed: str) -> None:
    before = recipe.reference

    (tmp_path / changed).write_text("something else")

    assert before != recipe.reference


def test_a_change_of_code_leaves_the_dependencies_alone(recipe: Recipe, tmp_path: Path) -> None:
    before = recipe.dependencies.reference

    (tmp_path / "code.py").write_text("something else")

    assert before == recipe.dependencies.reference


def test_another_base_is_another_image(recipe: Recipe) -> None:
    other = Recipe(recipe.role, recipe.dockerfile, recipe.context, {"BASE": "b"}, recipe.code)

    assert recipe.digest != other.digest


def test_where_a_wheel_lies_does_not_matter_but_its_name_does(recipe: Recipe) -> None:
    def digest(path: str) -> str:
        return Recipe("toy", recipe.dockerfile, {"wheels/a": Path(path)}, {}).digest

    assert digest("/here/numpy-1.whl") == digest("/there/numpy-1.whl")
    assert digest("/here/numpy-1.whl") != digest("/here/numpy-2.whl")


def test_each_wheel_is_installed_once_below_the_large_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recipes.wheels, "pip", lambda: Wheel("pip.whl", tmp_path / "pip.whl"))
    monkeypatch.setattr(recipes, "PACKAGE", tmp_path)
    workload = [Wheel(name, Path("/workload", name)) for name in ("numpy-2.whl", "onnx-1.whl")]
    server = [Wheel(name, Path("/server", name)) for name in ("numpy-2.whl", "bentoml-1.whl")]

    science = recipes.science("base", workload, server)
    above = recipes.on_science("server", science, server, tmp_path)

    assert ["wheels/numpy-2.whl"] == [index for index in science.context if index.startswith("wheels/")]
    assert ["wheels/bentoml-1.whl"] == [index for index in above.context if index.startswith("wheels/")]


def test_the_snapshot_has_our_code_without_what_python_leaves_behind() -> None:
    with recipes.snapshot() as package:
        names = {path.name for path in package.rglob("*")}

    assert "__init__.py" in names
    assert "__pycache__" not in names
