"""What living objects use in the object store: the operator's answer to the store's sweeper, which may not ask Kubernetes."""

from __future__ import annotations

from typing import Final, Literal

from tidemill.api.base import WireModel

REFERENCES_ROUTE: Final = "/references"
"""Where the operator is asked, on the port of its metrics; 503 while its view of the cluster is not complete."""


class References(WireModel):
    """Everything in the object store that an object of the cluster stands for or mentions."""

    format: Literal["tidemill.dev/references/v1"]
    """Required, so that an answer of another kind never reads as one that nothing is used."""
    namespaces: tuple[str, ...]
    """Namespaces with at least one object."""
    logs: tuple[str, ...]
    """Prediction logs as `namespace/name`, of services that exist or that a Dataset or a monitor reads."""
    monitors: tuple[str, ...]
    """DriftMonitors as `namespace/name`."""
    folders: tuple[str, ...]
    """Published folders that an object names by its URI, as `namespace/datasets/name/digest` or `namespace/models/name/version`."""
    digests: tuple[str, ...]
    """Digests that an object mentions, in hexadecimal digits; a Dataset's revision is named by its digest."""
