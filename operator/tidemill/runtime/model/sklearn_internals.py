"""scikit-learn's private insides, all that Tidemill uses of them: holds for scikit-learn 1.9.

* `parameter_refusal` asks the constraints that every estimator declares for its parameters.
* `boosted_trees` and `regression_trees` read fitted trees in double precision.
* `TRUSTED` names the types, many of them private, that fitted estimators on the list hold in their files.

Another minor release may have changed any of these; `SUPPORTED.require` says so before one of them is used.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.process.versions import SupportedVersions

SUPPORTED: Final = SupportedVersions("scikit-learn", (1, 9), (1, 10))
"""The minor release that this module was written for, and that pyproject.toml asks for."""
TRUSTED: Final = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.BrayCurtisDistance64",
        "sklearn.metrics._dist_metrics.CanberraDistance64",
        "sklearn.metrics._dist_metrics.ChebyshevDistance64",
        "sklearn.metrics._dist_metrics.DiceDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.HammingDistance64",
        "sklearn.metrics._dist_metrics.HaversineDistance64",
        "sklearn.metrics._dist_metrics.JaccardDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._dist_metrics.RogersTanimotoDistance64",
        "sklearn.metrics._dist_metrics.RussellRaoDistance64",
        "sklearn.metrics._dist_metrics.SEuclideanDistance64",
        "sklearn.metrics._dist_metrics.SokalSneathDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)
"""Types beyond those that skops trusts by itself (scikit-learn's own estimators among them) that estimators on the list hold.

Each was decided on its own: none imports, calls or reads anything that the file names. A module is never trusted as a whole.
"""


def silence_answers() -> None:
    """Ignore from now on what scikit-learn warns of when it answers NaN: such rows are refused by name."""
    import warnings

    warnings.filterwarnings("ignore", "One or more samples have no neighbors", UserWarning)


class Tree(NamedTuple):
    """A fitted tree, by the number of the node; of leaves only the value means something."""

    leaf: NDArray[np.bool_]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    """The node where a row goes whose value is at most the threshold."""
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    """Whether a row goes left whose value is missing."""
    value: NDArray[np.float64]


class Trees(NamedTuple):
    """The trees of a fitted ensemble, whose answer is the base plus the values of the leaves that a row comes to, or their mean."""

    trees: tuple[Tree, ...]
    base: NDArray[np.float64]
    """One for each output."""
    averaged: bool = False


def boosted_trees(estimator: Any) -> Trees | None:
    """Return the trees of a fitted HistGradientBoosting without categories, one after the other; None for other estimators."""
    if not type(estimator).__name__.startswith("HistGradientBoosting"):
        return None
    nodes = [predictor.nodes for iteration in estimator._predictors for predictor in iteration]
    if any(tree["is_categorical"].any() for tree in nodes):
        return None
    return Trees(
        tuple(
            Tree(
                tree["is_leaf"].astype(np.bool_),
                tree["feature_idx"].astype(np.int64),
                tree["num_threshold"],
                tree["left"].astype(np.int64),
                tree["right"].astype(np.int64),
                tree["missing_go_to_left"].astype(np.bool_),
                tree["value"],
            )
            for tree in nodes
        ),
        np.asarray(estimator._baseline_prediction, np.float64).ravel(),
    )


def regression_trees(estimator: Any) -> Trees | None:
    """Return the trees of a fitted regressor that adds up or averages over its trees; None for other estimators."""
    name = type(estimator).__name__
    base, rate = 0.0, 1.0
    if name in ("DecisionTreeRegressor", "ExtraTreeRegressor"):
        members = [estimator]
    elif name in ("RandomForestRegressor", "ExtraTreesRegressor"):
        members = list(estimator.estimators_)
    elif name == "GradientBoostingRegressor":
        members = list(estimator.estimators_.ravel())
        rate = estimator.learning_rate
        if estimator.init_ != "zero":
            constant = getattr(estimator.init_, "constant_", None)
            if constant is None:
                return None
            base = float(np.ravel(constant)[0])
    else:
        return None
    averaged = name in ("RandomForestRegressor", "ExtraTreesRegressor")
    return Trees(tuple(_tree(member.tree_, rate) for member in members), np.array([base]), averaged)


def _tree(tree: Any, rate: float) -> Tree:
    return Tree(
        np.asarray(tree.children_left < 0),
        np.asarray(tree.feature, np.int64),
        np.asarray(tree.threshold, np.float64),
        np.asarray(tree.children_left, np.int64),
        np.asarray(tree.children_right, np.int64),
        np.asarray(tree.missing_go_to_left, np.bool_),
        rate * np.asarray(tree.value, np.float64)[:, 0, 0],
    )


def parameter_refusal(kind: Any, caller: str, name: str, value: Any) -> str:
    """Return why the estimator class `kind` does not take `value` for its parameter `name`; empty where it does, or declares nothing."""
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    SUPPORTED.require()
    constraints = getattr(kind, "_parameter_constraints", {})
    if name not in constraints:
        return ""
    try:
        validate_parameter_constraints({name: constraints[name]}, {name: value}, caller_name=caller)
    except InvalidParameterError as error:
        return str(error)
    return ""
