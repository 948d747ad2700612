"""M2: what people get wrong although every field is well-formed; each is told by its name within seconds.

What a run finds out is found out by the real ingest and training code, on a real S3 server.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import programs, versions
from fuzz import schemas, specimens
from fuzz.cases import Case, Failure
from fuzz.harness import NAMESPACE, Harness, key, made
from support import gateway
from tidemill.api.conditions import Reason
from tidemill.contract.orders import run_order
from tidemill.contract.reports import RunReport
from tidemill.plan.world import Manifest

BAD_DIGEST = "sha256:" + "f" * 64
INLINE = "a,b,kind\n" + "".join(f"{n % 7},{n % 5},{n % 2}\n" for n in range(60))
PATIENCE = 60.0


@dataclass(frozen=True)
class Misoperation:
    """A spec, and what its owner is to be told."""

    title: str
    kind: str
    change: Mapping[str, Any]
    """What is put over the least spec of the kind."""
    expected: tuple[str, ...]
    """`status reason` of Ready, or `Type=status reason` of another condition; one of these."""
    words: str = ""
    """What the message must say, so that its reader knows where to look."""


def _about(reason: Reason) -> tuple[str, ...]:
    return (f"False {reason}",)


def _trained(**estimator: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "misrows"},
        "estimator": {"name": "sklearn.linear_model.LogisticRegression", **estimator},
    }


WAITS = ("Unknown Progressing", "Unknown Unschedulable")
DEPENDS = _about(Reason.DEPENDENCY_NOT_READY)
CASES = (
    Misoperation(
        "no such bundled set",
        "Dataset",
        {"source": {"uri": "sklearn://nothing"}},
        _about(Reason.SOURCE_NOT_FOUND),
        "nothing",
    ),
    Misoperation(
        "no such file",
        "Dataset",
        {"source": {"uri": "s3://nowhere/no.csv"}},
        ("False SourceNotFound", "False SourceUnreachable", "False StoreCredentialsMissing"),
    ),
    Misoperation(
        "no such Secret",
        "Dataset",
        {"source": {"uri": "s3://lake/x.csv"}, "credentials": {"secretRef": {"name": "nowhere"}}},
        ("False StoreCredentialsMissing", "False SourceUnreachable"),
    ),
    Misoperation(
        "another format than it says",
        "Dataset",
        {"source": {"inline": {"format": "JSONLines", "data": "a,b\n1,2\n"}}},
        _about(Reason.SOURCE_UNREADABLE),
    ),
    Misoperation(
        "a table without rows",
        "Dataset",
        {"source": {"inline": {"data": "a,b\n"}}},
        ("False SourceEmpty", "False SourceUnreadable"),
    ),
    Misoperation(
        "blank", "Dataset", {"source": {"inline": {"data": " "}}}, ("False SourceEmpty", "False SourceUnreadable")
    ),
    Misoperation(
        "a column that is not there",
        "Dataset",
        {"source": {"inline": {"data": INLINE}}, "columns": [{"name": "nowhere", "role": "Target"}]},
        ("False SchemaMismatch", "False TargetMissing"),
        "nowhere",
    ),
    Misoperation(
        "words called numbers",
        "Dataset",
        {"source": {"inline": {"data": "a,b\nx,1\ny,2\n"}}, "columns": [{"name": "a", "type": "Numerical"}]},
        ("False NotNumeric", "False SchemaMismatch"),
        "a",
    ),
    Misoperation(
        "an expectation nothing meets",
        "Dataset",
        {"source": {"inline": {"data": INLINE}}, "expectations": {"rules": [{"metric": "RowCount", "minimum": 1e12}]}},
        _about(Reason.QUALITY_FAILED),
        "RowCount",
    ),
    Misoperation(
        "an expectation of no column",
        "Dataset",
        {
            "source": {"inline": {"data": INLINE}},
            "expectations": {"rules": [{"metric": "Mean", "column": "nowhere", "minimum": 0}]},
        },
        ("False QualityFailed", "False SchemaMismatch"),
        "nowhere",
    ),
    Misoperation(
        "more processors than any node has",
        "Dataset",
        {"resources": {"requests": {"cpu": "1e9"}}},
        WAITS,
        "cannot be scheduled",
    ),
    Misoperation(
        "no processor at all",
        "Dataset",
        {"resources": {"requests": {"cpu": "0"}}},
        ("True Succeeded", "False StoreCredentialsMissing", "False SourceUnreachable", "False SourceNotFound"),
    ),
    Misoperation(
        "asks for more than it may use",
        "Dataset",
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        _about(Reason.REFUSED),
        "cpu",
    ),
    Misoperation(
        "a resource that is none",
        "TrainingJob",
        {"resources": {"requests": {"horses": "2"}}, "dataset": {"name": "misrows"}},
        _about(Reason.REFUSED),
        "horses",
    ),
    Misoperation("no such Dataset", "TrainingJob", {"dataset": {"name": "nowhere"}}, DEPENDS, "nowhere"),
    Misoperation(
        "no such revision", "TrainingJob", {"dataset": {"name": "misrows", "revision": BAD_DIGEST}}, DEPENDS, "ffff"
    ),
    Misoperation(
        "an estimator outside of the list",
        "TrainingJob",
        _trained(name="os.system"),
        _about(Reason.UNKNOWN_ESTIMATOR),
        "os.system",
    ),
    Misoperation(
        "a misspelled estimator",
        "TrainingJob",
        _trained(name="sklearn.linear_model.LogisticRegresion"),
        _about(Reason.UNKNOWN_ESTIMATOR),
        "LogisticRegres",
    ),
    Misoperation(
        "a parameter it does not have",
        "TrainingJob",
        _trained(parameters={"horses": 2}),
        _about(Reason.INVALID_PARAMETERS),
        "horses",
    ),
    Misoperation(
        "a parameter out of range",
        "TrainingJob",
        _trained(parameters={"C": -1.0}),
        ("False InvalidParameters", "False TrainingFailed"),
        "C",
    ),
    Misoperation(
        "a metric that is none",
        "TrainingJob",
        {**_trained(), "evaluation": {"metrics": ["horses"]}},
        ("False InvalidParameters", "False TrainingFailed", "False InvalidSpec"),
        "horses",
    ),
    Misoperation(
        "rows of no service",
        "TrainingJob",
        {
            **_trained(),
            "servedRows": {
                "inferenceService": "nowhere",
                "start": "2026-01-01T00:00:00Z",
                "end": "2026-01-02T00:00:00Z",
                "combine": "Replace",
            },
        },
        ("False NotEnoughRows", "False SourceEmpty", "False DependencyNotReady", "False SourceNotFound"),
    ),
    Misoperation(
        "a bound nothing meets",
        "ModelVersion",
        {
            "gates": [{"metric": "accuracy", "minimum": 2}],
            "evaluation": [{"rowSet": "Holdout", "rows": 9, "metrics": {"accuracy": 1.0}}],
        },
        _about(Reason.GATE_FAILED),
        "accuracy",
    ),
    Misoperation(
        "a gate on what was not measured",
        "ModelVersion",
        {"gates": [{"metric": "horses", "minimum": 0}]},
        _about(Reason.GATE_FAILED),
        "horses",
    ),
    Misoperation(
        "nobody approves",
        "ModelVersion",
        {"approval": {"policy": "Manual", "requiredApprovals": 2}},
        _about(Reason.AWAITING_APPROVAL),
        "2",
    ),
    Misoperation(
        "no such model", "InferenceService", {"model": {"name": "nowhere"}}, _about(Reason.NO_VERSION), "nowhere"
    ),
    Misoperation(
        "no such version", "InferenceService", {"model": {"name": "known", "version": "nowhere"}}, DEPENDS, "nowhere"
    ),
    Misoperation(
        "no room for a pod",
        "InferenceService",
        {"resources": {"requests": {"memory": "4Ei"}}},
        _about(Reason.REPLICAS_NOT_READY),
    ),
    Misoperation("no such service", "DriftMonitor", {"target": {"inferenceService": "nowhere"}}, DEPENDS, "nowhere"),
    Misoperation(
        "nothing to retrain from",
        "DriftMonitor",
        {
            "target": {"inferenceService": "known"},
            "interval": "2s",
            "retraining": {"template": {"trainingJob": "nowhere"}},
        },
        ("RetrainingAllowed=False DependencyNotReady",),
        "nowhere",
    ),
)


@dataclass
class Misoperations:
    """Lets the operator and the real runs meet what people get wrong."""

    harness: Harness
    tried: int = 0
    failures: list[Failure] = field(default_factory=list)

    async def all(self, only: str = "") -> None:
        programs.ensure((versions.STORE,))
        with (
            tempfile.TemporaryDirectory(prefix="tidemill-misoperations-") as folder,
            gateway.gateway(Path(folder) / "store") as endpoint,
        ):
            reports = self.harness.kubelet.scripts[NAMESPACE].reports
            before, real = dict(reports), _real(Path(folder), endpoint)
            for task, scripted in before.items():
                reports[task] = _either(scripted, real)
            try:
                await self._rows()
                await asyncio.gather(
                    *(self._try_case(n, case) for n, case in enumerate(CASES) if only in ("", case.title))
                )
                common = [*self.harness.alarms(), *self.harness.disturbed(), *await self.harness.tidy()]
                if common:
                    self.failures.append(Failure(self._case(CASES[0]), tuple(common)))
            finally:
                reports.update(before)

    async def _rows(self) -> None:
        spec = {
            "source": {"inline": {"data": INLINE}},
            "columns": [{"name": "kind", "role": "Target", "type": "Categorical"}],
        }
        answer = await self.harness.create(made("Dataset", "misrows", spec))
        assert answer.admitted, answer.causes
        await self.harness.settle([key("Dataset", "misrows")], PATIENCE)
        assert self.harness.ready(key("Dataset", "misrows"))[0] == "True", self.harness.ready(key("Dataset", "misrows"))

    def _case(self, misoperation: Misoperation) -> Case:
        spec = {**specimens.seed(misoperation.kind, schemas.specs()[misoperation.kind]), **misoperation.change}
        return Case("M2", misoperation.kind, misoperation.title, (spec,))

    async def _try_case(self, number: int, misoperation: Misoperation) -> None:
        harness, of, case = self.harness, key(misoperation.kind, f"mis{number}"), self._case(misoperation)
        self.tried += 1
        answer = await harness.create(made(misoperation.kind, of.name, case.specs[0]))
        if not answer.admitted:
            # Refused at the door is the best answer there is.
            return
        message = ""
        for _ in range(int(PATIENCE / 0.2)):
            message = self._message(of, misoperation)
            if not message:
                return
            await asyncio.sleep(0.2)
        self.failures.append(
            Failure(
                case, (f"expected {' or '.join(misoperation.expected)} saying {misoperation.words!r}, found {message}",)
            )
        )

    def _message(self, of: Any, misoperation: Misoperation) -> str:
        manifest: Manifest = self.harness.mirror.get(*of) or {}
        results = {c["type"]: c for c in (manifest.get("status") or {}).get("conditions") or ()}
        for expected in misoperation.expected:
            type_, _, rest = expected.rpartition("=")
            condition = results.get(type_ or "Ready")
            if (
                condition
                and f"{condition['status']} {condition['reason']}" == rest
                and misoperation.words in condition["message"]
            ):
                return ""
        return str([f"{c['type']}={c['status']} {c['reason']}: {c['message'][:200]}" for c in results.values()])


def _either(
    scripted: Callable[[Manifest], RunReport], real: Callable[[Manifest], RunReport]
) -> Callable[[Manifest], RunReport]:
    """The real run for objects of misoperations, the scripted one for all others."""

    def report(order: Manifest) -> RunReport:
        name = str(order.get("trainingJob") or (order.get("dataset") if order["task"] == "Ingest" else ""))
        return real(order) if name.startswith("mis") else scripted(order)

    return report


def _real(folder: Path, endpoint: str) -> Callable[[Manifest], RunReport]:
    secret = gateway.secret(folder / "secret", endpoint)

    def report(order: Manifest) -> RunReport:
        from tidemill.runtime.worker import run as runs

        path, report = folder / "order.json", folder / "report"
        path.write_bytes(run_order.dump_json(run_order.validate_python(order), by_alias=True))
        runs.run(path, report_path=report, store_path=secret, credentials_path=folder / "credentials")
        return RunReport.model_validate_json(report.read_text())

    return report
