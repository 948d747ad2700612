"""How often one column is called moved: where nothing moved (the level, at most 5 % Warning and 1 % Failing), and where it did (the power).

    python tests/benchmarks/drift/level.py [--trials 300] [--seconds 120]

Each trial draws a reference and a window from the same source, or the window from one that moved, and judges the column by method
Auto with the default limits 0.1 and 0.2. Rates have Wilson intervals of 95 %. Exits 1 where a lower end of the level is above what
is allowed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from tidemill.runtime.monitor.statistics.comparison import compare, distance
from tidemill.runtime.profile import ProfiledColumn, profile_table

Draw = Callable[[np.random.Generator, int], Any]
MAX_WARNING, MAX_FAILING = 0.05, 0.01
REFERENCE = 5_000


def zipf(exponent: float, categories: int, *, new: float = 0.0) -> Draw:
    """Return a source of categories with a tail, of which a share of `new` rows has categories that nothing else has."""
    weights = 1 / np.arange(1, categories + 1) ** exponent
    weights /= weights.sum()

    def draw(rng: np.random.Generator, rows: int) -> Any:
        codes = rng.choice(categories, rows, p=weights)
        return np.char.add("s", np.where(rng.random(rows) < new, categories + codes % 50, codes).astype(str))

    return draw


def shares(*weights: float) -> Draw:
    """Return a source of few categories."""
    return lambda rng, rows: np.char.add("c", rng.choice(len(weights), rows, p=weights).astype(str))


def mostly_zero(share: float, by: float = 0.0) -> Draw:
    """Return a source of zeros and a few amounts."""
    return lambda rng, rows: np.where(rng.random(rows) < share, 0.0, rng.exponential(1, rows) + by)


LEVEL: dict[str, Draw] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "Poisson(0.3)": lambda rng, rows: rng.poisson(0.3, rows).astype(float),
    "99 % zeros": mostly_zero(0.99),
    "95 / 4 / 1 %": shares(0.95, 0.04, 0.01),
    **{
        f"Zipf {exponent}, {categories:,}": zipf(exponent, categories)
        for exponent in (1.2, 1.5)
        for categories in (20, 200, 800, 10_000)
    },
}
POWER: dict[str, tuple[Draw, Draw]] = {
    "normal, 0.5 std up": (LEVEL["normal"], lambda rng, rows: rng.normal(0.5, 1, rows)),
    "normal, twice as wide": (LEVEL["normal"], lambda rng, rows: rng.normal(0, 2, rows)),
    "Poisson 0.3 to 0.6": (LEVEL["Poisson(0.3)"], lambda rng, rows: rng.poisson(0.6, rows).astype(float)),
    "99 % to 80 % zeros": (LEVEL["99 % zeros"], mostly_zero(0.8)),
    "95 / 4 / 1 to 75 / 20 / 5 %": (LEVEL["95 / 4 / 1 %"], shares(0.75, 0.2, 0.05)),
    "Zipf 1.2, 800, 20 % new": (LEVEL["Zipf 1.2, 800"], zipf(1.2, 800, new=0.2)),
    "Zipf 1.5, 200, 20 % new": (LEVEL["Zipf 1.5, 200"], zipf(1.5, 200, new=0.2)),
    "Zipf 1.5 to 1.2, 800": (LEVEL["Zipf 1.5, 800"], LEVEL["Zipf 1.2, 800"]),
}
WINDOWS = (2, 10, 30, 100, 500, 1_000, 3_000, 10_000, 100_000)


def verdicts(before: Draw, now: Draw, rows: int, trials: int, seed: int) -> tuple[int, int]:
    """Return in how many trials the column's distance reached 0.1, and in how many 0.2."""
    rng = np.random.default_rng(seed)
    warnings = failures = 0
    for _ in range(trials):
        reference_rows, window_rows = before(rng, REFERENCE), now(rng, rows)
        numerical = reference_rows.dtype.kind == "f"
        columns = [ProfiledColumn("x", "Numerical" if numerical else "Categorical")]
        sides = [pa.table({"x": pa.array(side.tolist())}) for side in (reference_rows, window_rows)]
        reference = profile_table(sides[0], columns)
        (comparison,) = compare(reference, profile_table(sides[1], columns, reference))
        moved = distance(comparison, "Auto") or 0.0
        warnings += moved >= 0.1
        failures += moved >= 0.2
    return warnings, failures


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the Wilson interval of 95 % of a rate.

    >>> [round(end, 3) for end in wilson(5, 100)]
    [0.022, 0.112]
    """
    z, rate = 1.96, hits / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def _report(name: str, window: str, warnings: int, failures: int, done: int, *, level: bool) -> bool:
    """Print a line; whether its lower ends are above what is allowed where nothing moved."""
    ends = wilson(warnings, done), wilson(failures, done)
    over = level and (ends[0][0] > MAX_WARNING or ends[1][0] > MAX_FAILING)
    print(
        f"  {name:28} {window:>12}  {warnings / done:6.3f} ({ends[0][0]:.3f} to {ends[0][1]:.3f})"
        f"  {failures / done:6.3f} ({ends[1][0]:.3f} to {ends[1][1]:.3f})  of {done}{'  ABOVE' if over else ''}",
        flush=True,
    )
    return over


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=150.0)
    wanted = parser.parse_args()
    cells = len(WINDOWS) * (len(LEVEL) + len(POWER))
    allowance = wanted.seconds / cells
    exceeded = 0
    for title, sources in (
        ("nothing moved", {name: (draw, draw) for name, draw in LEVEL.items()}),
        ("moved", POWER),
    ):
        print(
            f"{title}: share of windows called Warning or worse / Failing (95 % interval), reference of {REFERENCE:,} rows"
        )
        for name, (before, now) in sources.items():
            total = [0, 0, 0]
            for seed, rows in enumerate(WINDOWS):
                start, done, warnings, failures = time.monotonic(), 0, 0, 0
                while done < wanted.trials and (not done or time.monotonic() - start < allowance):
                    more = verdicts(before, now, rows, 10, seed * 10_000 + done)
                    done, warnings, failures = done + 10, warnings + more[0], failures + more[1]
                total = [sum(pair) for pair in zip(total, (warnings, failures, done), strict=True)]
                exceeded += _report(name, f"{rows:,} rows", warnings, failures, done, level=title == "nothing moved")
            exceeded += _report(name, "all windows", *total, level=title == "nothing moved")
    print(f"{exceeded} rates are above what is allowed ({MAX_WARNING:.0%} Warning or worse, {MAX_FAILING:.0%} Failing)")
    return int(exceeded > 0)


if __name__ == "__main__":
    sys.exit(main())
