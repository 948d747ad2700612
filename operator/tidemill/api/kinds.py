"""The five kinds, for code that treats them alike."""

from __future__ import annotations

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
