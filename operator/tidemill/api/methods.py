"""The verdicts of checks and the methods that measure drift; their own module, since the command line needs them without any schema."""

from __future__ import annotations

from typing import Final, Literal

CheckVerdict = Literal["Passing", "Warning", "Failing", "NoData"]
ADVERSE_VERDICTS: Final[tuple[CheckVerdict, ...]] = ("Warning", "Failing")
"""Verdicts that ask a person to look."""
Method = Literal[
    "Auto",
    "PSI",
    "JensenShannon",
    "KullbackLeibler",
    "Hellinger",
    "TotalVariation",
    "ChiSquare",
    "CramersV",
    "KolmogorovSmirnov",
    "Wasserstein",
    "MeanShift",
    "VarianceShift",
    "Significance",
    "MMD",
    "PCA",
    "ADWIN",
    "PageHinkley",
]
