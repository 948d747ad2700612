"""Lists the estimators that can be trained, and refuses a wrong parameter by name before anything is fitted.

The list is written down, so that nothing a user names is imported before it is known to be harmless. What is missing
from scikit-learn's own list takes other estimators as parameters, predicts several columns at once, or cannot be saved
without pickle; a test holds the two lists against each other.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tidemill.api.base import Scalar
from tidemill.runtime.failures import InvalidParameters, UnknownEstimator
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.signature import Task
from tidemill.runtime.model.sklearn_internals import parameter_refusal

CLASSIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sklearn.calibration": ("CalibratedClassifierCV",),
    "sklearn.discriminant_analysis": ("LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis"),
    "sklearn.dummy": ("DummyClassifier",),
    "sklearn.ensemble": (
        "AdaBoostClassifier",
        "BaggingClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "RandomForestClassifier",
    ),
    "sklearn.gaussian_process": ("GaussianProcessClassifier",),
    "sklearn.linear_model": (
        "LogisticRegression",
        "LogisticRegressionCV",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
    ),
    "sklearn.naive_bayes": ("BernoulliNB", "ComplementNB", "GaussianNB", "MultinomialNB"),
    "sklearn.neighbors": ("KNeighborsClassifier", "NearestCentroid", "RadiusNeighborsClassifier"),
    "sklearn.neural_network": ("MLPClassifier",),
    "sklearn.svm": ("LinearSVC", "NuSVC", "SVC"),
    "sklearn.tree": ("DecisionTreeClassifier", "ExtraTreeClassifier"),
}
REGRESSORS: Final[Mapping[str, tuple[str, ...]]] = {
    "sklearn.cross_decomposition": ("PLSRegression",),
    "sklearn.dummy": ("DummyRegressor",),
    "sklearn.ensemble": (
        "AdaBoostRegressor",
        "BaggingRegressor",
        "ExtraTreesRegressor",
        "GradientBoostingRegressor",
        "HistGradientBoostingRegressor",
        "RandomForestRegressor",
    ),
    "sklearn.gaussian_process": ("GaussianProcessRegressor",),
    "sklearn.kernel_ridge": ("KernelRidge",),
    "sklearn.linear_model": (
        "ARDRegression",
        "BayesianRidge",
        "ElasticNet",
        "ElasticNetCV",
        "GammaRegressor",
        "HuberRegressor",
        "Lars",
        "LarsCV",
        "Lasso",
        "LassoCV",
        "LassoLars",
        "LassoLarsCV",
        "LassoLarsIC",
        "LinearRegression",
        "OrthogonalMatchingPursuit",
        "OrthogonalMatchingPursuitCV",
        "PassiveAggressiveRegressor",
        "PoissonRegressor",
        "QuantileRegressor",
        "RANSACRegressor",
        "Ridge",
        "RidgeCV",
        "SGDRegressor",
        "TheilSenRegressor",
        "TweedieRegressor",
    ),
    "sklearn.neighbors": ("KNeighborsRegressor", "RadiusNeighborsRegressor"),
    "sklearn.neural_network": ("MLPRegressor",),
    "sklearn.svm": ("LinearSVR", "NuSVR", "SVR"),
    "sklearn.tree": ("DecisionTreeRegressor", "ExtraTreeRegressor"),
}


class KnownEstimator(NamedTuple):
    """An estimator on the list."""

    module: str
    name: str
    task: Task

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


_LISTS: Final[tuple[tuple[Task, Mapping[str, tuple[str, ...]]], ...]] = (
    ("Classification", CLASSIFIERS),
    ("Regression", REGRESSORS),
)
KNOWN: Final[Mapping[str, KnownEstimator]] = {
    f"{module}.{name}": KnownEstimator(module, name, task)
    for task, modules in _LISTS
    for module, names in modules.items()
    for name in names
}
_BY_CLASS: Final = {known.name: known for known in KNOWN.values()}


def find(path: str) -> KnownEstimator:
    """The estimator that an import path, or its last part, names; raises UnknownEstimator with the nearest ones."""
    known = KNOWN.get(path) or _BY_CLASS.get(path)
    if known:
        return known
    near = difflib.get_close_matches(path.rpartition(".")[2], _BY_CLASS, 3, 0.5)
    remedy = (
        f"did you mean {' or '.join(_BY_CLASS[name].path for name in near)}?"
        if near
        else "set spec.estimator.name to the import path of a supported classifier or regressor of scikit-learn, such as "
        "sklearn.ensemble.HistGradientBoostingClassifier"
    )
    raise UnknownEstimator(f"unknown estimator {path!r}, none of the {len(KNOWN)} that can be trained; {remedy}")


def make(known: KnownEstimator, parameters: Mapping[str, Any], seed: int, classes: Sequence[Scalar] = ()) -> Any:
    """Return the estimator with its parameters, checked by scikit-learn's own rules, and seeded; raises InvalidParameters.

    `classes` are the labels of the target where they are known: estimators are fitted to their indices, so that weights given by
    label become weights by index.
    """
    accepted = accepting(known, parameters)
    kind = getattr(importlib.import_module(known.module), known.name)
    seeded: dict[str, Any] = {"random_state": seed, **parameters} if "random_state" in accepted else dict(parameters)
    weights = seeded.get("class_weight")
    if classes and isinstance(weights, Mapping):
        seeded["class_weight"] = _by_index(weights, classes)
    return _checked(known, kind, seeded)


def _by_index(weights: Mapping[str, Any], classes: Sequence[Scalar]) -> dict[int, float]:
    """Weights by the index of the class that each label means."""
    labels = ClassLabels(classes)
    by_index: dict[int, float] = {}
    for label, weight in weights.items():
        index = labels.index(label)
        if index is None:
            raise InvalidParameters(
                f"class_weight names {label!r}, and the classes are {', '.join(repr(text) for text in labels.texts[:10])}; correct spec.estimator.parameters.class_weight"
            )
        if isinstance(weight, (str, bool)) or not weight >= 0:
            raise InvalidParameters(
                f"class_weight of {label!r} is {weight!r}, and must be a number of at least 0; correct spec.estimator.parameters.class_weight"
            )
        by_index[index] = float(weight)
    return by_index


def accepting(known: KnownEstimator, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the parameters that the estimator takes; raises InvalidParameters where one of the `names` is not among it."""
    kind = getattr(importlib.import_module(known.module), known.name)
    accepted = tuple(inspect.signature(kind).parameters)
    for name in names:
        if name not in accepted:
            near = difflib.get_close_matches(name, accepted, 1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(accepted)}"
            raise InvalidParameters(f"{known.name} has no parameter {name!r}{meant}")
    return accepted


def _readings(value: Any) -> tuple[Any, ...]:
    """Return the meanings that a parameter may have: a whole number written as 300.0 is 300, and a list may be a tuple."""
    if isinstance(value, float) and value.is_integer():
        return value, int(value)
    if isinstance(value, (list, tuple)):
        return list(value), tuple(value)
    return (value,)


def _checked(known: KnownEstimator, kind: Any, parameters: dict[str, Any]) -> Any:
    """The estimator, if scikit-learn takes its parameters; a whole number written as 300.0 counts as 300."""
    for name, value in parameters.items():
        refusal = ""
        for candidate in _readings(value):
            refusal = parameter_refusal(kind, known.name, name, candidate)
            if not refusal:
                parameters = {**parameters, name: candidate}
                break
        if refusal:
            raise InvalidParameters(f"{refusal.rstrip('.')}; correct spec.estimator.parameters.{name}")
    return kind(**parameters)
