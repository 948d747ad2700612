"""What a model takes and gives: features in order, their categories, and the classes it answers with.

A model works on one matrix of floats. Numbers stand for themselves; a category stands for its index in `categories`;
a missing value is NaN, a category that training never saw is -1.
"""

from __future__ import annotations

from typing import Literal

from tidemill.api.base import Model, Scalar


class Feature(Model):
    """A column that the model takes."""

    name: str
    type: Literal["Numerical", "Categorical"]
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    """Smallest value in training, for numerical features."""
    maximum: float | None = None
    importance: float = 0.0
    """Permutation importance on the hold-out, scaled so that all features sum to 1; 0 where none was measured."""


class Signature(Model):
    """The features in the order of the matrix, and what comes out."""

    task: Literal["Classification", "Regression"]
    features: tuple[Feature, ...]
    target: str
    classes: tuple[Scalar, ...] = ()
    """For classification: the labels, in the order of the probabilities."""
    target_spread: float = 0.0
    """For regression: standard deviation of the hold-out's target."""
    gives_probabilities: bool = True
    """For classification: whether an answer carries a probability for each class."""
    takes_missing: bool = True
    """Whether a row with a missing value is answered; otherwise it is refused."""
