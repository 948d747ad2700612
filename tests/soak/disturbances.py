"""What happens to the cluster while versions come and go."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from support import installation
from support.api import Api, Manifest, Refused
from support.environment import Environment
from support.waiting import until
from tidemill.children import names

STORE = f"{installation.RELEASE}-store"


class Disturbance(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    POD_DELETED = "a stable pod deleted"
    DRAIN = "the service's pods evicted, as a drain of the node does"
    STORE_OUTAGE = "the store gone"
    OPERATOR_GONE = "the operator's pod deleted"


@dataclass(frozen=True, slots=True)
class Disturber:
    """Does it, and repairs what does not recover by itself."""

    environment: Environment
    namespace: str

    def begin(self, what: Disturbance) -> Callable[[], None]:
        """Do it; the answer ends it."""
        match what:
            case Disturbance.POD_DELETED:
                self.api.delete("Pod", self.namespace, self._stable()[0]["metadata"]["name"])
            case Disturbance.DRAIN:
                self._drain()
            case Disturbance.STORE_OUTAGE:
                self._scale_store(0)
                return lambda: self._scale_store(1)
            case Disturbance.OPERATOR_GONE:
                self.api.delete("Pod", installation.NAMESPACE, self.environment.operator_pod())
            case _:
                pass
        return lambda: None

    @property
    def api(self) -> Api:
        return self.environment.api

    def _stable(self) -> list[Manifest]:
        """The stable pods that are not leaving."""
        manifest = self.api.all("Pod", self.namespace, f"{names.ROLE}=stable")
        pods = [pod for pod in manifest if not pod["metadata"].get("deletionTimestamp")]
        assert pods, "a service has stable pods"
        return pods

    def _drain(self) -> None:
        """Evict one pod after the other, again and again where its disruption budget says that it is too early."""
        for pod in self._stable():
            name = pod["metadata"]["name"]
            until(f"the eviction of {name}", lambda name=name: self._evicted(name), seconds=60)

    def _evicted(self, name: str) -> bool:
        try:
            self.api.evict(self.namespace, name)
        except Refused as refusal:
            if "429" not in str(refusal):
                raise
            return False
        return True

    def _scale_store(self, replicas: int) -> None:
        self.api.patch("Deployment", installation.NAMESPACE, STORE, {"spec": {"replicas": replicas}})

        def settled() -> bool:
            manifest = self.api.get("Deployment", installation.NAMESPACE, STORE)
            assert manifest is not None, "the chart made it"
            return manifest["status"].get("readyReplicas", 0) == replicas

        until(f"{replicas} pods of the store", settled, seconds=60)
