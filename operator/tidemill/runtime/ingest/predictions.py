"""Reading a Dataset's source: rows that a service answered, joined with their labels as a retraining joins them.

The rows have the columns that the version in service was trained on, its features and its target, under the same names and
with the same types of labels: what comes out can take the place of the Dataset that the version was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.dataset import ColumnSpec
from tidemill.api.sources import PredictionsSource
from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import AnsweredOrder
from tidemill.runtime.failures import ArtifactCorrupt, SchemaMismatch, SourceEmpty
from tidemill.runtime.ingest.sources import Read
from tidemill.runtime.log import training_rows
from tidemill.runtime.model.files import VersionFiles
from tidemill.runtime.model.predictor import SIGNATURE_FILE
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import Column

_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}


def read(
    source: PredictionsSource,
    order: AnsweredOrder,
    namespace: str,
    declared: Sequence[ColumnSpec],
    store: ObjectStore,
) -> tuple[Read, tuple[ColumnSpec, ...], tuple[str, ...]]:
    """The rows, what their columns are (as declared, or else as the version has them), and what there is to warn of.

    Raises SourceEmpty where no row qualifies, SchemaMismatch where the log holds other values than labels of this target.
    """
    service, window = source.inference_service_ref.name, order.window
    signature = _signature(order, store)
    features = tuple(
        Column(name=column.name, role=role, type=column.type)
        for role, columns in (("Feature", signature.features), ("Protected", signature.protected))
        for column in columns
    )
    served = training_rows.read(store, namespace, service, window.start, window.end, features, order.labels)
    period = f"from {window.start.isoformat()} to {window.end.isoformat()}"
    rows = served.labelled if source.labels == "Required" else served.table
    if source.count is not None:
        rows = rows.slice(max(rows.num_rows - source.count, 0))
    if not rows.num_rows:
        raise SourceEmpty(_why_empty(served.table.num_rows, service, period))
    labels, strange = _labels(rows.column(LogColumn.LABEL), signature)
    warnings = served.warnings
    if strange:
        warnings += (
            f"{quantity(strange, 'label is', 'labels are')} not of the kind that {signature.target!r} has, and left out",
        )
    table = rows.select([column.name for column in features])
    if labels.null_count < len(labels):
        table = table.append_column(signature.target, labels)
    elif source.labels == "Optional":
        warnings += (f"no row has a label yet, and {signature.target!r} is left out",)
    else:
        raise SchemaMismatch(
            f"none of {quantity(strange, 'label')} that came in for {service} {period} has the type of {signature.target!r}; fix the client that sends them"
        )
    if source.labels == "Required":
        table = table.filter(pc.is_valid(labels))
    known = [ColumnSpec(name=column.name, role=column.role, type=column.type) for column in features]
    if signature.target in table.column_names and not any(spec.role == "Target" for spec in declared):
        known.append(ColumnSpec(name=signature.target, role="Target"))
    given = {spec.name for spec in declared}
    columns = (*declared, *(spec for spec in known if spec.name not in given))
    revision = f"{service}/{order.version.name}@{window.end.isoformat()}"
    return Read(table, revision, f"predictions of {service}"), columns, warnings


def _signature(order: AnsweredOrder, store: ObjectStore) -> Signature:
    try:
        return Signature.from_json(VersionFiles(order.version.uri, order.version.digest, store).read(SIGNATURE_FILE))
    except ValueError as error:
        raise ArtifactCorrupt(
            f"{order.version.uri}/{SIGNATURE_FILE} is none: {error}; train the version again"
        ) from error


def _why_empty(answered: int, service: str, period: str) -> str:
    if not answered:
        return f"{service} logged no rows {period}; wait for requests, or make spec.source.predictions.window longer"
    return (
        f"none of the {quantity(answered, 'row')} that {service} answered {period} has a label yet; send labels to its feedback "
        "endpoint, or set spec.source.predictions.labels to Optional"
    )


def _labels(texts: Any, signature: Signature) -> tuple[Any, int]:
    """Labels as the target's own type, and how many are none; a class that the version never saw is one nevertheless."""
    given = texts.to_pylist()
    kind, parse = _of_type(signature)
    values = [None if text is None else parse(text) for text in given]
    strange = sum(text is not None and value is None for text, value in zip(given, values, strict=True))
    return pa.array(values, kind), strange


def _of_type(signature: Signature) -> tuple[Any, Any]:
    """The Arrow type of the target, and what makes a value of it from a text, or None."""
    classes = signature.classes
    if signature.task == "Regression" or (classes and all(isinstance(label, float) for label in classes)):
        return pa.float64(), _number
    if classes and all(isinstance(label, bool) for label in classes):
        return pa.bool_(), lambda text: _TRUTHS.get(text.lower().removesuffix(".0"))
    if classes and all(isinstance(label, int) for label in classes):
        return pa.int64(), _whole
    return pa.string(), lambda text: text or None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _whole(text: str) -> int | None:
    value = _number(text)
    return int(value) if value is not None and value.is_integer() and abs(value) < 2**53 else None
