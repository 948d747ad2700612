"""The check types of a DriftMonitor."""
