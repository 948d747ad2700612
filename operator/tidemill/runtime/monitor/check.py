"""A check run: read what the version learnt from and what the window holds, judge, and publish the result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pydantic import TypeAdapter

from tidemill.api.modelversion import Measured
from tidemill.contract import (
    Checked,
    CheckOrder,
    CheckOutcome,
    LogColumn,
    RunReport,
    VersionOrder,
    label_folder,
    prediction_folder,
)
from tidemill.runtime import manifest
from tidemill.runtime.artifact import EVALUATION_FILE, PROFILE_FILE
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.monitor import report, window
from tidemill.runtime.monitor.checks import evaluate
from tidemill.runtime.monitor.comparison import compare
from tidemill.runtime.monitor.evidence import OUTPUTS, Evidence, Reference
from tidemill.runtime.monitor.performance import Classified, Predicted, classified
from tidemill.runtime.monitor.thresholds import worst
from tidemill.runtime.objects import Store
from tidemill.runtime.predictor import SIGNATURE_FILE
from tidemill.runtime.profile import Counter, Profile, ProfileError
from tidemill.runtime.signature import Signature

_evaluation: TypeAdapter[tuple[Measured, ...]] = TypeAdapter(tuple[Measured, ...])


def run(order: CheckOrder, store: Store) -> RunReport:
    """Compare the order's window with its version, publish result and report, and say what was found.

    Raises RunFailed where the store does not answer or the version's files are not what its digest says.
    """
    reference = load_reference(order.version, store)
    evidence, warnings = gather(order, reference, store)
    outcomes = tuple(evaluate(check, evidence) for check in order.checks)
    verdict = worst(outcome.verdict for outcome in outcomes)
    folder = f"{order.namespace}/monitors/{order.monitor}/{order.end.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}"
    store.put(f"{folder}/result.json", to_json(order, evidence, outcomes, warnings))
    page = report.of_check(order, evidence, outcomes, verdict, warnings)
    store.put(f"{folder}/report.html", page.encode())
    checked = Checked(
        samples=evidence.samples,
        labelled=evidence.labels,
        verdict=verdict,
        checks=outcomes,
        report_uri=store.uri_of(f"{folder}/report.html"),
    )
    return RunReport(checked=checked, warnings=warnings)


def load_reference(version: VersionOrder, store: Store) -> Reference:
    """What the version learnt from, from those of its files that matter here; each is checked before it is read."""
    folder = store.key_of(version.uri)
    try:
        files = manifest.Manifest.verified(store.get(f"{folder}/{manifest.FILE}"), version.digest, version.uri).files
    except FileNotFoundError:
        raise ArtifactCorrupt(
            f"{version.uri} has no {manifest.FILE}: it was deleted, or never published; train it again"
        ) from None

    def read(name: str) -> bytes:
        if name not in files:
            raise ArtifactCorrupt(f"{version.uri} has no {name}; train the version again")
        try:
            content = store.get(f"{folder}/{name}")
        except FileNotFoundError:
            raise ArtifactCorrupt(f"{version.uri}/{name} is gone; train the version again") from None
        if manifest.entry_of(content) != files[name]:
            raise ArtifactCorrupt(
                f"{version.uri}/{name} is not what was published; nothing of it was used; train the version again"
            )
        return content

    try:
        signature = Signature.from_json(read(SIGNATURE_FILE))
        profile = Profile.from_json(read(PROFILE_FILE))
        evaluation = _evaluation.validate_json(read(EVALUATION_FILE)) if EVALUATION_FILE in files else ()
    except (ValueError, ProfileError) as error:
        raise ArtifactCorrupt(f"{version.uri} cannot be compared with: {error}; train the version again") from error
    holdout = next((measured.metrics for measured in evaluation if measured.on == "Holdout"), {})
    return Reference.of(signature, profile, holdout)


def gather(order: CheckOrder, reference: Reference, store: Store) -> tuple[Evidence, tuple[str, ...]]:
    """The window's rows counted on the reference's bins, the labelled answers, and what there is to warn of.

    Inputs are watched whichever version answered, since it is the world that drifts; answers are those of the monitored
    version alone, also while a candidate answers a part.
    """
    skipped, label_skipped = window.Skipped([]), window.Skipped([])
    wanted = {column.name for column in (*reference.features.columns, *reference.outputs.columns)}
    wanted |= {LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.DIGEST, *OUTPUTS}
    label_parts = window.keys(store, label_folder(order.namespace, order.service), order.start, None)
    labels = window.labels(store, label_parts, label_skipped)
    features, outputs = Counter(reference.features), Counter(reference.outputs)
    samples = answered = 0
    matched: list[tuple[pa.Array, pa.Table]] = []
    parts = window.keys(store, prediction_folder(order.namespace, order.service), order.start, order.end)
    for batch in window.rows(store, parts, lambda names: [name for name in names if name in wanted], skipped):
        table = window.within(batch, order.start, order.end)
        samples += table.num_rows
        features.add(table)
        own = _answered_by(order.version.digest, table)
        answered += own.num_rows
        outputs.add(own)
        if len(labels.keys) and LogColumn.PREDICTION in own.schema.names:
            found, values = labels.match(own)
            names = [name for name in OUTPUTS if name in own.schema.names]
            matched.append((values, own.select(names).filter(pa.array(found))))
    warnings = skipped.warnings() + label_skipped.warnings()
    if labels.contradicted:
        rows = "row has" if labels.contradicted == 1 else "rows have"
        warnings += (f"{labels.contradicted} {rows} contradictory labels; the newest counts",)
    absent = [
        feature.name
        for feature in reference.signature.features
        if reference.features.column(LogColumn.FEATURE + feature.name) is None
    ]
    if absent:
        warnings += (f"the version's profile lacks {', '.join(absent[:3])}; these are not compared",)
    evidence = Evidence(
        reference=reference,
        features=compare(reference.features, features.profile()),
        outputs=compare(reference.outputs, outputs.profile()),
        samples=samples,
        answered=answered,
        labelled=_labelled(reference.signature, matched),
        minimum_samples=order.minimum_samples,
        minimum_labels=order.minimum_labels,
    )
    return evidence, warnings


def _answered_by(digest: str, table: pa.Table) -> pa.Table:
    if LogColumn.DIGEST not in table.schema.names:
        return table.slice(0, 0)
    import pyarrow.compute as pc

    return table.filter(pc.equal(table.column(LogColumn.DIGEST), digest))


def _labelled(signature: Signature, matched: list[tuple[pa.Array, pa.Table]]) -> Classified | Predicted | None:
    if not any(len(values) for values, _ in matched):
        return None
    labels = [label for values, _ in matched for label in values.to_pylist()]
    answers = [answer for _, table in matched for answer in table.column(LogColumn.PREDICTION).to_pylist()]
    if signature.task == "Regression":
        numbers, predicted = _floats(labels), _floats(answers)
        usable = np.isfinite(numbers) & np.isfinite(predicted)
        return Predicted(numbers[usable], predicted[usable])
    scores = _floats(
        [
            score
            for _, table in matched
            for score in (
                table.column(LogColumn.SCORE).to_pylist()
                if LogColumn.SCORE in table.schema.names
                else [None] * table.num_rows
            )
        ]
    )
    return classified(signature.classes, labels, answers, scores)


def _floats(values: list[Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    def number(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return float("nan")

    return np.array([number(value) for value in values], np.float64)


def to_json(
    order: CheckOrder, evidence: Evidence, outcomes: tuple[CheckOutcome, ...], warnings: tuple[str, ...]
) -> bytes:
    """Everything that was found, for programs."""
    columns: list[Mapping[str, Any]] = [
        {
            "name": column.name,
            "rows": column.current.rows,
            "present": column.current.present,
            "statistics": dict(column.statistics),
        }
        for column in (*evidence.features, *evidence.outputs)
    ]
    return orjson.dumps(
        {
            "format": "tidemill.dev/check/v1",
            "order": order.to_wire(),
            "samples": evidence.samples,
            "answered": evidence.answered,
            "labelled": evidence.labels,
            "verdict": worst(outcome.verdict for outcome in outcomes),
            "checks": [outcome.to_wire() for outcome in outcomes],
            "columns": columns,
            "warnings": warnings,
        },
        option=orjson.OPT_INDENT_2,
    )
