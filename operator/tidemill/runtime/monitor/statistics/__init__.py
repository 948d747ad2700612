"""The statistics behind the checks: distances, tests and estimators, without thresholds."""
