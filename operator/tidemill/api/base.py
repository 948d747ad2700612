"""Types that all five kinds share: immutable models in camelCase, metadata, small field types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

GROUP = "tidemill.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Rule(NamedTuple):
    """A CEL rule of the API server, with one example that it accepts and one that it rejects.

    `accepts` and `rejects` are fragments of the value that the rule is attached to; tests send both to a real API server.
    A transition rule (one that names `oldSelf`) is tested by updating `accepts` to `rejects`.
    """

    rule: str
    message: str
    accepts: dict[str, Any]
    rejects: dict[str, Any]
    field_path: str = ""


def at_least_a_second(field: str, accepts: dict[str, Any], rejects: dict[str, Any]) -> Rule:
    """Return a rule that rejects durations below one second, which would keep the operator busy all the time."""
    return Rule(
        f"!has(self.{field}) || self.{field}.matches('[1-9][0-9]*(s|h|d|m([^s]|$))')",
        f"{field} must be at least one second; use a longer duration",
        accepts,
        rejects,
    )


def unchanged(*fields: str) -> str:
    """Return the part of a rule that keeps optional fields unchanged; `self.?field` would exceed the cost limit of a rule."""
    return " && ".join(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
        for field in fields
    )


def in_order(accepts: dict[str, Any], rejects: dict[str, Any]) -> Rule:
    """Return a rule that rejects a minimum above the maximum."""
    return Rule(
        "!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
        "minimum must not be greater than maximum; swap or correct them",
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
    """The field that keys a list of these values: unique in the list, and merged item by item when applied."""

    def to_wire(self) -> dict[str, Any]:
        """Return this value as JSON types with the field names of the API, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _in_utc(timestamp: datetime) -> datetime:
    try:
        return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)
    except OverflowError as error:
        # The last hours of the year 9999 in a western time zone: the API server accepts them, a calendar in UTC does not.
        raise ValueError("a timestamp must be between the years 1 and 9999 in UTC") from error


def to_rfc3339(timestamp: datetime) -> str:
    """Return `timestamp` in the format of Kubernetes, in whole seconds of UTC.

    >>> from datetime import UTC
    >>> to_rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    # Not strftime: its %Y has no leading zeros, which an early year needs.
    return timestamp.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Timestamp = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(to_rfc3339, return_type=str, when_used="json")]
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object of any kind, where it is only displayed."""
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
# Bounded so that the sum of all parts fits into a date, and into the 32 bits in which Kubernetes counts seconds.
Duration = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,9}ms)?$",
        min_length=2,
        max_length=40,
    ),
]
Cron = Annotated[
    str,
    Field(
        pattern=r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,#?L-]+( +[0-9A-Za-z*/,#?L-]+){4})$",
        min_length=6,
        max_length=100,
    ),
]
"""Minute, hour, day of month, month, day of week, in UTC; or a macro such as `@daily`."""
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[int, Field(ge=0, le=100)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
MetricName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_@.-]*$", max_length=64)]
Text = Annotated[str, Field(max_length=4096)]
Scalar = str | int | float | bool
MAX_PARAMETER_ITEMS = 64
ScalarList = Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=MAX_PARAMETER_ITEMS)]
ScalarMap = Annotated[dict[str, Scalar], Field(min_length=1, max_length=MAX_PARAMETER_ITEMS)]
Parameter = Scalar | ScalarList | ScalarMap
"""A constructor argument: text, a number, a truth value, a list of these such as `[64, 32]`, or a map of these such as `{"a": 2}`."""


class OwnerReference(WireModel):
    """The owner of an object; deleting the owner deletes the object."""

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
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()


SpecT = TypeVar("SpecT", bound=WireModel)
StatusT = TypeVar("StatusT", bound=WireModel)


class Resource(WireModel, Generic[SpecT, StatusT]):
    """A custom resource of one of the five kinds."""

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
    """A reference to an object of the same namespace by name."""

    name: Name
    """Name of the referenced object."""


class EnvironmentVariable(WireModel):
    """An environment variable of a container."""

    list_key: ClassVar[str] = "name"

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", min_length=1, max_length=128)]
    """Name of the variable. Names that begin with TIDEMILL_ are reserved for the operator."""
    value: str = Field(default="", max_length=4096)
    """Value of the variable. Do not put credentials here."""


class Quantities(WireModel):
    """Compute resources of a container."""

    requests: dict[str, str | int] | None = Field(default=None, max_length=16)
    """Resources that the scheduler reserves for the pod, such as `cpu: 500m`."""
    limits: dict[str, str | int] | None = Field(default=None, max_length=16)
    """Largest amounts the pod may use, such as `memory: 2Gi`."""
