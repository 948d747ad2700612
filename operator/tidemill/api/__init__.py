"""The domain: five kinds with their fields, rules and printer columns. Types only, no actions.

A name is imported from its module on first access: a serving pod needs `api.base` and none of the kinds, and building their
schemas would double its start-up time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.api.base import API_VERSION, GROUP, VERSION, Resource
    from tidemill.api.conditions import Condition, Reason, Status
    from tidemill.api.dataset import Dataset
    from tidemill.api.driftmonitor import DriftMonitor
    from tidemill.api.inferenceservice import InferenceService
    from tidemill.api.kinds import KINDS, AnyResource
    from tidemill.api.modelversion import ModelVersion
    from tidemill.api.trainingjob import TrainingJob
else:

    def __getattr__(name):
        import importlib

        modules = {
            "base": ("API_VERSION", "GROUP", "VERSION", "Resource"),
            "conditions": ("Condition", "Reason", "Status"),
            "dataset": ("Dataset",),
            "driftmonitor": ("DriftMonitor",),
            "inferenceservice": ("InferenceService",),
            "kinds": ("KINDS", "AnyResource"),
            "modelversion": ("ModelVersion",),
            "trainingjob": ("TrainingJob",),
        }
        for module, names in modules.items():
            if name in names:
                value = getattr(importlib.import_module(f"tidemill.api.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "VERSION",
    "AnyResource",
    "Condition",
    "Dataset",
    "DriftMonitor",
    "InferenceService",
    "ModelVersion",
    "Reason",
    "Resource",
    "Status",
    "TrainingJob",
]
