import math

import pytest

from tidemill.api import ModelVersion
from tidemill.api.modelversion import Gate, Measured
from tidemill.children import names
from tidemill.plan.driftmonitor.retraining.history import counterfactual
from tidemill.plan.gates import judge, metric_order, score

HOLDOUT = Measured(
    on="Holdout", rows=100, metrics={"accuracy": 0.95, "log_loss": 0.2}, stable={"accuracy": 0.96, "log_loss": 0.1}
)


def verdicts(*gates: Gate, evaluation: tuple[Measured, ...] = (HOLDOUT,)) -> list[str]:
    return [result.verdict for result in judge(gates, evaluation)]


def test_a_bound_is_kept_or_not() -> None:
    assert ["Passed", "Failed"] == verdicts(Gate(metric="accuracy", minimum=0.9), Gate(metric="accuracy", minimum=0.99))


def test_worse_than_the_version_in_service_within_the_allowance_passes() -> None:
    close = Gate(metric="accuracy", against="Stable", maximum_regression=0.02)
    strict = Gate(metric="accuracy", against="Stable", maximum_regression=0.005)

    assert ["Passed", "Failed"] == verdicts(close, strict)


def test_for_a_loss_more_is_worse() -> None:
    assert ["Failed"] == verdicts(Gate(metric="log_loss", against="Stable", maximum_regression=0.05))


def test_a_metric_that_was_not_measured_fails_and_tells_how_to_measure_it() -> None:
    result = judge([Gate(metric="roc_auc", minimum=0.5)], [HOLDOUT])[0]

    assert result.verdict == "Failed"
    assert "spec.evaluation.metrics" in result.message


def test_too_few_labelled_rows_are_not_judged_but_too_few_held_out_ones_fail() -> None:
    recent = Measured(on="RecentLabelled", rows=10, metrics={"accuracy": 0.1})
    gate = Gate(metric="accuracy", on="RecentLabelled", minimum=0.9, minimum_rows=30)

    assert ["NotJudged"] == verdicts(gate, evaluation=(recent,))
    assert ["Failed"] == verdicts(Gate(metric="accuracy", minimum=0.9), evaluation=())


def test_without_a_version_in_service_there_is_nothing_to_compare_with() -> None:
    alone = Measured(on="Holdout", rows=100, metrics={"accuracy": 0.95})
    results = judge([Gate(metric="accuracy", against="Stable", maximum_regression=0.0)], [alone])

    assert results[0].verdict == "NotJudged"
    assert "Failed" not in {result.verdict for result in results}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "gate",
    [
        Gate(metric="accuracy", minimum=0.5),
        Gate(metric="accuracy", maximum=0.5),
        Gate(metric="accuracy", against="Stable", maximum_regression=0.1),
    ],
    ids=["minimum", "maximum", "against"],
)
def test_a_metric_that_is_not_defined_passes_no_gate(gate: Gate, value: float) -> None:
    undefined = Measured(on="Holdout", rows=100, metrics={"accuracy": value}, stable={"accuracy": 0.9})
    unserved = Measured(on="Holdout", rows=100, metrics={"accuracy": 0.9}, stable={"accuracy": value})

    assert ["Failed"] == verdicts(gate, evaluation=(undefined,))
    if gate.against:
        assert ["Failed"] == verdicts(gate, evaluation=(unserved,))


def test_the_same_score_is_called_as_good_and_not_a_little_better() -> None:
    same = Measured(on="Holdout", rows=100, metrics={"accuracy": 0.98}, stable={"accuracy": 0.98})
    result = judge([Gate(metric="accuracy", against="Stable", maximum_regression=0.01)], [same])[0]

    assert "0.9800, as good as the version in service (0.9800)" in result.message


def version(metrics: dict[str, float], *, asked: str = "", **spec: object) -> ModelVersion:
    """Return a version as the API server keeps it: with sorted maps."""
    return ModelVersion.model_validate(
        {
            "metadata": {"name": "v", "namespace": "shop", "annotations": {names.METRICS: asked} if asked else {}},
            "spec": {
                "modelName": "m",
                "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "0" * 64},
                "evaluation": [{"on": "Holdout", "rows": 9, "metrics": dict(sorted(metrics.items()))}],
                **spec,
            },
        }
    )


REGRESSION = {"mean_absolute_error": 51.7757, "r2": 0.3597, "rmse": 60.1}


@pytest.mark.parametrize(
    ("asked", "gates", "expected"),
    [
        ("r2,rmse", [], 0.3597),
        ("rmse,r2", [], 60.1),
        ("", [{"metric": "rmse", "maximum": 70}], 60.1),
        ("", [], 0.3597),
        ("not_measured,rmse", [], 60.1),
    ],
    ids=["r2 first", "rmse first", "the gate's", "the usual first", "one that is missing"],
)
def test_the_score_is_the_first_metric_that_was_asked_for(asked: str, gates: list[object], expected: float) -> None:
    known = version(REGRESSION, asked=asked, gates=gates)

    assert expected == score(known.spec.evaluation, metric_order(known))


def test_the_counterfactual_is_told_in_the_first_metric_too() -> None:
    recent = {
        "on": "RecentLabelled",
        "rows": 50,
        "metrics": {"accuracy": 0.9, "roc_auc": 0.8},
        "stable": {"accuracy": 0.7, "roc_auc": 0.6},
    }
    gain = counterfactual(version({}, asked="roc_auc,accuracy", evaluation=[recent]))

    assert gain is not None
    assert ("roc_auc", 0.6, 0.8) == (gain.metric, gain.before, gain.after)
