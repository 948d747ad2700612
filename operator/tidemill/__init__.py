"""Tidemill runs the whole life of a machine-learning model as five Kubernetes resources and closes the loop by itself."""

__version__ = "0.1.0"
