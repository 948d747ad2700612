"""What all five kinds share: immutable models in camelCase, metadata, small field types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

GROUP = "tidemill.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Rule(NamedTuple):
    """A CEL rule of the API server, with one spec it lets through and one it refuses.

    `accepts` and `rejects` are fragments of the value that the rule stands on; both are tried on a real API server.
    A transition rule (one that names `oldSelf`) is tried by updating `accepts` to `rejects`.
    """

    rule: str
    message: str
    accepts: dict[str, Any]
    rejects: dict[str, Any]
    field_path: str = ""


def at_least_a_second(field: str, accepts: dict[str, Any], rejects: dict[str, Any]) -> Rule:
    """A rule against durations so short that the operator would do nothing else."""
    return Rule(
        f"!has(self.{field}) || self.{field}.matches('[1-9][0-9]*(s|h|d|m([^s]|$))')",
        f"{field} must be at least one second",
        accepts,
        rejects,
    )


def unchanged(*fields: str) -> str:
    """The part of a rule that keeps optional fields as they are; `self.?field` would cost more than a rule may."""
    return " && ".join(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
        for field in fields
    )


def in_order(accepts: dict[str, Any], rejects: dict[str, Any]) -> Rule:
    """A rule for two bounds that nothing could keep if they were the wrong way round."""
    return Rule(
        "!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
        "minimum must not be above maximum",
        accepts,
        rejects,
    )


class PrinterColumn(NamedTuple):
    """A column that `kubectl get` prints."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


class WireModel(BaseModel):
    """A frozen value; its field docstrings are what `kubectl explain` prints."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        extra="ignore",
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    list_key: ClassVar[str] = ""
    """The field by which a list of these is keyed: unique in the list, and merged item by item when applied."""

    def to_wire(self) -> dict[str, Any]:
        """This value as JSON types in the API's own spelling, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        # The last hours of the year 9999, as seen from the west: the API server takes them, a calendar in UTC does not.
        raise ValueError("a moment must lie between the years 1 and 9999 of UTC") from error


def to_rfc3339(moment: datetime) -> str:
    """`moment` as Kubernetes writes it, in whole seconds of UTC.

    >>> from datetime import UTC
    >>> to_rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    # Not strftime: its %Y has no leading zeros, which an early year needs.
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Moment = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(to_rfc3339, return_type=str, when_used="json")]
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object of any kind, where it is only quoted."""
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
# Bounded so that no sum of parts leaves the range of a date, or of the 32 bits in which Kubernetes counts seconds.
Duration = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,9}ms)?$",
        min_length=2,
        max_length=40,
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[int, Field(ge=0, le=100)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
MetricName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_@.-]*$", max_length=64)]
Text = Annotated[str, Field(max_length=4096)]
Scalar = str | int | float | bool


class OwnerReference(WireModel):
    """The object that takes this one along when it is deleted."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(WireModel):
    """The part of the metadata that Tidemill reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Moment | None = None
    deletion_timestamp: Moment | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()


SpecT = TypeVar("SpecT", bound=WireModel)
StatusT = TypeVar("StatusT", bound=WireModel)


class Resource(WireModel, Generic[SpecT, StatusT]):
    """An object of one of the five kinds."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short_name: ClassVar[str]
    columns: ClassVar[tuple[PrinterColumn, ...]]
    scale: ClassVar[dict[str, str] | None] = None

    api_version: str = API_VERSION
    kind: str = ""
    metadata: ObjectMeta
    spec: SpecT
    status: StatusT

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


class LocalReference(WireModel):
    """An object of the same namespace, by name."""

    name: Name
    """The object's name."""


class Quantities(WireModel):
    """Compute resources, as in a container."""

    requests: dict[str, str | int] | None = Field(default=None, max_length=16)
    """What the pod asks the scheduler for, such as `cpu: 500m`."""
    limits: dict[str, str | int] | None = Field(default=None, max_length=16)
    """What the pod may use at most, such as `memory: 2Gi`."""
