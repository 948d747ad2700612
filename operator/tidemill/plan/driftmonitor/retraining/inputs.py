"""Everything that the decision about a retraining rests on, gathered once in each visit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.monitorstatus import CheckStatus, Reference, RetrainingOutcome, WindowRun
from tidemill.api.retraining import Retraining
from tidemill.children import names


@dataclass(frozen=True, slots=True)
class RetrainingInput:
    """The facts that triggers and guards read."""

    monitor: DriftMonitor
    policy: Retraining
    reference: Reference
    service: InferenceService
    version: ModelVersion
    """The version in service."""
    template: TrainingJob | None
    dataset: Dataset | None
    """The template's Dataset."""
    last_run: WindowRun | None
    checks: tuple[CheckStatus, ...]
    history: tuple[RetrainingOutcome, ...]
    newest_version: str
    """The newest version that may be served; if it is not the stable one, it is about to be rolled out."""
    elsewhere: RetrainingOutcome | None
    """The retraining that another monitor of the same model ordered and that is not over."""
    yields_to: str
    """Another monitor of the same service that is about to order a retraining and goes first; empty where there is none."""
    now: datetime

    def name(self, trigger: str) -> str:
        """Return the name of the TrainingJob that answers a trigger."""
        return names.retraining(self.monitor.name, self.monitor.metadata.uid, trigger, self.reference.digest)
