"""Read why the API server refuses to create a pod, from the text that its controller reports."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 300
"""Characters of foreign text in a message, at most."""

# The name of the pod that was refused is another one at each try, and would make each message a new one.
_PREFIX: Final = re.compile(
    r"^(?:Error creating: )?(?:Internal error occurred: )?(?:pods? (?:\"[^\"]*\" )?is (?:forbidden|invalid): )?(?:Internal error occurred: )?",
    re.IGNORECASE,
)
_REFUSALS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), message)
    for pattern, message in (
        (
            r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>.+), used: (?P<used>.+), limited: (?P<limited>.+)",
            "ResourceQuota '{name}' is used up (requested {requested}; used {used}; limited to {limited}); "
            "raise the quota, lower spec.resources, or delete other objects of the namespace",
        ),
        (
            r"failed quota: (?P<name>[^:]+): must specify (?P<fields>.+)",
            "ResourceQuota '{name}' requires a value for {fields}; set it in spec.resources, or create a LimitRange with defaults",
        ),
        (
            r"(?P<limits>.*(?:(?:max|min)imum \S+ usage per \w+ is|max limit to request ratio per \w+ is).*)",
            "a LimitRange refuses the pod: {limits}; change spec.resources, or the LimitRange",
        ),
        (
            r"(?P<limits>must be less than or equal to \S+ limit of \S+)",
            "a LimitRange refuses the pod: a request {limits}; change spec.resources, or the LimitRange",
        ),
        (
            r"violates PodSecurity \"(?P<level>[^\"]+)\": (?P<fields>.+)",
            "PodSecurity '{level}' refuses the pod: {fields}; "
            "set the label pod-security.kubernetes.io/enforce of the namespace to a level that accepts it",
        ),
        (
            r"admission webhook \"(?P<name>[^\"]+)\" denied the request(?:: (?P<because>.+)| without explanation)",
            "admission webhook '{name}' refuses the pod: {because}; change its policy, or exempt the pods of Tidemill",
        ),
        (
            r"failed calling webhook \"(?P<name>[^\"]+)\": (?P<because>.+)",
            "admission webhook '{name}' does not answer: {because}; repair or remove the webhook",
        ),
        (
            r"ValidatingAdmissionPolicy '(?P<name>[^']+)' .*denied request: (?P<because>.+)",
            "ValidatingAdmissionPolicy '{name}' refuses the pod: {because}; change the policy, or exempt the pods of Tidemill",
        ),
        (
            r"error looking up service account \S+: serviceaccount \"(?P<name>[^\"]+)\" not found",
            "ServiceAccount '{name}' not found; create it in the namespace",
        ),
        (
            r"no PriorityClass with name (?P<name>\S+) was found",
            "PriorityClass '{name}' not found; create it, or correct the name",
        ),
        (
            r"unable to create new content in namespace (?P<name>\S+) because it is being terminated",
            "namespace '{name}' is being deleted; create the object in another namespace",
        ),
    )
)


def refusal(text: str) -> str:
    """Return why no pod can be created, with the remedy.

    >>> refusal('pods "a-b" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2')
    "no pod can be created: ResourceQuota 'small' is used up (requested pods=1; used pods=2; limited to pods=2); raise the quota, lower spec.resources, or delete other objects of the namespace"
    """
    text = _PREFIX.sub("", " ".join(text.split()))
    for pattern, message in _REFUSALS:
        if match := pattern.search(text):
            values = {name: shortened(value or "no reason given") for name, value in match.groupdict().items()}
            return f"no pod can be created: {message.format(**values)}"
    return f"no pod can be created: {shortened(text)}; correct the cause, or ask the administrator of the cluster"


def shortened(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return a foreign text without its final stop, and with at most `limit` characters.

    >>> shortened("low on memory.")
    'low on memory'
    """
    text = text.strip().rstrip(".")
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
