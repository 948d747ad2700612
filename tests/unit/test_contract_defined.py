"""A metric that is 0/0 is not defined, and the reason names the class."""

from __future__ import annotations

import doctest

import pytest

from tidemill.contract import defined
from tidemill.contract.defined import why_undefined

CASES = {
    "recall without a label of the class": ("recall", {"no": 5}, {"no": 3, "yes": 2}, "no row has the label 'yes'"),
    "f1 without a label of the class": ("f1", {"no": 5}, {"no": 3, "yes": 2}, "no row has the label 'yes'"),
    "precision without an answer of the class": ("precision", {"yes": 5}, {"no": 5}, "no row was predicted as 'yes'"),
    "precision of false alarms alone": ("precision", {"no": 5}, {"yes": 5}, ""),
    "a ranking of one class": ("roc_auc", {"no": 5}, {"no": 5}, "all labels are 'no', and it needs labels of both classes"),
    "an average over a class that only answers show": ("recall_macro", {"no": 5}, {"yes": 5}, "no row has the label 'yes'"),
    "an average over a class that only labels show": ("precision_weighted", {"no": 5, "yes": 1}, {"yes": 6}, "no row was predicted as 'no'"),
    "counts over all classes": ("recall_micro", {"no": 5}, {"yes": 5}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("metric", "labels", "answers", "reason"), CASES.values(), ids=CASES.keys())
def test_what_is_not_defined_says_why(
    metric: str, labels: dict[str, float], answers: dict[str, float], reason: str
) -> None:
    assert reason == why_undefined(metric, labels, answers, "yes")


def test_examples_hold() -> None:
    assert 0 == doctest.testmod(defined).failed
