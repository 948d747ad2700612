"""Labels that become known after the prediction, in a Dataset instead of calls of the feedback endpoint."""

from __future__ import annotations

from tidemill.api.base import ColumnName, Digest, Name, Timestamp, WireModel


class LabelsDataset(WireModel):
    """A Dataset of this namespace whose rows are labels."""

    name: Name
    """Name of the Dataset. Labels are read from its current revision, held-out rows included."""
    id: ColumnName
    """Column that names the predicted row, with role Id: the id of the request, `id/row` for one row of a request with
    several (rows count from 0), or the key that the client gave the row."""
    label: ColumnName
    """Column with the right answer: a class as the model spells it, or a number."""
    time: ColumnName | None = None
    """Column with the time when the label became known: a time with or without time zone (UTC), or seconds since 1970.
    A label from before the prediction does not belong to it. If empty, the creation of the revision counts."""


class FeedbackSource(WireModel):
    """Source of labels, in addition to the feedback endpoint."""

    dataset: LabelsDataset | None = None
    """Dataset of labels that become known later, joined with the predictions by id. The newest label of a row counts,
    wherever it comes from."""


class PinnedLabels(LabelsDataset):
    """The revision of a Dataset of labels that a run reads."""

    digest: Digest
    """Digest of the revision."""
    uri: str = ""
    """Folder of the revision in the object store."""
    created_at: Timestamp
    """Time when the revision was first recorded."""
