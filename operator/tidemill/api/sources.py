"""Sources of a Dataset's rows, one field for each kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, LocalReference, Name, Rule, WireModel, at_least_a_second

RepositoryUrl = Annotated[str, Field(pattern=r"^(https|ssh|git)://[^ ]+$", max_length=1024)]
GitRevision = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$", max_length=256)]
PathInside = Annotated[str, Field(pattern=r"^[^/ ][^ ]*$", max_length=1024)]
"""A relative path, without a leading slash."""


class InlineData(WireModel):
    """A small table written into the resource itself."""

    format: Literal["CSV", "JSONLines"] = "CSV"
    """Format of `data`."""
    data: str = Field(min_length=1, max_length=65536)
    """Rows of the table, at most 64 KiB."""


class DvcSource(WireModel):
    """A file or folder that DVC tracks in a Git repository."""

    repo: RepositoryUrl
    """URL of the Git repository."""
    rev: GitRevision = "main"
    """Branch, tag or commit."""
    path: PathInside
    """Path of the tracked file or folder."""
    remote: str | None = Field(default=None, min_length=1, max_length=256)
    """DVC remote that stores the data; the default remote of the repository if empty."""


class GitLfsSource(WireModel):
    """A file that is stored in Git LFS."""

    repo: RepositoryUrl
    """URL of the Git repository."""
    rev: GitRevision = "main"
    """Branch, tag or commit."""
    path: PathInside
    """Path of the file."""


class PachydermSource(WireModel):
    """A Pachyderm repository, read through its S3 gateway."""

    project: str = Field(default="default", min_length=1, max_length=63)
    """Name of the Pachyderm project."""
    repo: str = Field(min_length=1, max_length=63)
    """Name of the Pachyderm repository."""
    branch: str = Field(default="master", min_length=1, max_length=63)
    """Branch whose head commit is read."""
    path: PathInside = "*"
    """File or glob pattern in the repository."""


class MlflowSource(WireModel):
    """A file that an MLflow run logged as an artifact."""

    run_id: str = Field(pattern="^[0-9a-f]{32}$", max_length=32)
    """ID of the MLflow run."""
    artifact_path: PathInside
    """Path of the file or folder among the artifacts of the run."""


class FeastSource(WireModel):
    """Historical features of a Feast feature service for given entities and times."""

    entities: LocalReference
    """Dataset with the entities, their timestamps and the target."""
    feature_service: str = Field(min_length=1, max_length=256)
    """Name of the feature service."""


class PredictionsSource(WireModel):
    """Rows that a service has predicted: the features of the version in service, with the received label as the
    target."""

    inference_service_ref: LocalReference
    """InferenceService of this namespace whose prediction log is read."""
    window: Duration = "7d"
    """Age of the oldest rows, counted back from the start of a run. Their labels are used however late they arrived."""
    count: int | None = Field(default=None, ge=1, le=100000000)
    """Maximum number of rows, newest first; all rows of the window if empty."""
    labels: Literal["Required", "Optional"] = "Required"
    """Required takes only rows that have a label; Optional takes all rows and leaves missing labels empty."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second(
            "window",
            {"inferenceServiceRef": {"name": "fraud"}, "window": "1h"},
            {"inferenceServiceRef": {"name": "fraud"}, "window": "1ms"},
        ),
    )


class ScoredSource(WireModel):
    """Rows of another Dataset with the predictions of a model: batch prediction."""

    dataset: Name
    """Name of the Dataset whose current revision is predicted, held-out rows included."""
    model_version: Name | None = None
    """ModelVersion that predicts."""
    inference_service: Name | None = None
    """InferenceService whose stable version predicts; its pods are not asked."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.modelVersion) != has(self.inferenceService)",
            "set exactly one of modelVersion and inferenceService",
            accepts={"dataset": "customers", "modelVersion": "churn-1"},
            rejects={"dataset": "customers"},
        ),
    )


class ParentDataset(WireModel):
    """A Dataset that this Dataset is made from."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Name of the Dataset; the transform reads its current revision as a table of this name."""


class Source(WireModel):
    """Source of the rows; set exactly one of the fields."""

    uri: str | None = Field(default=None, min_length=1, max_length=1024)
    """File, folder (`…/`) or glob pattern: `s3://bucket/path/**/*.parquet`, `gs://`, `az://container/path`, `store:///path` in
    the namespace's folder of the object store, or `pvc://claim/path` on a volume. Folders named `key=value` become columns.
    Also one file at `https://host/path` (at most 1 GiB and 15 minutes, without redirects), or a bundled data set such as
    `sklearn://breast_cancer`."""
    inline: InlineData | None = None
    """Small table written into the resource itself."""
    dvc: DvcSource | None = None
    """File or folder that DVC tracks in a Git repository."""
    git_lfs: GitLfsSource | None = None
    """File that is stored in Git LFS."""
    pachyderm: PachydermSource | None = None
    """Files of a Pachyderm repository."""
    mlflow: MlflowSource | None = None
    """Artifact of an MLflow run."""
    feast: FeastSource | None = None
    """Historical features of a Feast feature service."""
    predictions: PredictionsSource | None = None
    """Rows that a service has predicted, with the labels that were received for them."""
    scored: ScoredSource | None = None
    """Rows of another Dataset with the predictions of a model, in the columns `prediction` and `score`."""
    datasets: tuple[ParentDataset, ...] | None = Field(default=None, min_length=1, max_length=16)
    """Other Datasets of this namespace, combined by `spec.transform`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.uri), has(self.inline), has(self.dvc), has(self.gitLfs), has(self.pachyderm), has(self.mlflow),"
            " has(self.feast), has(self.predictions), has(self.scored), has(self.datasets)].filter(is_set, is_set).size() == 1",
            "set exactly one of uri, inline, dvc, gitLfs, pachyderm, mlflow, feast, predictions, scored and datasets",
            accepts={"uri": "sklearn://iris"},
            rejects={"uri": "sklearn://iris", "inline": {"data": "a,b"}},
        ),
        Rule(
            "!has(self.uri) || self.uri.matches('^(store|s3|gs|az|https|pvc|oci|sklearn)://[^ ]+$')",
            "uri must start with store:///, s3://, gs://, az://, https://, pvc://, oci:// or sklearn://",
            accepts={"uri": "s3://lake/transactions/*.parquet"},
            rejects={"uri": "file:///etc/passwd"},
        ),
        Rule(
            "!has(self.uri) || !self.uri.startsWith('pvc:') || (self.uri.matches('^pvc://[a-z0-9][a-z0-9.-]*/[^/]')"
            " && !self.uri.matches('//.*//|/[.][.]?(/|$)|%[0-9A-Fa-f]{2}'))",
            "a pvc:// uri names a claim and a path on its volume; write pvc://CLAIM/path without an escape, '.' or '..'",
            accepts={"uri": "pvc://lake/raw/*.csv"},
            rejects={"uri": "pvc://lake/../etc/passwd"},
        ),
        Rule(
            "!has(self.uri) || !self.uri.startsWith('store:') || (self.uri.matches('^store:///[^/]')"
            " && !self.uri.matches('//.*//|/[.][.]?(/|$)|%[0-9A-Fa-f]{2}'))",
            "a store:/// uri names a path in the namespace's own folder; write it without a bucket, an escape, '.' or '..'",
            accepts={"uri": "store:///raw/day=*/*.csv"},
            rejects={"uri": "store:///raw/%2e%2e/other/a.csv"},
        ),
    )

    @property
    def claim(self) -> str:
        """Return the name of the PersistentVolumeClaim that `uri` names; empty for every other source.

        >>> Source(uri="pvc://lake/raw/a.csv").claim, Source(uri="sklearn://iris").claim
        ('lake', '')
        """
        uri = self.uri or ""
        return uri.removeprefix("pvc://").partition("/")[0] if uri.startswith("pvc://") else ""
