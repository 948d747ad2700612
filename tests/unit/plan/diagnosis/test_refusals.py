"""Why a pod may not be created, from the words of the API server: what refuses it, and what to do."""

from __future__ import annotations

import pytest

from tidemill.plan.diagnosis import refusal, unschedulable

FORBIDDEN = 'Error creating: pods "iris-a543ca2c-1-nkfw6" is forbidden: '
REFUSALS = {
    "a quota of pods": (
        FORBIDDEN + "exceeded quota: pods, requested: pods=1, used: pods=2, limited: pods=2",
        "ResourceQuota 'pods' is used up (requested pods=1; used pods=2; limited to pods=2); "
        "raise the quota, lower spec.resources, or delete other objects of the namespace",
    ),
    "a quota of several resources": (
        FORBIDDEN
        + "exceeded quota: small, requested: limits.memory=2Gi,requests.cpu=1, used: limits.memory=0,requests.cpu=0, "
        "limited: limits.memory=1Gi,requests.cpu=500m",
        "ResourceQuota 'small' is used up (requested limits.memory=2Gi,requests.cpu=1; used limits.memory=0,requests.cpu=0; "
        "limited to limits.memory=1Gi,requests.cpu=500m); "
        "raise the quota, lower spec.resources, or delete other objects of the namespace",
    ),
    "a quota of limits that the pod has not": (
        FORBIDDEN + "failed quota: cpu: must specify limits.cpu for: workload",
        "ResourceQuota 'cpu' requires a value for limits.cpu for: workload; "
        "set it in spec.resources, or create a LimitRange with defaults",
    ),
    "a LimitRange": (
        FORBIDDEN + "maximum memory usage per Container is 600Mi, but limit is 2Gi",
        "a LimitRange refuses the pod: maximum memory usage per Container is 600Mi, but limit is 2Gi; "
        "change spec.resources, or the LimitRange",
    ),
    "two limits of a LimitRange": (
        FORBIDDEN
        + "[minimum cpu usage per Container is 2, but request is 500m, maximum memory usage per Pod is 1Gi, but limit is 2Gi]",
        "a LimitRange refuses the pod: [minimum cpu usage per Container is 2, but request is 500m, "
        "maximum memory usage per Pod is 1Gi, but limit is 2Gi]; change spec.resources, or the LimitRange",
    ),
    "a ratio of a LimitRange": (
        FORBIDDEN + "memory max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        "a LimitRange refuses the pod: memory max limit to request ratio per Container is 2, but provided ratio is 4.000000; "
        "change spec.resources, or the LimitRange",
    ),
    "a request above the default limit of a LimitRange": (
        'Error creating: Pod "iris-nkfw6" is invalid: spec.containers[0].resources.requests: Invalid value: "512Mi": '
        "must be less than or equal to memory limit of 256Mi",
        "a LimitRange refuses the pod: a request must be less than or equal to memory limit of 256Mi; "
        "change spec.resources, or the LimitRange",
    ),
    "an invalid pod": (
        'Error creating: Pod "iris-nkfw6" is invalid: spec.nodeSelector: Invalid value',
        "spec.nodeSelector: Invalid value; correct the cause, or ask the administrator of the cluster",
    ),
    "PodSecurity": (
        FORBIDDEN + 'violates PodSecurity "restricted:latest": unrestricted capabilities (container "x" must set them)',
        "PodSecurity 'restricted:latest' refuses the pod: unrestricted capabilities (container \"x\" must set them); "
        "set the label pod-security.kubernetes.io/enforce of the namespace to a level that accepts it",
    ),
    "a webhook": (
        'Error creating: admission webhook "images.example.com" denied the request: image is not signed',
        "admission webhook 'images.example.com' refuses the pod: image is not signed; "
        "change its policy, or exempt the pods of Tidemill",
    ),
    "a webhook without words": (
        'Error creating: admission webhook "images.example.com" denied the request without explanation',
        "admission webhook 'images.example.com' refuses the pod: no reason given; "
        "change its policy, or exempt the pods of Tidemill",
    ),
    "a webhook that is down": (
        'Error creating: Internal error occurred: failed calling webhook "x.io": failed to call webhook: connection refused',
        "admission webhook 'x.io' does not answer: failed to call webhook: connection refused; repair or remove the webhook",
    ),
    "an admission policy": (
        FORBIDDEN + "ValidatingAdmissionPolicy 'signed' with binding 'all' denied request: image is not signed",
        "ValidatingAdmissionPolicy 'signed' refuses the pod: image is not signed; "
        "change the policy, or exempt the pods of Tidemill",
    ),
    "a ServiceAccount": (
        'Error creating: pods "a-" is forbidden: error looking up service account shop/runner: serviceaccount "runner" not found',
        "ServiceAccount 'runner' not found; create it in the namespace",
    ),
    "a PriorityClass": (
        FORBIDDEN + "no PriorityClass with name high was found",
        "PriorityClass 'high' not found; create it, or correct the name",
    ),
    "anything else": (
        FORBIDDEN + "because of the moon.",
        "because of the moon; correct the cause, or ask the administrator of the cluster",
    ),
}


@pytest.mark.parametrize(("text", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_names_what_refuses_and_the_remedy(text: str, expected: str) -> None:
    assert f"no pod can be created: {expected}" == refusal(text)


def test_a_refusal_is_the_same_at_each_try() -> None:
    first, second = (
        FORBIDDEN.replace("nkfw6", suffix) + "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        for suffix in ("aaaaa", "bbbbb")
    )

    assert refusal(first) == refusal(second)


NODES = "0/3 nodes are available: "
MESSAGES = {
    "cpu": ("3 Insufficient cpu", "lower spec.resources.requests, free a node, or add one"),
    "cordoned": ("3 node(s) were unschedulable", "uncordon the node, or add one"),
    "a taint": (
        "3 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }",
        "remove the taint from a node, or add a node without it",
    ),
    "a claim": ('persistentvolumeclaim "x" not found', "create or correct the PersistentVolumeClaim"),
    "affinity": (
        "3 node(s) didn't match Pod's node affinity/selector",
        "correct the labels of the nodes or the node selector",
    ),
    "pods": ("3 Too many pods", "delete pods, or add a node"),
}


@pytest.mark.parametrize(("text", "remedy"), MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize(
    "tail",
    [
        ". preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        ". no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        "",
    ],
    ids=["preemption", "claims", "bare"],
)
def test_the_scheduler_is_quoted_in_short_with_a_remedy(text: str, remedy: str, tail: str) -> None:
    assert f"the pod cannot be scheduled: {NODES}{text}; {remedy}" == unschedulable(NODES + text + tail)


def test_a_long_refusal_is_shortened() -> None:
    assert 500 > len(refusal(FORBIDDEN + "x" * 4000))
