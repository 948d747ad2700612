"""The people who try the chart's policies, and how they do."""

from __future__ import annotations

from api.crds.server import BY_KIND, OPERATOR, Manifest, Server
from support.waiting import until

EDITOR, APPROVER, VIEWER, AUTHOR = "eve", "ann", "vic", "ada"
YES = {"user": APPROVER, "verdict": "Approved"}


def bind(server: Server) -> None:
    """An editor and a viewer by the cluster's own roles, and an approver who may not even list anything else."""
    for user, role in ((EDITOR, "edit"), (VIEWER, "view"), (APPROVER, "tidemill-approver")):
        server.kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", "default")
    # The cluster's own roles take ours in within a moment.
    for user, verb in ((EDITOR, "create"), (VIEWER, "watch")):
        for kind in BY_KIND.values():
            until(
                f"{user} may {verb} {kind.plural}",
                lambda user=user, verb=verb, kind=kind: allowed(server, verb, "tidemill.dev", kind.plural, user=user),
                seconds=30,
                poll=0.1,
            )


def decide(server: Server, version: Manifest, *decisions: Manifest) -> tuple[int, str]:
    return change(server, version, {"spec": {"approval": {"decisions": list(decisions)}}})


def change(server: Server, version: Manifest, patch: Manifest, subresource: str = "") -> tuple[int, str]:
    answer = server.merge(version, patch, subresource)
    return answer.status_code, answer.json().get("message", "")


def allowed(
    server: Server, verb: str, group: str, resource: str, *, namespace: str = "default", user: str = OPERATOR
) -> bool:
    resource, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    answer: Manifest = server.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).json()
    return bool(answer["status"]["allowed"])
