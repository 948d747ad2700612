"""The Job by which a user judges a candidate."""

from __future__ import annotations

from typing import Any

from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.api.analysis import AnalysisMetric
from tidemill.children import judge
from tidemill.children.installation import Installation

INSTALLATION = Installation(workload_image="w:1", server_image="s:1")
SERVICE = InferenceService.model_validate(
    {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-1"},
        "spec": {"model": {"name": "fraud"}},
    }
)


def version(name: str) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "ModelVersion",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "1" * 64}},
        }
    )


def metric(**job: Any) -> AnalysisMetric:
    body = {"name": "smoke", "type": "Job", "job": {"image": "judge:1", **job}}
    return AnalysisMetric.model_validate(body)


def made(**job: Any) -> dict[str, Any]:
    return judge.job(SERVICE, version("fraud-2"), "fraud-1", metric(**job), INSTALLATION)


def test_it_runs_once_and_is_told_whom_to_ask() -> None:
    [container] = made(args=["--quick"])["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}

    assert ("judge:1", ["--quick"]) == (container["image"], container["args"])
    assert "command" not in container
    assert 0 == made()["spec"]["backoffLimit"]
    assert "http://fraud-candidate.shop.svc.cluster.local:8080" == variables["TIDEMILL_CANDIDATE_URL"]
    assert "http://fraud.shop.svc.cluster.local" == variables["TIDEMILL_STABLE_URL"]
    assert ("fraud-2", "fraud-1") == (variables["TIDEMILL_CANDIDATE_VERSION"], variables["TIDEMILL_STABLE_VERSION"])


def test_it_has_no_rights_no_token_and_no_credentials_of_the_store() -> None:
    pod = made()["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [{"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}}] == pod["volumes"]


def test_a_user_cannot_rename_what_it_is_told() -> None:
    env = [{"name": "TIDEMILL_CANDIDATE_URL", "value": "http://elsewhere"}, {"name": "MODE", "value": "fast"}]
    [container] = made(env=env)["spec"]["template"]["spec"]["containers"]
    variables = [(variable["name"], variable["value"]) for variable in container["env"]]

    assert ("MODE", "fast") in variables
    assert "http://elsewhere" not in dict(variables).values()
    assert len(variables) == len({name for name, _ in variables})


def test_another_candidate_or_another_word_is_another_job() -> None:
    names = {
        judge.name(SERVICE, version("fraud-2"), metric()),
        judge.name(SERVICE, version("fraud-3"), metric()),
        judge.name(SERVICE, version("fraud-2"), metric(args=["--slow"])),
    }

    assert 3 == len(names)
    assert judge.name(SERVICE, version("fraud-2"), metric()) in names
