"""Scorers of predictions, and verdicts on scores."""
