"""Where a Dataset's rows come from: one field for each kind of place."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, LocalReference, Name, Rule, WireModel, at_least_a_second

RepositoryUrl = Annotated[str, Field(pattern=r"^(https|ssh|git)://[^ ]+$", max_length=1024)]
GitRevision = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$", max_length=256)]
PathInside = Annotated[str, Field(pattern=r"^[^/ ][^ ]*$", max_length=1024)]
"""A path below a root, without a slash in front."""


class InlineData(WireModel):
    """A small table written into the resource itself."""

    format: Literal["CSV", "JSONLines"] = "CSV"
    """How `data` is written."""
    data: str = Field(min_length=1, max_length=65536)
    """The rows, at most 64 KiB."""


class DvcSource(WireModel):
    """A file or folder that DVC tracks in a Git repository."""

    repo: RepositoryUrl
    """The Git repository."""
    rev: GitRevision = "main"
    """A branch, a tag or a commit."""
    path: PathInside
    """The tracked file or folder."""
    remote: str | None = Field(default=None, min_length=1, max_length=256)
    """The DVC remote that holds the bytes; the repository's default where left out."""


class GitLfsSource(WireModel):
    """A file that Git LFS keeps for a Git repository."""

    repo: RepositoryUrl
    """The Git repository."""
    rev: GitRevision = "main"
    """A branch, a tag or a commit."""
    path: PathInside
    """The file."""


class PachydermSource(WireModel):
    """A repository of Pachyderm, read through its S3 gateway."""

    project: str = Field(default="default", min_length=1, max_length=63)
    """The project."""
    repo: str = Field(min_length=1, max_length=63)
    """The repository."""
    branch: str = Field(default="master", min_length=1, max_length=63)
    """The branch whose head is read."""
    path: PathInside = "*"
    """A file or a glob in it."""


class MlflowSource(WireModel):
    """A file that a run of MLflow logged as an artefact."""

    run_id: str = Field(pattern="^[0-9a-f]{32}$", max_length=32)
    """The run."""
    artifact_path: PathInside
    """The file, or the folder of files, among the run's artefacts."""


class FeastSource(WireModel):
    """Features as they were at the moments of given entities, by a Feast feature service."""

    entities: LocalReference
    """The Dataset with the entities, their moments and the target."""
    feature_service: str = Field(min_length=1, max_length=256)
    """The feature service."""


class PredictionsSource(WireModel):
    """Rows that a service answered, with the features of the version in service and its target as the label that came back."""

    inference_service_ref: LocalReference
    """The InferenceService of this namespace whose log is read."""
    window: Duration = "7d"
    """How far back rows are taken, from the moment a run is ordered; their labels count however late they came in."""
    count: int | None = Field(default=None, ge=1, le=100000000)
    """Only the newest rows of the window, at most this many; all of them where left out."""
    labels: Literal["Required", "Optional"] = "Required"
    """Required takes the rows whose label has come in; Optional takes all, with a gap in place of a label."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second(
            "window",
            {"inferenceServiceRef": {"name": "fraud"}, "window": "1h"},
            {"inferenceServiceRef": {"name": "fraud"}, "window": "1ms"},
        ),
    )


class ParentDataset(WireModel):
    """A Dataset that this one is made from."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Its name; the transform sees its current revision as a table of this name."""


class Source(WireModel):
    """Where the rows are; exactly one of the fields is set."""

    uri: str | None = Field(default=None, min_length=1, max_length=1024)
    """A file or a glob: `s3://bucket/path/*.parquet`, or a bundled real set such as `sklearn://breast_cancer`."""
    inline: InlineData | None = None
    """A small table, written here."""
    dvc: DvcSource | None = None
    """A file or folder that DVC tracks in a Git repository."""
    git_lfs: GitLfsSource | None = None
    """A file that Git LFS keeps for a Git repository."""
    pachyderm: PachydermSource | None = None
    """A repository of Pachyderm."""
    mlflow: MlflowSource | None = None
    """An artefact of a run of MLflow."""
    feast: FeastSource | None = None
    """Features of a Feast feature service."""
    predictions: PredictionsSource | None = None
    """Rows that a service answered, with the labels that came in for them."""
    datasets: tuple[ParentDataset, ...] | None = Field(default=None, min_length=1, max_length=16)
    """Other Datasets of this namespace, put together by `spec.transform`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.uri), has(self.inline), has(self.dvc), has(self.gitLfs), has(self.pachyderm), has(self.mlflow),"
            " has(self.feast), has(self.predictions), has(self.datasets)].filter(one, one).size() == 1",
            "set exactly one of uri, inline, dvc, gitLfs, pachyderm, mlflow, feast, predictions and datasets",
            accepts={"uri": "sklearn://iris"},
            rejects={"uri": "sklearn://iris", "inline": {"data": "a,b"}},
        ),
        Rule(
            "!has(self.uri) || self.uri.matches('^(s3|gs|az|https|pvc|oci|sklearn)://[^ ]+$')",
            "uri must start with s3://, gs://, az://, https://, pvc://, oci:// or sklearn://",
            accepts={"uri": "s3://lake/transactions/*.parquet"},
            rejects={"uri": "file:///etc/passwd"},
        ),
    )
