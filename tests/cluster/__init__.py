"""A Kubernetes cluster for Tidemill's demo and tests, on whatever the machine has."""

from cluster.choice import NoCluster, Provider
from cluster.clusters import Cluster, down, ensure
from cluster.plane import Plane, control_plane

__all__ = ["Cluster", "NoCluster", "Plane", "Provider", "control_plane", "down", "ensure"]
