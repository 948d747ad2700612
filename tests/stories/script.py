"""The people and things of the stories: a shop that predicts fraud, and what its runs report."""

from __future__ import annotations

from typing import Any

from tidemill.api.conditions import Reason
from tidemill.api.modelversion import Measured
from tidemill.contract.reports import Checked, CheckOutcome, Failure, Ingested, Notified, RunReport, Searched, Trained
from tidemill.contract.serving import Arm, Latencies, Measurements
from tidemill.plan.types import Queried

REVISION = "sha256:" + "a" * 64


def digest(name: str) -> str:
    """A digest that a reader can recognise."""
    import hashlib

    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def dataset(**spec: Any) -> dict[str, Any]:
    return {
        "kind": "Dataset",
        "metadata": {"name": "payments"},
        "spec": {"source": {"uri": "s3://lake/payments.parquet"}, **spec},
    }


def training_job(name: str = "fraud-first", **spec: Any) -> dict[str, Any]:
    base = {
        "modelName": "fraud",
        "dataset": {"name": "payments"},
        "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
        "version": {
            "gates": [
                {"metric": "accuracy", "minimum": 0.9},
                {
                    "metric": "accuracy",
                    "rowSet": "RecentLabelled",
                    "against": "Stable",
                    "maximumRegression": 0.01,
                    "minimumRows": 30,
                },
            ]
        },
    }
    return {"kind": "TrainingJob", "metadata": {"name": name}, "spec": {**base, **spec}}


def model_version(name: str = "fraud-brought", **spec: Any) -> dict[str, Any]:
    """A model that somebody brings along, trained elsewhere."""
    base = {"modelName": "fraud", "artifact": {"uri": "s3://lake/models/fraud", "digest": digest(name)}}
    return {"kind": "ModelVersion", "metadata": {"name": name}, "spec": {**base, **spec}}


def service(**spec: Any) -> dict[str, Any]:
    base = {
        "model": {"name": "fraud"},
        "replicas": 2,
        "rollout": {
            "steps": [{"weight": 25, "pause": "30s"}, {"weight": 50, "pause": "30s"}],
            "analysis": {
                "interval": "10s",
                "metrics": [
                    {"name": "errors", "type": "ErrorRate", "maximum": 0.01},
                    {"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.02},
                ],
            },
        },
    }
    return {"kind": "InferenceService", "metadata": {"name": "fraud"}, "spec": {**base, **spec}}


def rolled_out(**rollout: Any) -> dict[str, Any]:
    """The service with other words about its rollouts."""
    return service(rollout={**service()["spec"]["rollout"], **rollout})


SMOKE: dict[str, Any] = {
    "interval": "10s",
    "metrics": [{"name": "smoke", "type": "Job", "job": {"image": "judge:1", "args": ["--quick"]}}],
}


def judged(**job: Any) -> dict[str, Any]:
    """Return an analysis by the errors and by a Job."""
    smoke = {"name": "smoke", "type": "Job", "job": {"image": "judge:1", **job}}
    return {"interval": "10s", "metrics": [{"name": "errors", "type": "ErrorRate", "maximum": 0.01}, smoke]}


QUERIED: dict[str, Any] = {
    "interval": "10s",
    "metrics": [
        {
            "name": "refunds",
            "type": "Prometheus",
            "prometheus": {"query": 'refunds{version="$candidate"}'},
            "maximum": 0.05,
        }
    ],
}


def queried(value: float | None, problem: str = "") -> Any:
    """What Prometheus says."""
    return lambda: (Queried("refunds", value, problem),)


def monitor(**spec: Any) -> dict[str, Any]:
    base = {
        "target": {"inferenceService": "fraud"},
        "interval": "60s",
        "window": {"size": "5m", "minimumSamples": 100, "minimumLabels": 50},
        "checks": [
            {"name": "integrity", "type": "DataQuality", "rules": [{"metric": "MissingShare", "maximum": 0.1}]},
            {"name": "inputs", "type": "FeatureDrift", "failing": 0.2},
        ],
        "retraining": {"template": {"trainingJob": "fraud-first"}, "minimumInterval": "10m"},
    }
    return {"kind": "DriftMonitor", "metadata": {"name": "fraud"}, "spec": {**base, **spec}}


def ingests(order: dict[str, Any]) -> RunReport:
    uri = f"s3://tidemill/shop/datasets/{order['dataset']}/a"
    return RunReport(
        ingested=Ingested(digest=REVISION, uri=uri, rows=1000, bytes=4000, columns=5, features=4, target="fraud")
    )


def ingests_unlabelled(order: dict[str, Any]) -> RunReport:
    """Files are read; a service has answered, and no labels have come yet."""
    if "answered" not in order:
        return ingests(order)
    message = "none of the 60 rows that fraud answered has a label yet; send labels to its feedback endpoint"
    return RunReport(failure=Failure(reason=Reason.SOURCE_EMPTY, message=message, retryable=True))


def ingests_anew(order: dict[str, Any]) -> RunReport:
    """The source has other rows now."""
    uri = f"s3://tidemill/shop/datasets/{order['dataset']}/b"
    return RunReport(
        ingested=Ingested(
            digest="sha256:" + "b" * 64, uri=uri, rows=1200, bytes=5000, columns=5, features=4, target="fraud"
        )
    )


def notifies(order: dict[str, Any]) -> RunReport:
    return RunReport(notified=Notified(code=204, tries=1))


def cannot_notify(order: dict[str, Any]) -> RunReport:
    host = order["webhook"]["url"].split("/")[2]
    message = f"{host} did not accept the notification in 3 attempts: it answers 503; check that the receiver is running and reachable"
    return RunReport(failure=Failure(reason=Reason.RECEIVER_UNREACHABLE, message=message, retryable=True))


def cannot_reach(order: dict[str, Any]) -> RunReport:
    message = "nothing answers at http://lake:9000; start the store, or correct its endpoint"
    return RunReport(failure=Failure(reason=Reason.SOURCE_UNREACHABLE, message=message, retryable=True))


def trains(accuracy: float = 0.96) -> Any:
    def report(order: dict[str, Any]) -> RunReport:
        sets = [
            Measured(
                on="Holdout",
                rows=200,
                metrics={"accuracy": accuracy},
                stable={"accuracy": 0.95} if order.get("stable") else {},
            )
        ]
        if order.get("servedRows"):
            sets.append(
                Measured(on="RecentLabelled", rows=60, metrics={"accuracy": accuracy}, stable={"accuracy": 0.80})
            )
        uri = f"s3://tidemill/shop/models/{order['model']}/{order['version']}"
        search = searches(order) if "tuning" in order else None
        return RunReport(
            trained=Trained(uri=uri, digest=digest(order["version"]), evaluation=tuple(sets), rows=800, search=search)
        )

    return report


TUNING: dict[str, Any] = {
    "objective": {"metric": "accuracy"},
    "parameters": [{"name": "C", "searchSpace": {"logUniform": {"min": 0.01, "max": 100}}}],
    "numTrials": 20,
}


def searches(order: dict[str, Any]) -> Searched:
    """What is best is another C once there are rows that were served."""
    results = {"C": 2.5 if order.get("servedRows") else 0.5}
    return Searched(metric="accuracy", trial=7, score=0.95, parameters=results, completed=18, failed=2)


def checks(
    inputs: str = "Passing",
    integrity: str = "Passing",
    *,
    quality: str = "",
    samples: int = 500,
    labelled: int = 400,
    unknown_labels: int = 0,
) -> Any:
    """What a check run finds; of the quality of answers only where it is named."""

    def report(order: dict[str, Any]) -> RunReport:
        result = (inputs, integrity, quality)
        worst = next((verdict for verdict in ("Failing", "NoData", "Warning") if verdict in result), "Passing")
        value = 0.81 if quality == "Failing" else 0.95
        right = CheckOutcome(
            name="quality",
            type="Performance",
            verdict=quality or "Passing",
            value=value,
            threshold=0.9,
            message=f"accuracy is {value} on {labelled} rows; 0.9 is needed",
        )
        return RunReport(
            checked=Checked(
                samples=samples,
                labelled=labelled,
                unknown_labels=unknown_labels,
                verdict=worst,
                report_uri=f"s3://tidemill/shop/reports/{order['monitor']}.html",
                checks=(
                    CheckOutcome(
                        name="integrity",
                        type="DataQuality",
                        verdict=integrity,
                        message="amount: 0.45 missing" if integrity == "Failing" else "",
                    ),
                    CheckOutcome(
                        name="inputs",
                        type="FeatureDrift",
                        verdict=inputs,
                        value=0.4,
                        threshold=0.2,
                        message="40% of the features, by weight, have moved by PSI 0.25 or more; 20% is the limit",
                    ),
                    *([right] if quality else []),
                ),
            )
        )

    return report


def nothing_new(order: dict[str, Any]) -> RunReport:
    """A retraining to which the served rows add nothing."""
    message = (
        "the retraining has no new row to train on: 150 rows were served, 0 with labels; "
        "send the labels of served rows to /feedback, then run kubectl tidemill retrain"
    )
    return RunReport(failure=Failure(reason=Reason.NO_NEW_ROWS, message=message))


def measures(candidate: str, *, right: int = 95, errors: int = 0, labelled: int = 100) -> Any:
    """What two stable pods say: how often each version was right on the same labelled rows."""

    def arm(version: str, hits: int) -> Arm:
        confusion = {"no": {"no": hits, "yes": labelled - hits}} if labelled else {}
        return Arm(
            version=version,
            digest=digest(version),
            requests=200,
            errors=errors if version == candidate else 0,
            latencies=Latencies(bounds=(0.01, 0.1), counts=(200, 0, 0)),
            labelled=labelled,
            confusion=confusion,
        )

    measurements = Measurements(
        stable=arm("stable", min(90, labelled)),
        candidate=arm(candidate, min(right, labelled)),
        compared=200,
        agreed=150,
    )
    return lambda: (measurements,)
