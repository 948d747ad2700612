"""What a check run needs, imported once by the process that every run of a warm worker is forked from.

Nothing is computed or opened here: threads and connections do not survive a fork, imported modules do.
"""

# ruff: noqa: F401  to be imported is all that these are here for

from __future__ import annotations

import gc

import river.drift
import scipy.optimize
import scipy.special
import sklearn.ensemble
import sklearn.metrics
import sklearn.model_selection
import threadpoolctl

import tidemill.runtime.monitor.job
import tidemill.runtime.worker.run
import tidemill.runtime.worker.runs

# What is there now stays for good: a collection in a forked run would only copy its pages.
gc.collect()
gc.freeze()
