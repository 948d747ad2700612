"""Prepares the matrix as an estimator needs it before it can learn from it.

    HistGradientBoosting   nothing: it takes gaps and categories as they are
    trees, Bayes, dummies  gaps filled, categories as one column each
    all others             and numbers on a common scale

The matrix is the signature's: numbers, and categories as their index, -1 for one that training never saw. A missing or
unseen category is none of the known ones; a missing number counts as the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tidemill.runtime.model.signature import Feature
from tidemill.runtime.train.estimators import KnownEstimator

_INSENSITIVE_TO_SCALE: Final = frozenset({"sklearn.tree", "sklearn.ensemble", "sklearn.dummy"})
_COUNTING: Final = frozenset({"ComplementNB", "MultinomialNB"})
"""These take only what is not negative."""


def takes_gaps(known: KnownEstimator) -> bool:
    """Return whether the estimator itself learns from missing values and categories."""
    return known.name.startswith("HistGradientBoosting")


def prepare(known: KnownEstimator, estimator: Any, features: Sequence[Feature]) -> Any:
    """`estimator` behind whatever it needs."""
    numbers = [index for index, feature in enumerate(features) if feature.type == "Numerical"]
    categories = [
        index for index, feature in enumerate(features) if feature.type == "Categorical" and feature.categories
    ]
    if takes_gaps(known):
        if categories and estimator.get_params()["categorical_features"] in (None, "from_dtype"):
            estimator.set_params(categorical_features=categories)
        return estimator
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

    steps: list[tuple[str, Any]] = [("fill", SimpleImputer(strategy="median", keep_empty_features=True))]
    if known.name in _COUNTING:
        steps.append(("scale", MinMaxScaler(clip=True)))
    elif known.module not in _INSENSITIVE_TO_SCALE and known.name != "GaussianNB":
        steps.append(("scale", StandardScaler()))
    parts: list[tuple[str, Any, list[int]]] = []
    if numbers:
        parts.append(("numbers", Pipeline(steps), numbers))
    if categories:
        known_codes = [[float(code) for code in range(len(features[index].categories))] for index in categories]
        # dense: linear models and trees are quicker on the few columns there are, and ONNX knows no sparse ones
        encoder = OneHotEncoder(categories=known_codes, handle_unknown="ignore", sparse_output=False)
        parts.append(
            (
                "categories",
                Pipeline([("fill", SimpleImputer(strategy="constant", fill_value=-1.0)), ("encode", encoder)]),
                categories,
            )
        )
    return Pipeline([("prepare", ColumnTransformer(parts, sparse_threshold=0.0)), ("model", estimator)])
