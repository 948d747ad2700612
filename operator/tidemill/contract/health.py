"""The health score of a service: one number whose parts are explained, from the checks of its monitor and its replicas.

    part             weight   made of
    Drift            0.25     FeatureDrift (whose value is weighted by importance), PredictionDrift and their like
    Performance      0.35     Performance; EstimatedPerformance, and External checks
    Fairness         0.15     Fairness
    Freshness        0.10     Timeliness, DataQuality, and whether the window had rows at all
    Infrastructure   0.15     replicas that are ready, and whether the check itself ran

A part without data is left out, and the others' weights grow in proportion. A service is never much better
than the worst of its parts: the mean of four perfect parts and a useless model is not a good service. Nor is one good
while a check fails.

Both sides of the pod boundary score alike: a check run for its report, and the operator, who knows the replicas too, for
the monitor's status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from tidemill.api.checks import KINDS
from tidemill.api.monitorstatus import CheckStatus, Health, HealthPart, WindowRun
from tidemill.contract.numbers import number, quantity

Part = Literal["Drift", "Performance", "Fairness", "Freshness", "Infrastructure"]

WEIGHTS: Final[dict[Part, float]] = {
    "Drift": 0.25,
    "Performance": 0.35,
    "Fairness": 0.15,
    "Freshness": 0.10,
    "Infrastructure": 0.15,
}
ABOVE_THE_WORST: Final = 40
GOOD: Final = 80
WARNING: Final = 50
_OF_VERDICT: Final = {"Passing": 100, "Warning": 60, "Failing": 20}


def of_drift(check: CheckStatus) -> int:
    """100 where nothing moved, 50 at the bound, 0 from twice the bound on.

    >>> of_drift(CheckStatus(name="inputs", type="FeatureDrift", verdict="Failing", value=0.3, threshold=0.2))
    25
    >>> of_drift(CheckStatus(name="domain", type="DomainClassifier", verdict="Passing", value=0.5, threshold=0.75))
    100
    """
    rest = KINDS[check.type].at_rest
    if check.value is None or check.threshold is None or check.threshold <= rest:
        return _OF_VERDICT[check.verdict]
    ratio = max(check.value - rest, 0.0) / (check.threshold - rest)
    return round(100 * (1 - min(ratio, 2.0) / 2))


def health(
    checks: Sequence[CheckStatus], run: WindowRun | None, *, wanted: int = 0, ready: int = 0, trouble: str = ""
) -> Health | None:
    """Return the score of a service with `ready` of `wanted` replicas, whose newest window is `run`; None where nothing is known.

    `trouble` is why the newest check run failed, where it did.

    >>> good = CheckStatus(name="inputs", type="FeatureDrift", verdict="Passing", value=0.0, threshold=0.2)
    >>> bad = CheckStatus(name="quality", type="Performance", verdict="Failing")
    >>> health([good], None, wanted=2, ready=2).score
    100
    >>> found = health([good, bad], None, wanted=2, ready=2)
    >>> found.score, found.grade, [part.name for part in found.parts]
    (60, 'Warning', ['Drift', 'Performance', 'Infrastructure'])
    >>> health([], None) is None
    True
    >>> health([], None, wanted=2, ready=2).grade, health([], None, wanted=2, ready=0).grade
    ('Unknown', 'Critical')
    """
    known = [check for check in checks if check.verdict != "NoData"]
    if not known and not trouble and ready >= wanted:
        # The model is not judged: few requests are not a fault, and ready pods alone are not health.
        pods = (_infrastructure(wanted, ready, trouble).model_copy(update={"weight": 1.0}),) if wanted else ()
        return Health(grade="Unknown", parts=pods) if run is not None or wanted else None
    parts = [part for name in WEIGHTS if (part := _of_checks(name, known)) is not None]
    if known and run is not None and run.verdict == "NoData":
        parts = [part for part in parts if part.name != "Freshness"]
        parts.append(_part("Freshness", 20, f"{quantity(run.samples, 'row')} in the newest window: too few to judge"))
    if wanted or trouble:
        parts.append(_infrastructure(wanted, ready, trouble))
    if not parts:
        return None
    total = sum(part.weight for part in parts)
    parts = sorted(
        (part.model_copy(update={"weight": round(part.weight / total, 3)}) for part in parts),
        key=lambda part: list(WEIGHTS).index(part.name),
    )
    mean = sum(part.score * part.weight for part in parts)
    score = min(round(mean), min(part.score for part in parts) + ABOVE_THE_WORST, 100)
    if any(check.verdict == "Failing" for check in known):
        score = min(score, GOOD - 1)
    grade: Literal["Good", "Warning", "Critical"] = (
        "Good" if score >= GOOD else "Warning" if score >= WARNING else "Critical"
    )
    return Health(score=score, grade=grade, parts=tuple(parts))


def _of_checks(name: Part, known: Sequence[CheckStatus]) -> HealthPart | None:
    """The mean over the checks of a part."""
    own = [check for check in known if KINDS[check.type].health == name]
    if not own:
        return None
    scores = [of_drift(check) if name == "Drift" else _OF_VERDICT[check.verdict] for check in own]
    return _part(name, round(sum(scores) / len(scores)), ", ".join(map(_say, own)))


def _say(check: CheckStatus) -> str:
    if check.value is None or check.threshold is None:
        return f"{check.name} is {check.verdict}"
    return f"{check.name} is {check.verdict} ({number(check.value)}, bound {number(check.threshold)})"


def _infrastructure(wanted: int, ready: int, trouble: str) -> HealthPart:
    score = round(100 * min(ready / wanted, 1.0)) if wanted else 100
    message = (
        f"{ready} of {quantity(wanted, 'replica is', 'replicas are')} ready" if wanted else "no replicas are known"
    )
    if trouble:
        score, message = min(score, 50), f"{message}; the newest check failed: {trouble}"
    return _part("Infrastructure", score, message)


def _part(name: Part, score: int, message: str) -> HealthPart:
    return HealthPart(name=name, score=score, weight=WEIGHTS[name], message=message[:512])
