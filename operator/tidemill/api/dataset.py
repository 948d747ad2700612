"""Dataset: the source of rows, the conditions they must meet, and the current revision."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Cron,
    Digest,
    Duration,
    LocalReference,
    PrinterColumn,
    Quantities,
    Resource,
    Rule,
    Share,
    Text,
    Timestamp,
    WireModel,
    at_least_a_second,
    in_order,
)
from tidemill.api.conditions import Status
from tidemill.api.sources import InlineData, Source

Role = Literal["Feature", "Target", "Protected", "Id", "Entity", "Timestamp", "Weight", "Ignored"]
ColumnType = Literal["Numerical", "Categorical"]


class SecretReference(WireModel):
    """Credentials of an object store."""

    secret_ref: LocalReference
    """Secret with the keys `endpoint`, `access-key-id` and `secret-access-key`. It is mounted as files; the operator
    never reads it."""


class ColumnSpec(WireModel):
    """Known properties of a column."""

    list_key: ClassVar[str] = "name"

    name: ColumnName
    """Name of the column in the source."""
    role: Role = "Feature"
    """Role of the column. Entity identifies the subject of a row: it is stored with the features and never trained
    on. Protected separates groups of people: no model is trained on it, and a service logs it where clients send
    it with the features."""
    type: ColumnType | None = None
    """Type of the column; inferred if empty."""
    nullable: bool = True
    """Allow missing values."""
    minimum: float | None = None
    """Smallest plausible value; smaller values count as out of range."""
    maximum: float | None = None
    """Largest plausible value; larger values count as out of range."""
    max_categories: int | None = Field(default=None, ge=1, le=100000)
    """Maximum number of distinct values of a categorical column."""

    rules: ClassVar[tuple[Rule, ...]] = (
        in_order({"name": "age", "minimum": 0, "maximum": 0}, {"name": "age", "minimum": 1, "maximum": 0}),
    )


class Splits(WireModel):
    """Hold-out of the Dataset. A row stays on the same side of the split in every revision."""

    strategy: Literal["Random", "Stratified", "Group", "Time"] = "Stratified"
    """Split method. Stratified keeps the share of each target value. Random ignores the target. Group keeps rows with
    the same value of `column` together. Time holds out the newest rows by `column`."""
    column: ColumnName | None = None
    """For Group and Time: the column that decides."""
    test: Share = 0.2
    """Share of the rows that is held out."""
    seed: int = Field(default=7, ge=0, le=2147483647)
    """Random seed; another seed makes another split."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.column) == (has(self.strategy) && self.strategy in ['Group', 'Time'])",
            "strategy and column do not match; set column for Group and Time, remove it for Random and Stratified",
            accepts={"strategy": "Group", "column": "customer"},
            rejects={"strategy": "Group"},
        ),
    )


class Expectation(WireModel):
    """A bound on the rows of a revision."""

    metric: Literal["RowCount", "MissingShare", "DuplicateRowShare", "Minimum", "Maximum", "Mean", "DistinctCount"]
    """Quantity that is measured."""
    column: ColumnName | None = None
    """Column that is measured; empty for RowCount and DuplicateRowShare."""
    minimum: float | None = None
    """Smallest value that passes."""
    maximum: float | None = None
    """Largest value that passes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum)",
            "the expectation has no bound; set minimum, maximum or both",
            accepts={"metric": "RowCount", "minimum": 100},
            rejects={"metric": "RowCount"},
        ),
        Rule(
            "has(self.column) != (self.metric in ['RowCount', 'DuplicateRowShare'])",
            "metric and column do not match; remove column for RowCount and DuplicateRowShare, set it for every other metric",
            accepts={"metric": "MissingShare", "column": "age", "maximum": 0.1},
            rejects={"metric": "MissingShare", "maximum": 0.1},
        ),
        in_order(
            {"metric": "RowCount", "minimum": 10, "maximum": 10}, {"metric": "RowCount", "minimum": 10, "maximum": 9}
        ),
    )


class Expectations(WireModel):
    """Conditions that the rows of a new revision must meet."""

    on_failure: Literal["Block", "Warn"] = "Block"
    """Action if an expectation fails. Block keeps the last good revision; Warn accepts the new one and adds a warning
    to the status."""
    rules_: tuple[Expectation, ...] = Field(default=(), alias="rules", max_length=64)
    """List of bounds."""


class Refresh(WireModel):
    """Schedule on which the source is read again."""

    interval: Duration | None = None
    """Time between two reads. If neither interval nor schedule is set, the source is read once per change of the
    spec. `kubectl tidemill refresh` reads it at once."""
    schedule: Cron | None = None
    """Cron expression in UTC, such as `0 2 * * *`, instead of `interval`: the source is read at these times. Times
    that pass while it cannot be read are made up for by one read. A failed read is repeated before the next time."""
    on_upstream_change: bool = False
    """Also read the source when a Dataset it is made from has a new revision."""
    rate_limit: Duration | None = None
    """Minimum time between the end of a read and the next one, whatever triggers it; a change of the spec is read at
    once."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("interval", {"interval": "1s"}, {"interval": "999ms"}),
        at_least_a_second("rateLimit", {"rateLimit": "6h"}, {"rateLimit": "5ms"}),
        Rule(
            "!has(self.interval) || !has(self.schedule)",
            "interval and schedule are both set; remove one of them",
            accepts={"schedule": "0 2 * * *"},
            rejects={"schedule": "0 2 * * *", "interval": "1h"},
        ),
    )


class Transform(WireModel):
    """Transformation of the source rows; set exactly one of the fields."""

    sql: str | None = Field(default=None, min_length=1, max_length=16384)
    """One SELECT statement of DuckDB. The source is the table `source`, or one table for each of `source.datasets` by
    its name (in double quotes where it has a hyphen). It reads no file and no network."""
    image: str | None = Field(default=None, pattern="^[^ ]+@sha256:[0-9a-f]{64}$", max_length=1024)
    """Image, by digest, that reads `/tidemill/input` and writes `/tidemill/output`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.sql) != has(self.image)",
            "set exactly one of sql and image",
            accepts={"sql": "SELECT * FROM source"},
            rejects={"sql": "SELECT * FROM source", "image": "registry/prepare@sha256:" + "0" * 64},
        ),
    )


class Report(WireModel):
    """HTML report on each revision."""

    enabled: bool = True
    """Write the report. It shows the distribution of each column and its most frequent values."""


class DatasetSpec(WireModel):
    """Desired state of the Dataset: the source of the rows, their columns and the conditions they must meet."""

    source: Source
    """Source of the rows."""
    credentials: SecretReference | None = None
    """Credentials for a source outside the object store of the namespace."""
    format: Literal["Auto", "CSV", "Parquet", "JSONLines"] = "Auto"
    """File format; Auto decides by the file name."""
    columns: tuple[ColumnSpec, ...] = Field(default=(), max_length=2048)
    """Known properties of columns; everything else is inferred and reported."""
    evolution: Literal["Strict", "Additive", "Any"] = "Additive"
    """Schema changes that a new revision may bring. Strict: none. Additive: new columns. Any: all changes."""
    splits: Splits = Splits()
    """Hold-out: the rows that are never used for training."""
    expectations: Expectations = Expectations()
    """Conditions that the rows of a new revision must meet."""
    refresh: Refresh = Refresh()
    """Schedule on which the source is read again."""
    transform: Transform | None = None
    """Transformation of the source rows; rows are used unchanged if empty."""
    report: Report = Report()
    """HTML report on each revision."""
    resources: Quantities | None = None
    """Compute resources of the ingest pod."""
    revision_history_limit: int = Field(default=10, ge=1, le=100)
    """Number of revisions that are listed in the status. Rows of others are deleted some days after the last object
    that refers to them."""
    suspend: bool = False
    """Stop new ingest runs; the current revision stays in use."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.source.datasets) || self.source.datasets.size() < 2 || has(self.transform)",
            "several datasets cannot be read without a transform; set transform to combine them",
            accepts={
                "source": {"datasets": [{"name": "raw"}, {"name": "customers"}]},
                "transform": {"sql": "SELECT * FROM raw JOIN customers USING (id)"},
            },
            rejects={"source": {"datasets": [{"name": "raw"}, {"name": "customers"}]}},
        ),
        Rule(
            "!has(self.source.predictions) || (!has(self.credentials) && (!has(self.format) || self.format == 'Auto'))",
            "a prediction log is always in the object store of the namespace, in its own format; remove credentials and format",
            accepts={"source": {"predictions": {"inferenceServiceRef": {"name": "fraud"}, "count": 1000}}},
            rejects={"source": {"predictions": {"inferenceServiceRef": {"name": "fraud"}}}, "format": "CSV"},
        ),
    )


class SourceParent(WireModel):
    """A Dataset revision that this revision was made from."""

    name: str
    """Name of the Dataset."""
    digest: Digest
    """Digest of the revision."""


class Revision(WireModel):
    """An immutable set of rows in the object store."""

    digest: Digest
    """Digest of rows, schema and split; equal content has an equal digest."""
    uri: str = Field(max_length=1024)
    """Folder of the revision in the object store."""
    rows: int = Field(ge=0)
    """Number of rows."""
    bytes: int = Field(ge=0)
    """Size of the stored rows in bytes."""
    columns: int = Field(ge=0)
    """Number of columns."""
    features: int = Field(default=0, ge=0)
    """Number of columns that are features."""
    target: str = ""
    """Column to predict; empty if the Dataset names none."""
    source_revision: str = Field(default="", max_length=256)
    """Version of the source when it was read, such as an ETag or a commit."""
    profile_uri: str = Field(default="", max_length=1024)
    """URI of the profile: the distribution of each column, as JSON."""
    report_uri: str = Field(default="", max_length=1024)
    """URI of the HTML report."""
    parents: tuple[SourceParent, ...] = Field(default=(), max_length=16)
    """Revisions of other Datasets that this revision was made from."""
    created_at: Timestamp
    """Time when the revision was first recorded in this status."""


class Attempt(WireModel):
    """The newest run for this resource."""

    order: str
    """Digest of the run order."""
    number: int = Field(ge=1)
    """Number of the attempt at this order, from 1."""
    outcome: Literal["Running", "Succeeded", "Failed"]
    """State of the run: Running, Succeeded or Failed."""
    at: Timestamp | None = None
    """Time that the order refers to: the time of a refresh, or the end of a window."""
    reason: str = ""
    """CamelCase word for the cause of the failure."""
    message: Text = ""
    """Description of the failure, and the remedy."""
    retryable: bool = False
    """True if a retry can succeed without a change of the spec."""
    finished_at: Timestamp | None = None
    """Time when the run ended."""
    terms: str = Field(default="", max_length=64)
    """Digest of the attempt's resources and deadline. If they change, a failed run is retried once."""


class DatasetStatus(Status):
    """Observed state of the Dataset."""

    revision: Revision | None = None
    """Newest accepted revision."""
    revisions: tuple[Revision, ...] = Field(default=(), max_length=100)
    """Earlier revisions, newest first."""
    attempt: Attempt | None = None
    """Newest ingest run."""
    warnings: tuple[str, ...] = Field(default=(), max_length=32)
    """Problems of the current revision that did not block it."""


class Dataset(Resource[DatasetSpec, DatasetStatus]):
    """Rows for training, as immutable revisions with a digest, a schema, a fixed hold-out and a profile."""

    kind_name: ClassVar[str] = "Dataset"
    plural: ClassVar[str] = "datasets"
    short_name: ClassVar[str] = "tds"
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Revision", ".status.revision.digest", priority=1),
        PrinterColumn("Rows", ".status.revision.rows", "integer"),
        PrinterColumn("Columns", ".status.revision.columns", "integer"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "Dataset"
    spec: DatasetSpec
    """Desired state."""
    status: DatasetStatus = DatasetStatus()
    """Observed state."""


__all__ = [
    "Attempt",
    "ColumnSpec",
    "Dataset",
    "DatasetSpec",
    "DatasetStatus",
    "Expectation",
    "Expectations",
    "InlineData",
    "Refresh",
    "Report",
    "Revision",
    "Source",
    "Splits",
    "Transform",
]
