"""scikit-learn's private insides, all that Tidemill uses of them: holds for scikit-learn 1.9.

* `parameter_refusal` asks the constraints that every estimator declares for its parameters.
* `boosted_trees` and `regression_trees` read fitted trees in double precision.
* `TRUSTED` names the types, many of them private, that fitted estimators on the list hold in their files.

Another minor release may have changed any of these; `require_supported` says so before one of them is used.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUPPORTED: Final = (1, 9)
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


def require_supported() -> None:
    """Raise ImportError where another minor release of scikit-learn is installed than this module knows."""
    import sklearn

    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) != SUPPORTED:
        raise ImportError(
            f"scikit-learn {sklearn.__version__} is installed, and Tidemill supports {'.'.join(map(str, SUPPORTED))}; "
            "install that release"
        )


def silence_answers() -> None:
    """Ignore from now on what scikit-learn warns of when it answers NaN: such rows are refused by name."""
    import warnings

    warnings.filterwarnings("ignore", "One or more samples have no neighbors", UserWarning)


class Trees(NamedTuple):
    """The trees of a fitted ensemble, whose answer is the base plus the values of the leaves that a row comes to."""

    thresholds: tuple[NDArray[np.float64], ...]
    """For each tree what its nodes compare with, by the node's number."""
    values: tuple[NDArray[np.float64], ...]
    """For each tree the values of its nodes; inner nodes have some too, which nothing adds up."""
    base: NDArray[np.float64]
    """One for each output."""


def boosted_trees(estimator: Any) -> Trees | None:
    """Return the trees of a fitted HistGradientBoosting without categories, one after the other; None for other estimators."""
    if not type(estimator).__name__.startswith("HistGradientBoosting"):
        return None
    nodes = [predictor.nodes for iteration in estimator._predictors for predictor in iteration]
    if any(tree["is_categorical"].any() for tree in nodes):
        return None
    return Trees(
        tuple(tree["num_threshold"] for tree in nodes),
        tuple(tree["value"] for tree in nodes),
        np.asarray(estimator._baseline_prediction, np.float64).ravel(),
    )


def regression_trees(estimator: Any) -> Trees | None:
    """Return the trees of a fitted regressor that adds up or averages over its trees; None for other estimators."""
    name = type(estimator).__name__
    base, share = 0.0, 1.0
    if name in ("DecisionTreeRegressor", "ExtraTreeRegressor"):
        members = [estimator]
    elif name in ("RandomForestRegressor", "ExtraTreesRegressor"):
        members = list(estimator.estimators_)
        share = 1 / len(members)
    elif name == "GradientBoostingRegressor":
        members = list(estimator.estimators_.ravel())
        share = estimator.learning_rate
        if estimator.init_ != "zero":
            constant = getattr(estimator.init_, "constant_", None)
            if constant is None:
                return None
            base = float(np.ravel(constant)[0])
    else:
        return None
    return Trees(
        tuple(np.asarray(member.tree_.threshold, np.float64) for member in members),
        tuple(member.tree_.value[:, 0, 0] * share for member in members),
        np.array([base]),
    )


def parameter_refusal(kind: Any, caller: str, name: str, value: Any) -> str:
    """Return why the estimator class `kind` does not take `value` for its parameter `name`; empty where it does, or declares nothing."""
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    require_supported()
    constraints = getattr(kind, "_parameter_constraints", {})
    if name not in constraints:
        return ""
    try:
        validate_parameter_constraints({name: constraints[name]}, {name: value}, caller_name=caller)
    except InvalidParameterError as error:
        return str(error)
    return ""
