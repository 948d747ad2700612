"""Real pods asked by schemathesis, which reads the OpenAPI document and nothing else of ours: each answer is one that the
document tells of, whatever is sent, and the pod stays ready."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, signature
from .hostility import BASE, watched

CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
"""All that schemathesis has but for `positive_data_acceptance`: a schema cannot say that values fit a shape, or that a version
has been asked before."""
PATHS = [
    ("/v2", "GET"),
    (BASE, "GET"),
    (f"{BASE}/ready", "GET"),
    *(
        (f"{BASE}{version}/{act}", "POST")
        for version in ("", "/versions/house-1")
        for act in ("infer", "predict", "explain", "feedback")
    ),
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("schemathesis")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        server = prepare(publisher(store)("house-1", model_signature=signature()), maxBodyBytes=100_000).ready()
        with watched(server):
            yield server


@pytest.fixture(scope="module")
def document(target: Pod) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{target.url}/v2/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("path", "method"), PATHS)
def test_every_answer_is_one_that_the_document_tells_of(
    document: BaseSchema, target: Pod, path: str, method: str, mode: GenerationMode
) -> None:
    operation = document[path][method]
    if mode.is_negative and method == "GET":
        pytest.skip("there is nothing to get wrong")

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=target.url, checks=CHECKS, timeout=30)

    ask()
