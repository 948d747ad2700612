"""The table of all commands; it imports none of them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Entry(NamedTuple):
    """One command: the module that holds it, its help in one line, the heading it is listed under, and its exit codes."""

    module: str
    help: str
    panel: str
    exit_codes: str = ""
    """As the command's own help ends with them; empty where its description names them."""


LOCAL: Final = "On this machine"
CLUSTER: Final = "In a cluster, also as kubectl tidemill"
DEVELOPMENT: Final = "In the repository"
PODS: Final = ""
"""The heading of commands that pods run; they are not listed."""

_REQUEST: Final = "0 the request is written; 1 kubectl refused it, or it would have no effect; 2 wrong usage."
_TABLE: Final = "0 the profile is written; 2 wrong usage or unusable input."
_GENERATE: Final = "0 success; 1 with --check, a file differs; 2 wrong usage, or helm failed."
_OPERATOR: Final = (
    "0 stopped on request; 1 ended by a fault, to be started again; 2 wrong usage, or no way to a cluster."
)

COMMANDS: Final = {
    "drift": Entry("tidemill.cli.drift", "Compare two tables or profiles.", LOCAL),
    "profile": Entry("tidemill.cli.profile", "Write the profile of a table.", LOCAL, _TABLE),
    "serve": Entry("tidemill.cli.serve", "Serve a model by the Open Inference Protocol.", LOCAL),
    "promote": Entry(
        "tidemill.cli.rollout", "Promote a candidate to its next stage, or to all requests.", CLUSTER, _REQUEST
    ),
    "abort": Entry("tidemill.cli.rollout", "Roll a candidate back.", CLUSTER, _REQUEST),
    "pause": Entry("tidemill.cli.rollout", "Hold a candidate at its current share.", CLUSTER, _REQUEST),
    "resume": Entry("tidemill.cli.rollout", "Continue a paused rollout.", CLUSTER, _REQUEST),
    "retry": Entry("tidemill.cli.rollout", "Try a version again that a service rolled back.", CLUSTER, _REQUEST),
    "quarantine": Entry(
        "tidemill.cli.quarantine", "Exclude a ModelVersion from all services, with a reason.", CLUSTER, _REQUEST
    ),
    "lift": Entry("tidemill.cli.quarantine", "Lift the quarantine of a ModelVersion.", CLUSTER, _REQUEST),
    "check": Entry("tidemill.cli.monitor", "Check the window of a DriftMonitor that ends now.", CLUSTER, _REQUEST),
    "retrain": Entry("tidemill.cli.monitor", "Request a retraining of a DriftMonitor.", CLUSTER, _REQUEST),
    "reset": Entry("tidemill.cli.monitor", "Close the circuit breaker of a DriftMonitor.", CLUSTER, _REQUEST),
    "refresh": Entry("tidemill.cli.dataset", "Read the source of a Dataset now.", CLUSTER, _REQUEST),
    "upload": Entry(
        "tidemill.cli.upload.command",
        "Put a file into the object store, as the source of a Dataset.",
        CLUSTER,
        "0 the file is in the store; 1 it is not, or kubectl refused the request; 2 wrong usage, or an unusable file.",
    ),
    "generate": Entry(
        "tidemill.cli.generate.command",
        "Write CRDs, chart copies, manifests and the reference.",
        DEVELOPMENT,
        _GENERATE,
    ),
    "controller": Entry("tidemill.cli.pods.controller", "Run the operator.", PODS, _OPERATOR),
    "run": Entry("tidemill.cli.pods.run", "Execute the order of a workload pod.", PODS),
    "work": Entry("tidemill.cli.pods.work", "Run the warm worker of a DriftMonitor.", PODS),
    "sweep": Entry("tidemill.cli.pods.sweep", "Run the sweeper of the object store.", PODS),
    "take": Entry("tidemill.cli.pods.take", "Take the file of an upload, in parts.", PODS),
    "receive": Entry(
        "tidemill.cli.pods.receive", "Run the webhook receiver for a DriftMonitor's External checks.", PODS
    ),
}
EPILOG: Final = (
    "Exit codes: 0 success; 1 refused or failed; 2 wrong usage or unusable input; others are listed by the command's "
    "own --help."
)
