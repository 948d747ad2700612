"""The kinds that the engine watches and writes: one line for each, from which watches, paths and access rules follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidemill.api import GROUP, KINDS, VERSION

MANAGED: Final = "app.kubernetes.io/managed-by=tidemill"

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "patch")


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind, where the API server keeps it, and what the engine does with it."""

    kind: str
    group: str
    version: str
    plural: str
    verbs: tuple[str, ...]
    """The verbs that the engine needs; the access rules are made from them."""
    selector: str = ""
    """Only objects with this label are watched."""
    ours: bool = False
    """Whether objects of this kind are reconciled, not only watched."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Return the path on the API server: of all objects, of those in a namespace, or of one.

        >>> BY_KIND["Job"].path("science", "iris-0a1b2c3d-1")
        '/apis/batch/v1/namespaces/science/jobs/iris-0a1b2c3d-1'
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{where}/{self.plural}{tail}"


# A run publishes a version, and a monitor orders a run; what users write is only read. Nothing of ours is ever deleted.
_MADE: Final = frozenset({"TrainingJob", "ModelVersion"})

_OURS = tuple(
    Watched(
        kind.kind_name, GROUP, VERSION, kind.plural, (*READ, *WRITE) if kind.kind_name in _MADE else READ, ours=True
    )
    for kind in KINDS
)

WATCHED: Final = (
    *_OURS,
    Watched("Job", "batch", "v1", "jobs", (*READ, *WRITE, "delete"), MANAGED),
    Watched("Deployment", "apps", "v1", "deployments", (*READ, *WRITE, "delete"), MANAGED),
    Watched("Service", "", "v1", "services", (*READ, *WRITE, "delete"), MANAGED),
    Watched(
        "HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers", (*READ, *WRITE, "delete"), MANAGED
    ),
    Watched("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", (*READ, *WRITE, "delete"), MANAGED),
    # Pods are made by Jobs and Deployments; the engine only watches them and sets annotations on them.
    Watched("Pod", "", "v1", "pods", ("list", "watch", "patch"), MANAGED),
)

GATEWAY: Final = (
    Watched("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes", (*READ, *WRITE, "delete"), MANAGED),
)
"""Watched too if the installation enables it and the API server serves it."""

BY_KIND: Final = {watched.kind: watched for watched in (*WATCHED, *GATEWAY)}
OURS: Final = tuple(watched.kind for watched in WATCHED if watched.ours)


def resource_of(kind: str) -> Watched:
    """Return the row of `kind`; raises LookupError with the remedy for a kind that is not declared."""
    try:
        return BY_KIND[kind]
    except KeyError:
        raise LookupError(f"kind {kind} is not declared: add a line to WATCHED in {__name__}") from None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One access rule (RBAC) that the engine uses."""

    group: str
    resource: str
    verbs: tuple[str, ...]


def access_rules() -> tuple[PolicyRule, ...]:
    """Return every rule that the engine needs where it watches."""
    objects = tuple(PolicyRule(watched.group, watched.plural, watched.verbs) for watched in WATCHED)
    statuses = tuple(
        PolicyRule(watched.group, f"{watched.plural}/status", ("patch",)) for watched in WATCHED if watched.ours
    )
    # Events are recorded by the newer interface, and read by the older one, which selects them by object.
    return (
        *objects,
        *statuses,
        PolicyRule("events.k8s.io", "events", ("create",)),
        PolicyRule("", "events", ("list",)),
    )


def gateway_rules() -> tuple[PolicyRule, ...]:
    """Return the additional rules for HTTPRoutes."""
    return tuple(PolicyRule(watched.group, watched.plural, watched.verbs) for watched in GATEWAY)


def leader_rules() -> tuple[PolicyRule, ...]:
    """Return the additional rules for leader election, in the operator's own namespace."""
    return (PolicyRule("coordination.k8s.io", "leases", ("get", "create", "update")),)
