"""Which kinds the engine watches and writes, and what it must be allowed for that."""

from __future__ import annotations

import pytest

from tidemill.engine.kinds import BY_KIND, WATCHED, access_rules, leader_rules, resource_of

PATHS = {
    "all objects of a core kind": (("Pod", None, "", ""), "/api/v1/pods"),
    "a namespace's objects": (("Job", "science", "", ""), "/apis/batch/v1/namespaces/science/jobs"),
    "a status": (
        ("Dataset", "science", "iris", "status"),
        "/apis/tidemill.dev/v1alpha1/namespaces/science/datasets/iris/status",
    ),
}


@pytest.mark.parametrize(("asked", "expected"), PATHS.values(), ids=PATHS.keys())
def test_addresses_are_those_of_the_api_server(asked: tuple[str, str | None, str, str], expected: str) -> None:
    kind, namespace, name, subresource = asked

    assert expected == BY_KIND[kind].path(namespace, name, subresource)


def test_a_kind_that_nobody_declared_is_named_with_the_remedy() -> None:
    with pytest.raises(LookupError, match="kind Secret is not declared: add a line to WATCHED"):
        resource_of("Secret")


def test_no_rule_is_wide_and_none_touches_secrets() -> None:
    for rule in (*access_rules(), *leader_rules()):
        assert not {"*", "escalate", "bind", "impersonate"} & {rule.group, rule.resource, *rule.verbs}
        assert rule.resource != "secrets"


def test_what_users_write_is_only_read_and_nothing_of_ours_is_deleted() -> None:
    verbs = {watched.kind: set(watched.verbs) for watched in WATCHED if watched.ours}

    assert {kind for kind, allowed in verbs.items() if "create" in allowed} == {"TrainingJob", "ModelVersion"}
    assert not any("delete" in allowed for allowed in verbs.values())


def test_only_what_carries_our_label_is_watched_of_the_kinds_of_others() -> None:
    assert [watched.kind for watched in WATCHED if not watched.ours and not watched.selector] == []
