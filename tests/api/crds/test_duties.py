"""Separation of duties: who started a version does not approve it, by whatever way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.crds.people import APPROVER, AUTHOR, EDITOR, YES, change, decide
from api.crds.server import CHART, OPERATOR, SYSTEM, Manifest, Server, least
from support.waiting import until

pytestmark = pytest.mark.usefixtures("people")


@pytest.fixture
def author(server: Server) -> Iterator[str]:
    """Someone who may do everything there is to do about models: start them and approve them."""
    for role in ("edit", "tidemill-approver"):
        server.kubectl(
            "create", "rolebinding", f"{AUTHOR}-{role}", f"--clusterrole={role}", f"--user={AUTHOR}", "-n", "default"
        )
    yield AUTHOR
    for role in ("edit", "tidemill-approver"):
        server.kubectl("delete", "rolebinding", f"{AUTHOR}-{role}", "-n", "default")


def separated(name: str, starter: str) -> Manifest:
    """A version that keeps who started it from approving it."""
    manifest = least("ModelVersion", name=name)
    manifest["spec"]["approval"] = {"policy": "Manual", "separationOfDuties": True}
    manifest["spec"]["lineage"] = {"startedBy": starter}
    return manifest


@pytest.fixture
def own(server: Server, author: str) -> Iterator[Manifest]:
    """A version that the operator made of a run that the author started."""
    manifest = separated("own", author)
    answer = server.as_user(OPERATOR).create(manifest)
    assert 201 == answer.status_code, answer.text
    yield manifest
    server.delete(manifest)


MINE = {"user": AUTHOR, "verdict": "Approved"}


def test_who_started_a_version_does_not_approve_it_where_duties_are_separated(server: Server, own: Manifest) -> None:
    code, message = decide(server.as_user(AUTHOR), own, MINE)

    assert 403 == code
    assert f"{AUTHOR} started this version" in message
    assert (200, "") == decide(server.as_user(APPROVER), own, YES)


@pytest.mark.parametrize(
    "approval",
    [
        {"separationOfDuties": False},
        {"separationOfDuties": False, "decisions": [MINE]},
        {"separationOfDuties": None, "decisions": [MINE]},
        {"policy": "Automatic"},
        {"policy": "Automatic", "separationOfDuties": False},
        {"decisions": [{**MINE, "user": "robin"}]},
        {"decisions": [{**MINE, "user": f"{AUTHOR} "}]},
    ],
    ids=str,
)
def test_who_started_a_version_finds_no_way_around(server: Server, own: Manifest, approval: Manifest) -> None:
    assert 403 == change(server.as_user(AUTHOR), own, {"spec": {"approval": approval}})[0]


def test_the_name_of_the_starter_cannot_be_changed_or_removed(server: Server, own: Manifest) -> None:
    for lineage in ({"startedBy": "robin"}, {"startedBy": None}):
        assert 422 == change(server.as_user(AUTHOR), own, {"spec": {"lineage": lineage}})[0]


def test_a_server_side_apply_is_held_to_the_same(server: Server, own: Manifest) -> None:
    message = separated("own", AUTHOR)
    message["spec"]["approval"]["decisions"] = [MINE]

    for manager in ("tidemill", "kubectl"):
        assert 403 == server.as_user(AUTHOR).apply(message, manager).status_code
    assert (200, "") == decide(server.as_user(APPROVER), own, YES)
    message["spec"]["approval"]["decisions"] = [{**YES, "verdict": "Rejected"}]
    assert 403 == server.as_user(AUTHOR).apply(message, "kubectl", force=True).status_code


def test_making_a_version_anew_does_not_give_it_another_starter(server: Server, own: Manifest) -> None:
    author = server.as_user(AUTHOR)
    assert 200 == author.delete(own).status_code

    assert 403 == author.create(separated("own", "robin"), dry=True).status_code
    assert 422 == author.create({**own, "spec": {**own["spec"], "lineage": {}}}, dry=True).status_code
    arriving = separated("own", AUTHOR)
    arriving["spec"]["approval"]["decisions"] = [MINE]
    assert 403 == author.create(arriving, dry=True).status_code
    assert 201 == author.create(separated("own", AUTHOR)).status_code
    assert 403 == decide(author, own, MINE)[0]


def run_of(starter: str, **approval: Any) -> Manifest:
    """A run, with the approval of the version that comes out."""
    manifest = least("TrainingJob", name="run")
    manifest["spec"] |= {"startedBy": starter, "version": {"approval": {"policy": "Manual", **approval}}}
    return manifest


def test_nobody_starts_a_run_in_another_s_name(server: Server) -> None:
    code = server.as_user(EDITOR).create(run_of(AUTHOR), dry=True).status_code

    assert 403 == code
    assert 201 == server.as_user(EDITOR).create(run_of(EDITOR), dry=True).status_code
    # A retraining is made by the operator after a template that somebody wrote: it stays theirs.
    assert 201 == server.as_user(OPERATOR).create(run_of(AUTHOR), dry=True).status_code


def test_the_approval_that_a_run_asks_for_is_not_made_easier_by_who_may_not_approve(
    server: Server, author: str
) -> None:
    manifest = run_of(author, requiredApprovals=2, separationOfDuties=True)
    assert 201 == server.as_user(author).create(manifest).status_code
    easier = [{"policy": "Automatic"}, {"requiredApprovals": 1}, {"separationOfDuties": False}]
    codes = {
        user: [change(server.as_user(user), manifest, {"spec": {"version": {"approval": item}}})[0] for item in easier]
        for user in (EDITOR, author)
    }
    harder = change(server.as_user(EDITOR), manifest, {"spec": {"version": {"approval": {"requiredApprovals": 3}}}})
    server.delete(manifest)

    assert {EDITOR: [403, 403, 403], author: [403, 403, 403]} == codes
    assert (200, "") == harder


def test_an_installation_that_separates_duties_refuses_what_does_not(server: Server) -> None:
    server.helm("upgrade", "tidemill", CHART, "-n", SYSTEM, "--reuse-values", "--set", "policies.separateDuties=true")
    loose = least("TrainingJob", name="loose")
    try:
        until(
            "the policy is in force",
            lambda: 403 == server.as_user(EDITOR).create(loose, dry=True).status_code,
            seconds=30,
            poll=0.2,
        )
        good = server.as_user(EDITOR).create(run_of(EDITOR, separationOfDuties=True), dry=True).status_code
        version = server.as_user(EDITOR).create(least("ModelVersion", name="loose"), dry=True).status_code
        brought = server.as_user(EDITOR).create(separated("brought", EDITOR), dry=True).status_code
    finally:
        server.helm(
            "upgrade", "tidemill", CHART, "-n", SYSTEM, "--reuse-values", "--set", "policies.separateDuties=false"
        )
    until(
        "the policy is gone",
        lambda: 201 == server.as_user(EDITOR).create(loose, dry=True).status_code,
        seconds=30,
        poll=0.2,
    )

    assert (201, 403, 201) == (good, version, brought)
