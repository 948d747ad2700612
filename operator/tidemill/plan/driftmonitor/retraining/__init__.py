"""Decide whether a DriftMonitor orders a retraining: triggers ask for it, guards hold it back."""
