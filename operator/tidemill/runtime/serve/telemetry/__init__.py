"""Telemetry of a serving pod: metrics, load, label lag and CloudEvents."""
