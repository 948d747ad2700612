"""One row per type of check, from which everything that is said of types follows."""

from __future__ import annotations

import doctest
from typing import get_args

import pytest

from tidemill.api import checks
from tidemill.api.checks import KINDS, LABELLED_TYPES, SOUNDNESS_TYPES, Check, CheckKind, Family, fitting, types_where
from tidemill.contract.health import WEIGHTS
from tidemill.plan.driftmonitor.verdicts import _CONDITIONS
from tidemill.runtime.monitor.checks.judges import BY_SIGNALS, JUDGES
from tidemill.runtime.monitor.evidence.accumulators import OF_SEVERAL_COLUMNS
from tidemill.runtime.monitor.evidence.counted import FROM_COUNTS


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_example_of_a_kind_is_a_check(kind: CheckKind) -> None:
    assert kind.name == Check.model_validate(fitting(kind.name)).type
    assert kind.health in WEIGHTS
    assert kind.family in _CONDITIONS


def test_every_kind_is_judged_once() -> None:
    assert set(KINDS) == set(JUDGES) | BY_SIGNALS
    assert not set(JUDGES) & BY_SIGNALS


def test_every_family_has_its_condition() -> None:
    assert set(get_args(Family)) == set(_CONDITIONS)


def test_sets_of_types_follow_from_the_rows() -> None:
    assert {"Performance", "Fairness", "ConceptDrift"} == set(LABELLED_TYPES)
    assert {"DataQuality", "Timeliness"} == set(SOUNDNESS_TYPES)
    assert {"Multivariate", "DomainClassifier", "OutlierShare"} == OF_SEVERAL_COLUMNS
    rows = {"EstimatedPerformance", "Fairness", *OF_SEVERAL_COLUMNS}
    assert set(KINDS) - rows == FROM_COUNTS


def test_examples_hold() -> None:
    assert 0 == doctest.testmod(checks).failed
    assert ("DomainClassifier",) == types_where(lambda kind: kind.at_rest > 0)
