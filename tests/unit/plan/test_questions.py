"""Whom the operator asks about a candidate, and what it asks of Prometheus."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService
from tidemill.children import names, serving
from tidemill.children.installation import Installation
from tidemill.contract.serving import Measurements
from tidemill.plan import World
from tidemill.plan.inferenceservice.planner import LOADING_SECONDS, plan, questions
from tidemill.plan.types import Plan, Query

MOMENT = "2026-01-05T11:00:00Z"
GATEWAY = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}


def pod(name: str, role: str, address: str) -> dict[str, Any]:
    labels = {names.OWNER_UID: "u-2", names.ROLE: role}
    metadata = {"name": name, "namespace": "shop", "uid": f"p-{name}", "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "status": {"podIP": address} if address else {}}


def stable_deployment() -> dict[str, Any]:
    here = Installation(workload_image="w:1", server_image="s:1")
    made = serving.deployment(make.service(), make.version("fraud-1"), "Stable", here, replicas=2)
    return {**made, "metadata": {**made["metadata"], "uid": "d-1", "ownerReferences": [{"uid": "u-2"}]}}


WORLD = World(
    [
        stable_deployment(),
        pod("a", "stable", "10.0.0.1"),
        pod("b", "stable", "fd00::2"),
        pod("c", "stable", ""),
        pod("d", "candidate", "10.0.0.4"),
    ]
)


def service(*queries: str, phase: str = "Progressing", address: str = "", **spec: Any) -> InferenceService:
    """A service whose candidate fraud-2 is on trial, judged by these queries."""
    asked = [
        {
            "name": f"query-{number}",
            "type": "Prometheus",
            "maximum": 1,
            "prometheus": {"query": query, **({"address": address} if address else {})},
        }
        for number, query in enumerate(queries)
    ]
    errors = {"name": "errors", "type": "ErrorRate", "maximum": 0.01}
    trial = {"phase": phase, "version": "fraud-2", "startedAt": MOMENT, "stepStartedAt": MOMENT}
    return InferenceService.model_validate(
        {
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-2"},
            "spec": {
                "model": {"name": "fraud"},
                "rollout": {"analysis": {"metrics": [errors, *asked]}},
                **spec,
            },
            "status": {"rollout": trial if phase else None},
        }
    )


def asked_of_prometheus(*texts: str, **spec: Any) -> tuple[Query, ...]:
    question = questions(service(*texts, **spec), WORLD)
    assert question is not None
    return question.queries


def test_every_stable_pod_that_has_an_address_is_asked() -> None:
    question = questions(service(), WORLD)

    assert question is not None
    assert (
        "http://10.0.0.1:8080/tidemill/v1/measurements",
        "http://[fd00::2]:8080/tidemill/v1/measurements",
    ) == question.urls


def test_where_a_gateway_splits_candidates_are_asked_too() -> None:
    question = questions(service(traffic=GATEWAY), WORLD)

    assert question is not None
    assert "http://10.0.0.4:8080/tidemill/v1/measurements" == question.urls[-1]
    assert 3 == len(question.urls)


SPELT = {
    "the candidate": ('refunds{version="$candidate"}', 'refunds{version="fraud-2"}'),
    "the stable version": ('refunds{version="$stable"}', 'refunds{version="fraud-1"}'),
    "the service and its namespace": ('up{job="$namespace/$service"}', 'up{job="shop/fraud"}'),
    "both versions": ("a_$candidate / a_$stable", "a_fraud-2 / a_fraud-1"),
    "a name in braces": ("refunds_${service}_total", "refunds_fraud_total"),
    "what nobody knows, as it stands": ('label_replace(up, "a", "$1", "b", "(.*)")',) * 2,
    "no name at all": ("vector(1)",) * 2,
}


@pytest.mark.parametrize("what", SPELT)
def test_a_query_names(what: str) -> None:
    written, expected = SPELT[what]

    [query] = asked_of_prometheus(written)

    assert expected == query.query


def test_each_query_is_asked_for_its_metric_at_its_address() -> None:
    result = asked_of_prometheus("one", "two", address="http://prometheus:9090")

    address = "http://prometheus:9090"
    assert (Query("query-0", address, "one"), Query("query-1", address, "two")) == result


def test_without_an_address_the_installation_s_own_is_asked() -> None:
    assert [""] == [query.address for query in asked_of_prometheus("one")]


def test_prometheus_is_asked_where_no_pod_can_be() -> None:
    question = questions(service("one"), World())

    assert question is not None
    assert ((), 1) == (question.urls, len(question.queries))


def test_nobody_is_asked_while_nothing_is_on_trial() -> None:
    assert questions(service("one", phase=""), WORLD) is None


GONE = "the object store does not answer at http://store:9000; start it, or correct store.endpoint"


def loading(ready: str = "False") -> World:
    """A service whose only pod runs, and is not ready."""
    starting = pod("a", "stable", "10.0.0.1")
    state = {"name": "server", "state": {"running": {"startedAt": MOMENT}}}
    starting["status"] |= {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [state]}
    return World([stable_deployment(), starting])


def test_a_stable_pod_that_loads_is_asked_what_it_waits_for() -> None:
    question = questions(service(phase=""), loading())

    assert question is not None
    assert ("http://10.0.0.1:8080/tidemill/v1/measurements",) == question.urls
    assert questions(service(phase=""), loading(ready="True")) is None


def test_a_store_that_is_gone_while_a_pod_starts_is_told_on_the_service_and_asked_for_again() -> None:
    answers = (Measurements(waits_for="StoreUnreachable", waits_message=GONE),)
    installation = Installation(workload_image="w:1", server_image="s:1")

    def planned(*given: Measurements) -> Plan:
        return plan(service(phase=""), loading(), installation, datetime.fromisoformat(MOMENT), given)

    def message(*given: Measurements) -> str:
        return next(condition.message for condition in planned(*given).status.conditions if condition.type == "Ready")

    assert message(*answers).endswith(f"are ready: {GONE}")
    assert GONE not in message()
    assert (LOADING_SECONDS, LOADING_SECONDS) == (planned(*answers).wake, planned().wake)
