"""The environment of tests on real pods: one cluster, one installation, a namespace per subject."""

from dataclasses import dataclass

from cluster import Cluster
from support import installation
from support.api import Api
from support.installation import Images
from support.waiting import until

LOOP = "tidemill-loop"
CRASH = "tidemill-crash"
BAD = "tidemill-bad"
CANDIDATES = "tidemill-candidates"
ROLLOUTS = "tidemill-rollouts"
SAMPLES = "tidemill-samples"
RECEIVER = "tidemill-receiver"
SOAK = "tidemill-soak"
WARM = "tidemill-warm"
CHANGED = "tidemill-changed"
SURROUNDINGS = "tidemill-surroundings"
FEATURES = "tidemill-features"
LABELS = "tidemill-labels"
SHARED = "tidemill-shared"
"""The one with two services of one model."""
UPLOADS = "tidemill-uploads"
UNSTORED = "tidemill-unstored"
"""The one without store credentials."""
REAPER = "tidemill-reaper"
"""The one whose pods may see the node's processes."""
STORED = (
    LOOP,
    CRASH,
    BAD,
    CANDIDATES,
    RECEIVER,
    ROLLOUTS,
    SAMPLES,
    SOAK,
    WARM,
    CHANGED,
    SURROUNDINGS,
    SHARED,
    LABELS,
    FEATURES,
    UPLOADS,
)
OPERATOR = "app.kubernetes.io/name=tidemill,app.kubernetes.io/component=controller"


@dataclass(frozen=True, slots=True)
class Environment:
    """A cluster with Tidemill in it."""

    cluster: Cluster
    api: Api
    images: Images

    def operator_pod(self) -> str:
        """The operator's pod that runs now."""

        def running() -> str | None:
            pods = self.api.all("Pod", installation.NAMESPACE, OPERATOR)
            alive = [
                pod
                for pod in pods
                if not pod["metadata"].get("deletionTimestamp") and pod["status"].get("phase") == "Running"
            ]
            return str(alive[0]["metadata"]["name"]) if alive else None

        return until("the operator running", running, seconds=60)

    def end_pods(self, namespace: str) -> None:
        """Delete the kinds that keep pods or start them again and again."""
        for kind in ("DriftMonitor", "InferenceService"):
            for manifest in self.api.all(kind, namespace):
                self.api.delete(kind, namespace, manifest["metadata"]["name"])

    def operator_log(self, lines: int = 60) -> str:
        return "\n".join(self.api.log(installation.NAMESPACE, self.operator_pod()).splitlines()[-lines:])


def prepare(cluster: Cluster, api: Api) -> Environment:
    """Build and install what this checkout holds, in namespaces that hold nothing yet."""
    images = installation.build_images(cluster)
    # With the release goes its store, and with that the rows that an earlier run put there.
    installation.uninstall(cluster)
    installation.remove_namespaces(api, installation.leftovers(api, *STORED, UNSTORED, REAPER))
    installation.make_namespaces(api, [installation.NAMESPACE, *STORED, UNSTORED])
    installation.make_namespaces(api, [REAPER], labels={"pod-security.kubernetes.io/enforce": "privileged"})
    installation.install(cluster, images, STORED)
    return Environment(cluster, api, images)
