"""Read why no node takes a pod, from the text of the scheduler."""

from __future__ import annotations

import re
from typing import Final

from tidemill.plan.diagnosis.refusals import shortened

# The search for pods to preempt repeats the count of nodes, and helps no one.
_PREEMPTION: Final = re.compile(r"[.,;]?\s*(?:no new claims to deallocate,\s*)?preemption:.*$", re.DOTALL)
_REMEDIES: Final = (
    ("Insufficient ", "lower spec.resources.requests, free a node, or add one"),
    ("Too many pods", "delete pods, or add a node"),
    ("persistentvolumeclaim", "create or correct the PersistentVolumeClaim"),
    ("unschedulable", "uncordon the node, or add one"),
    ("taint", "remove the taint from a node, or add a node without it"),
    ("affinity", "correct the labels of the nodes or the node selector"),
)


def unschedulable(text: str) -> str:
    """Return why a pod cannot be scheduled, with the remedy.

    >>> unschedulable("0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No victims.")
    'the pod cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu; lower spec.resources.requests, free a node, or add one'
    """
    text = shortened(_PREEMPTION.sub("", text))
    remedy = next((remedy for word, remedy in _REMEDIES if word in text), "add a node that accepts it")
    return f"the pod cannot be scheduled: {text}; {remedy}"
