"""The domain: five kinds, their fields, rules and columns. Types, and nothing that acts."""

from tidemill.api.base import API_VERSION, GROUP, VERSION, Resource
from tidemill.api.conditions import Condition, Reason, Status
from tidemill.api.dataset import Dataset
from tidemill.api.driftmonitor import DriftMonitor
from tidemill.api.inferenceservice import InferenceService
from tidemill.api.modelversion import ModelVersion
from tidemill.api.trainingjob import TrainingJob

KINDS: tuple[
    type[Dataset] | type[TrainingJob] | type[ModelVersion] | type[InferenceService] | type[DriftMonitor], ...
] = (
    Dataset,
    TrainingJob,
    ModelVersion,
    InferenceService,
    DriftMonitor,
)
AnyResource = Dataset | TrainingJob | ModelVersion | InferenceService | DriftMonitor

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
