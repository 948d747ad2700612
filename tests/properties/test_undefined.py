"""A value that is not defined is not a result: no comparison with a bound takes NaN or infinity for a success."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tidemill.api.checks import KINDS, Check, fitting
from tidemill.api.inferenceservice import AnalysisMetric
from tidemill.api.modelversion import Gate, Measured, ModelVersion
from tidemill.contract.reports import CheckOutcome
from tidemill.contract.serving import Arm, Latencies
from tidemill.plan import gates
from tidemill.plan.driftmonitor.retraining.history import counterfactual, gain
from tidemill.plan.inferenceservice.analysis import ExternalVerdict, VersionComparison, judge
from tidemill.runtime.monitor.checks.judges import defined

UNDEFINED = st.sampled_from([math.nan, math.inf, -math.inf])
ANY = st.floats(allow_nan=True, allow_infinity=True)
BOUND = st.floats(-1e6, 1e6)
METRICS = ("accuracy", "r2", "rmse", "log_loss", "mean_absolute_error")
DIGEST = "sha256:" + "1" * 64


def gate(metric: str, bounds: tuple[float | None, float | None, float | None]) -> Gate:
    minimum, maximum, loss = bounds
    if loss is not None:
        return Gate.model_construct(metric=metric, against="Stable", maximum_regression=abs(loss), on="Holdout")
    return Gate.model_construct(metric=metric, minimum=minimum, maximum=maximum, on="Holdout")


@given(
    st.sampled_from(METRICS),
    st.tuples(st.none() | BOUND, st.none() | BOUND, st.none() | BOUND),
    UNDEFINED,
    ANY,
)
def test_no_gate(
    metric: str, bounds: tuple[float | None, float | None, float | None], value: float, stable: float
) -> None:
    measured = Measured.model_construct(on="Holdout", rows=100, metrics={metric: value}, stable={metric: stable})

    assert "Failed" == gates.judge((gate(metric, bounds),), (measured,))[0].verdict


@given(st.sampled_from(METRICS), ANY, UNDEFINED, st.floats(0, 1e6))
def test_no_gate_against_an_undefined_version_in_service(metric: str, value: float, stable: float, loss: float) -> None:
    measured = Measured.model_construct(on="Holdout", rows=100, metrics={metric: value}, stable={metric: stable})

    assert "Failed" == gates.judge((gate(metric, (None, None, loss)),), (measured,))[0].verdict


def undefined_arm(value: float) -> Arm:
    return Arm.model_construct(
        version="v",
        digest=DIGEST,
        requests=100,
        errors=0,
        latencies=Latencies(),
        labelled=100,
        confusion={},
        absolute_error=value,
        squared_error=abs(value),
        label_sum=value,
        label_square_sum=value,
        scores={},
    )


@given(st.sampled_from(("rmse", "mean_absolute_error", "r2")), UNDEFINED, st.booleans(), BOUND, BOUND)
def test_no_comparison_of_versions(metric: str, value: float, candidate: bool, minimum: float, loss: float) -> None:
    sound = undefined_arm(1.0)
    broken = undefined_arm(value)
    seen = VersionComparison(sound if candidate else broken, broken if candidate else sound, 100, 100)
    bounds = {"minimum": minimum} if candidate else {"maximum_regression": abs(loss)}
    asked = AnalysisMetric.model_construct(name="m", type="Labelled", metric=metric, minimum_samples=1, **bounds)

    result = judge((asked,), seen, ())[0]

    assert "Successful" != result.verdict
    assert result.value is None or math.isfinite(result.value)
    assert result.reference is None or math.isfinite(result.reference)


@given(UNDEFINED, st.none() | BOUND, st.none() | BOUND)
def test_no_external_value(value: float, minimum: float | None, maximum: float | None) -> None:
    asked = AnalysisMetric.model_construct(name="m", type="Prometheus", minimum=minimum, maximum=maximum)
    seen = VersionComparison(undefined_arm(1.0), undefined_arm(1.0), 0, 0, {"m": ExternalVerdict(value)})

    result = judge((asked,), seen, ())[0]

    assert ("Inconclusive", None) == (result.verdict, result.value)


@given(st.sampled_from(sorted(KINDS)), UNDEFINED, st.sampled_from(["Passing", "Warning", "Failing"]))
def test_no_check(type_: str, value: float, verdict: str) -> None:
    check = Check.model_validate(fitting(type_))
    outcome = CheckOutcome.model_validate({"name": check.name, "type": type_, "verdict": verdict, "value": value})

    result = defined(check, outcome)

    assert ("NoData", None) == (result.verdict, result.value)


@given(st.dictionaries(st.sampled_from(METRICS), ANY, min_size=1), st.dictionaries(st.sampled_from(METRICS), ANY))
def test_no_gain_and_no_counterfactual(after: dict[str, float], before: dict[str, float]) -> None:
    recent = Measured.model_construct(on="RecentLabelled", rows=100, metrics=after, stable=before)
    version = ModelVersion.model_validate(
        {
            "metadata": {"name": "v", "namespace": "ns", "uid": "u"},
            "spec": {"modelName": "m", "artifact": {"uri": "s3://b/m", "digest": DIGEST}},
        }
    )
    version = version.model_copy(update={"spec": version.spec.model_copy(update={"evaluation": (recent,)})})
    result = counterfactual(version)

    assert all(math.isfinite(value) for value in gain(version).values())
    assert result is None or (math.isfinite(result.before) and math.isfinite(result.after))
