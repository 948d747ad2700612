"""Two profiles side by side: every statistic of every column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from tidemill.api.methods import Method
from tidemill.runtime.monitor.statistics import ordered, shares, significance
from tidemill.runtime.monitor.statistics.grouping import groups
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.profile import ColumnProfile, Profile
from tidemill.runtime.scoring.verdicts import finite

_ON_GROUPS: Final[Mapping[str, Callable[[Integers, Integers], float]]] = MappingProxyType(
    {
        "PSI": shares.psi,
        "JensenShannon": shares.jensen_shannon,
        "KullbackLeibler": shares.kullback_leibler,
        "Hellinger": shares.hellinger,
        "TotalVariation": shares.total_variation,
        "CramersV": shares.cramers_v,
    }
)
NUMERICAL_ONLY: Final = ("KolmogorovSmirnov", "Wasserstein")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column, before and after."""

    reference: ColumnProfile
    current: ColumnProfile
    statistics: Mapping[str, float] = field(default_factory=dict)
    """By name; empty where either side has no values to compare."""

    @property
    def name(self) -> str:
        return self.reference.name

    @property
    def comparable(self) -> bool:
        """Return whether both sides have values; a column without any says nothing about drift."""
        return self.reference.present > 0 and self.current.present > 0


def compare(reference: Profile, current: Profile) -> tuple[Comparison, ...]:
    """Every column of `reference` against the same column of `current`, which was counted on the same bins."""
    by_name = {column.name: column for column in current.columns}
    return adjusted(
        [compare_columns(column, by_name[column.name]) for column in reference.columns if column.name in by_name]
    )


def adjusted(columns: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The columns with their p-values adjusted for how many are looked at."""
    p_values = [column.statistics["PValue"] for column in columns if column.comparable]
    left = iter(significance.benjamini_hochberg(p_values).tolist())
    return tuple(
        replace(column, statistics=MappingProxyType({**column.statistics, "AdjustedPValue": next(left)}))
        if column.comparable
        else column
        for column in columns
    )


def compare_columns(reference: ColumnProfile, current: ColumnProfile) -> Comparison:
    """All statistics of one column; raises ValueError where the sides were counted on different bins."""
    if not reference.same_bins(current):
        raise ValueError(f"column {reference.name!r} was counted on other bins; count it on the reference's")
    missing = {
        "MissingShare": missing_share(current),
        "MissingShareShift": missing_share(current) - missing_share(reference),
    }
    if not (reference.present and current.present):
        return Comparison(reference, current, MappingProxyType(missing))
    before, now = groups(reference, current)
    statistics = {name: distance(before, now) for name, distance in _ON_GROUPS.items()}
    test = shares.chi_square(before, now)
    statistics |= {
        "PSIByChance": test.degrees * (1 / reference.present + 1 / current.present),
        "ChiSquare": test.statistic,
        "ChiSquarePValue": test.p_value,
    }
    if isinstance(reference, NumericalProfile):
        assert isinstance(current, NumericalProfile)
        statistics |= _of_numbers(reference, current)
        # The one sees shifts, the other changes of shape.
        statistics["PValue"] = significance.either(
            statistics["KolmogorovSmirnovPValue"], shares.small_sample_p_value(before, now)
        )
    else:
        assert not isinstance(current, NumericalProfile)
        statistics["PValue"] = shares.small_sample_p_value(before, now)
        changes = shares.category_changes(
            reference.categories,
            reference.counts,
            current.counts,
            others=(reference.others, current.others),
            expected=reference.expected_others,
        )
        statistics |= {
            "NewCategoryShare": changes.new_share,
            "LostCategoryShare": changes.lost_share,
            "LostCategories": float(len(changes.lost)),
        }
    return Comparison(reference, current, MappingProxyType(statistics | missing))


def distance(comparison: Comparison, method: Method) -> float | None:
    """Return how far the column has moved by `method`, larger being farther; None where the method does not apply.

    Auto is the stability index less what chance alone makes of it on average, or 4 KS² less that where it is larger. Where
    either side is small it is nothing unless significant at 5 %, and worth a warning at most unless significant at 1 %.
    ChiSquare is told as the statistic per row (Pearson's φ²), Wasserstein and MeanShift in units of the reference's
    standard deviation, VarianceShift as the logarithm of the variances' ratio, and Significance as one less the
    adjusted p-value, so that one threshold serves all columns and sizes of samples. Orders of categories mean nothing: on
    them KolmogorovSmirnov and Wasserstein are the total variation. What has moved without bound, as the variance of a column
    that became constant has, is told as a number beyond all thresholds: statuses and metrics know no infinity.
    """
    if not comparison.comparable:
        return None
    value = _distance(comparison, method)
    return None if value is None else finite(value)


def _distance(comparison: Comparison, method: Method) -> float | None:
    statistics = comparison.statistics
    match method:
        case "Auto":
            return _auto(comparison)
        case "Significance":
            return 1.0 - statistics["AdjustedPValue"]
        case "MeanShift":
            return abs(statistics["MeanShift"]) if "MeanShift" in statistics else None
        case "VarianceShift":
            return statistics.get("VarianceShift")
        case "MMD" | "PCA" | "ADWIN" | "PageHinkley":
            return None
        case "ChiSquare":
            return statistics["CramersV"] ** 2
        case "Wasserstein":
            return statistics.get("WassersteinNormalised", statistics["TotalVariation"])
        case "KolmogorovSmirnov":
            return statistics.get("KolmogorovSmirnov", statistics["TotalVariation"])
        case _:
            return statistics[method]


def _auto(comparison: Comparison) -> float:
    """The stability index less what chance makes of it, and no less than the distance of the distribution functions warrants."""
    statistics = comparison.statistics
    rows = comparison.reference.present, comparison.current.present
    moved = statistics["PSI"] - statistics["PSIByChance"]
    if "KolmogorovSmirnov" in statistics:
        # Cut where the functions are farthest apart, two groups alone have a stability index of 4 KS² or more (Pinsker);
        # chance makes KS² ¾ (1/n + 1/m) on average.
        moved = max(moved, 4 * statistics["KolmogorovSmirnov"] ** 2 - 3 * (1 / rows[0] + 1 / rows[1]))
    if min(rows) <= significance.SMALL:
        p_value = statistics.get("AdjustedPValue", 0.0)
        if p_value > significance.LEVEL:
            return 0.0
        if p_value > significance.STRICT_LEVEL:
            moved = min(moved, significance.DOUBTFUL)
    return max(0.0, moved)


def _of_numbers(reference: NumericalProfile, current: NumericalProfile) -> dict[str, float]:
    before, now = reference.bins(), current.bins()
    smirnov = ordered.kolmogorov_smirnov(before, now)
    transport = ordered.wasserstein(before, now)
    unit = ordered.scale(before)
    std, std_now = ordered.standard_deviation(before), ordered.standard_deviation(now)
    mean, mean_now = ordered.mean(before), ordered.mean(now)
    return {
        "KolmogorovSmirnov": smirnov.value,
        "KolmogorovSmirnovUpper": smirnov.upper,
        "KolmogorovSmirnovPValue": ordered.kolmogorov_smirnov_tail(smirnov.value, reference.present, current.present),
        "Wasserstein": transport.value,
        "WassersteinLower": transport.lower,
        "WassersteinUpper": transport.upper,
        "WassersteinNormalised": transport.value / unit,
        "Mean": mean_now + now.offset,
        "MeanShift": (mean_now - mean) / unit,
        "SpreadRatio": std_now / std if std else float(np.inf if std_now else 1.0),
        "VarianceShift": _log_ratio(std, std_now),
        "OutOfRangeShare": out_of_range_share(reference, current),
    }


def _log_ratio(std: float, std_now: float) -> float:
    """Return how far the variance has moved, up or down; a column that was or became constant has moved without bound."""
    if std == std_now:
        return 0.0
    return 2 * abs(math.log(std_now) - math.log(std)) if std and std_now else math.inf


def missing_share(column: ColumnProfile) -> float:
    """Share of rows without a usable value: missing, infinite, or of the wrong type."""
    return 1.0 - column.present / column.rows if column.rows else 0.0


def unknown_share(reference: CategoricalProfile, current: CategoricalProfile) -> float:
    """Return the share of present values whose category the reference does not have, less what is to be expected of rare ones."""
    return shares.new_share(reference.expected_others, (current.others, current.present))


def out_of_range_share(reference: NumericalProfile, current: NumericalProfile) -> float:
    """Share of numbers outside the bins that hold the reference's smallest and largest values; infinities are outside."""
    held = current.present + current.infinities
    occupied = np.flatnonzero(reference.counts)
    if not held or not len(occupied):
        return 0.0
    outside = current.counts[: occupied[0]].sum() + current.counts[occupied[-1] + 1 :].sum()
    return float(outside + current.infinities) / held
