"""Dataset: where rows come from, what they must look like, which revision is current."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Digest,
    Duration,
    LocalReference,
    Moment,
    PrinterColumn,
    Quantities,
    Resource,
    Rule,
    Share,
    Text,
    WireModel,
    at_least_a_second,
    in_order,
)
from tidemill.api.conditions import Status
from tidemill.api.sources import InlineData, Source

Schedule = Annotated[
    str, Field(pattern=r"^(@(hourly|daily|weekly|monthly|yearly)|[0-9*/,-]+( [0-9A-Za-z*/,-]+){4})$", max_length=100)
]
"""A cron expression of five fields, in UTC."""
Role = Literal["Feature", "Target", "Protected", "Id", "Entity", "Timestamp", "Weight", "Ignored"]
ColumnType = Literal["Numerical", "Categorical"]


class SecretReference(WireModel):
    """Credentials of an outside store."""

    secret_ref: LocalReference
    """A Secret with `endpoint`, `access-key-id` and `secret-access-key`; it is mounted as files, never read by the operator."""


class ColumnSpec(WireModel):
    """What is known of a column in advance."""

    list_key: ClassVar[str] = "name"

    name: ColumnName
    """The column's name in the source."""
    role: Role = "Feature"
    """What the column is for; an Entity is whom or what a row is about, kept beside the features and never learnt from. A Protected column tells groups of people apart: no model takes it, and a service logs it where clients send it beside the features."""
    type: ColumnType | None = None
    """Inferred when left out."""
    nullable: bool = True
    """Whether values may be missing."""
    minimum: float | None = None
    """The smallest value that is believed."""
    maximum: float | None = None
    """The largest value that is believed."""
    max_categories: int | None = Field(default=None, ge=1, le=100000)
    """How many different values a categorical column is believed to have at most."""

    rules: ClassVar[tuple[Rule, ...]] = (
        in_order({"name": "age", "minimum": 0, "maximum": 0}, {"name": "age", "minimum": 1, "maximum": 0}),
    )


class Splits(WireModel):
    """Which rows are held out from training, for ever: the same row falls on the same side in every revision."""

    strategy: Literal["Random", "Stratified", "Group", "Time"] = "Stratified"
    """Stratified keeps the share of each target value; Random does not look at it; Group keeps rows with the same value of `column` on one side; Time holds out the newest rows by `column`."""
    column: ColumnName | None = None
    """For Group and Time: the column they go by."""
    test: Share = 0.2
    """The share of rows held out."""
    seed: int = Field(default=7, ge=0, le=2147483647)
    """Another seed is another split."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.column) == (has(self.strategy) && self.strategy in ['Group', 'Time'])",
            "Group and Time name the column that they go by; Random and Stratified have none",
            accepts={"strategy": "Group", "column": "customer"},
            rejects={"strategy": "Group"},
        ),
    )


class Expectation(WireModel):
    """A bound on what the rows may look like."""

    metric: Literal["RowCount", "MissingShare", "DuplicateRowShare", "Minimum", "Maximum", "Mean", "DistinctCount"]
    """What is measured."""
    column: ColumnName | None = None
    """The column it is measured on; RowCount and DuplicateRowShare have none."""
    minimum: float | None = None
    """The smallest value that passes."""
    maximum: float | None = None
    """The largest value that passes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum)",
            "set minimum, maximum or both",
            accepts={"metric": "RowCount", "minimum": 100},
            rejects={"metric": "RowCount"},
        ),
        Rule(
            "has(self.column) != (self.metric in ['RowCount', 'DuplicateRowShare'])",
            "RowCount and DuplicateRowShare are of the whole table; every other metric names its column",
            accepts={"metric": "MissingShare", "column": "age", "maximum": 0.1},
            rejects={"metric": "MissingShare", "maximum": 0.1},
        ),
        in_order(
            {"metric": "RowCount", "minimum": 10, "maximum": 10}, {"metric": "RowCount", "minimum": 10, "maximum": 9}
        ),
    )


class Expectations(WireModel):
    """What the rows must hold to become a revision."""

    on_failure: Literal["Block", "Warn"] = "Block"
    """Block keeps the last good revision; Warn takes the new one and says what is wrong."""
    rules_: tuple[Expectation, ...] = Field(default=(), alias="rules", max_length=64)
    """The bounds."""


class Refresh(WireModel):
    """When the source is looked at again."""

    interval: Duration | None = None
    """How often; without it the source is read once for each change of the spec."""
    schedule: Schedule | None = None
    """When, as a cron expression in UTC such as `0 2 * * *`, instead of `interval`."""
    on_upstream_change: bool = False
    """Also whenever what the rows are made from has a new revision."""
    rate_limit: Duration | None = None
    """The least time between two looks, whatever asks for them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("interval", {"interval": "1s"}, {"interval": "999ms"}),
        at_least_a_second("rateLimit", {"rateLimit": "6h"}, {"rateLimit": "5ms"}),
        Rule(
            "!has(self.interval) || !has(self.schedule)",
            "set interval or schedule, not both",
            accepts={"schedule": "0 2 * * *"},
            rejects={"schedule": "0 2 * * *", "interval": "1h"},
        ),
    )


class Transform(WireModel):
    """How rows are made from the source's; exactly one of the fields is set."""

    sql: str | None = Field(default=None, min_length=1, max_length=16384)
    """A SELECT of DuckDB; the source is the table `source`, or one table for each of `source.datasets`."""
    image: str | None = Field(default=None, pattern="^[^ ]+@sha256:[0-9a-f]{64}$", max_length=1024)
    """An image, by digest, that reads `/tidemill/input` and writes `/tidemill/output`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.sql) != has(self.image)",
            "set exactly one of sql and image",
            accepts={"sql": "SELECT * FROM source"},
            rejects={"sql": "SELECT * FROM source", "image": "registry/prepare@sha256:" + "0" * 64},
        ),
    )


class Report(WireModel):
    """The HTML page about each revision."""

    enabled: bool = True
    """Whether it is written; it shows distributions of the columns, and their most frequent values."""


class DatasetSpec(WireModel):
    """Rows to learn from: their source, their columns and what they must hold."""

    source: Source
    """Where the rows are."""
    credentials: SecretReference | None = None
    """For sources outside the namespace's own store."""
    format: Literal["Auto", "CSV", "Parquet", "JSONLines"] = "Auto"
    """Auto goes by the file's name."""
    columns: tuple[ColumnSpec, ...] = Field(default=(), max_length=2048)
    """What is known of the columns; the rest is inferred and reported."""
    evolution: Literal["Strict", "Additive", "Any"] = "Additive"
    """Which changes of the columns a new revision may bring: none, new columns, or any."""
    splits: Splits = Splits()
    """Which rows are held out from training."""
    expectations: Expectations = Expectations()
    """What the rows must hold."""
    refresh: Refresh = Refresh()
    """When the source is looked at again."""
    transform: Transform | None = None
    """How the rows are made from the source's; without it they are taken as they come."""
    report: Report = Report()
    """The page about each revision."""
    resources: Quantities | None = None
    """Of the ingest pod."""
    revision_history_limit: int = Field(default=10, ge=1, le=100)
    """How many revisions the status names."""
    suspend: bool = False
    """Stops new ingest runs; the current revision stays."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.source.datasets) || self.source.datasets.size() < 2 || has(self.transform)",
            "several datasets need a transform that says how they are put together",
            accepts={
                "source": {"datasets": [{"name": "raw"}, {"name": "customers"}]},
                "transform": {"sql": "SELECT * FROM raw JOIN customers USING (id)"},
            },
            rejects={"source": {"datasets": [{"name": "raw"}, {"name": "customers"}]}},
        ),
        Rule(
            "!has(self.source.predictions) || (!has(self.credentials) && (!has(self.format) || self.format == 'Auto'))",
            "a service's log lies in the namespace's own store, in a format of its own: leave out credentials and format",
            accepts={"source": {"predictions": {"inferenceServiceRef": {"name": "fraud"}, "count": 1000}}},
            rejects={"source": {"predictions": {"inferenceServiceRef": {"name": "fraud"}}}, "format": "CSV"},
        ),
    )


class SourceParent(WireModel):
    """A Dataset this revision was made from."""

    name: str
    """Its name."""
    digest: Digest
    """Its revision."""


class Revision(WireModel):
    """An immutable set of rows in the store."""

    digest: Digest
    """Of the rows, the schema and the split: the same content has the same digest."""
    uri: str = Field(max_length=1024)
    """The folder of the revision in the store."""
    rows: int = Field(ge=0)
    """How many rows."""
    bytes: int = Field(ge=0)
    """Size of the stored rows, in bytes."""
    columns: int = Field(ge=0)
    """How many columns."""
    features: int = Field(default=0, ge=0)
    """How many of the columns are features."""
    target: str = ""
    """The column to predict, if the Dataset names one."""
    source_revision: str = Field(default="", max_length=256)
    """What the source was when it was read: an ETag, a commit, a version."""
    profile_uri: str = Field(default="", max_length=1024)
    """The distribution of every column, as JSON."""
    report_uri: str = Field(default="", max_length=1024)
    """An HTML page about the rows."""
    parents: tuple[SourceParent, ...] = Field(default=(), max_length=16)
    """The revisions of other Datasets that it was made from."""
    created_at: Moment
    """When the revision was first recorded here."""


class Attempt(WireModel):
    """The newest run for this resource, so that a failed one is repeated later and not at once."""

    order: str
    """Digest of what was asked."""
    number: int = Field(ge=1)
    """Counts the tries at the same order."""
    outcome: Literal["Running", "Succeeded", "Failed"]
    """How it stands."""
    at: Moment | None = None
    """The moment the order speaks of: a refresh, or the end of a window."""
    reason: str = ""
    """Why it failed."""
    message: Text = ""
    """What failed, and the remedy."""
    retryable: bool = False
    """Whether trying again without a change of the spec can help."""
    finished_at: Moment | None = None
    """When it ended."""
    terms: str = Field(default="", max_length=64)
    """Digest of the resources and the deadline it was given; with others, a failed order is tried once more."""


class DatasetStatus(Status):
    """The current revision and how it was reached."""

    revision: Revision | None = None
    """The newest good revision."""
    revisions: tuple[Revision, ...] = Field(default=(), max_length=100)
    """Earlier ones, newest first."""
    attempt: Attempt | None = None
    """The newest ingest run."""
    warnings: tuple[str, ...] = Field(default=(), max_length=32)
    """What was found wanting in the current revision without blocking it."""


class Dataset(Resource[DatasetSpec, DatasetStatus]):
    """Rows to learn from, as immutable revisions with a digest, a schema, a frozen hold-out and a profile."""

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
    """What is wanted."""
    status: DatasetStatus = DatasetStatus()
    """What is."""


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
