"""Diagnose pods: why they are not created, do not start or do not stay up, with the remedy.

The one diagnosis for everything that Tidemill runs: ingest, training, check, notify and judge Jobs, stable and candidate pods,
receivers and warm workers. It reads what the pod reports, what the controller of the pod reports where there is no pod, and
the Events of Kubernetes where neither says more.
"""

from tidemill.plan.diagnosis.controllers import (
    POD_CREATION_SECONDS,
    deployment_problem,
    job_problem,
    lacks_room,
    seconds_until_pod_is_late,
)
from tidemill.plan.diagnosis.events import queries, seconds_until_query, with_answers
from tidemill.plan.diagnosis.pods import (
    IMAGE_REASONS,
    NO_EVENTS,
    Events,
    Problem,
    failed_pods_problem,
    first_problem,
    has_started,
    memory_limit,
    memory_remedy,
    pod_problem,
    pods_problem,
)
from tidemill.plan.diagnosis.refusals import refusal
from tidemill.plan.diagnosis.scheduling import unschedulable

__all__ = [
    "IMAGE_REASONS",
    "NO_EVENTS",
    "POD_CREATION_SECONDS",
    "Events",
    "Problem",
    "deployment_problem",
    "failed_pods_problem",
    "first_problem",
    "has_started",
    "job_problem",
    "lacks_room",
    "memory_limit",
    "memory_remedy",
    "pod_problem",
    "pods_problem",
    "queries",
    "refusal",
    "seconds_until_pod_is_late",
    "seconds_until_query",
    "unschedulable",
    "with_answers",
]
