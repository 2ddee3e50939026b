"""The map as people write it: pydantic models of one object's YAML and of `systems.yaml`.

Pure. Unknown keys are refused, because a misspelt key would silently mean "nothing".
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Policy = Literal["quarantine", "reject", "propose"]

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: Any) -> int:
    """Milliseconds of `250ms`, `5s`, `15m`, `2h` or `30d`. Raises ValueError for anything else."""
    if isinstance(text, str):
        for unit in ("ms", "s", "m", "h", "d"):
            number = text.removesuffix(unit)
            if number != text and number.isascii() and number.isdigit():
                return int(number) * _UNITS_MS[unit]
    msg = "a duration is a whole number and ms, s, m, h or d, such as 5s"
    raise ValueError(msg)


def duration_text(ms: int) -> str:
    """`5s` of 5000: a duration as the map spells it."""
    for unit in ("d", "h", "m", "s"):
        if ms and ms % _UNITS_MS[unit] == 0:
            return f"{ms // _UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def percentage(text: Any) -> float:
    """The share, 0 to 1, of `1%`."""
    if isinstance(text, str) and text.endswith("%"):
        share = float(text[:-1]) / 100
        if 0 <= share <= 1:
            return share
    msg = "a percentage is a number and %, such as 1%"
    raise ValueError(msg)


def connection(text: Any) -> tuple[str, str]:
    """(source, sink) of `salesforce -> sap`."""
    parts = [part.strip() for part in str(text).split("->")]
    if len(parts) != 2 or not all(parts):
        msg = "a connection is written `source -> sink`"
        raise ValueError(msg)
    return parts[0], parts[1]


def _text(pattern: str, example: str) -> WithJsonSchema:
    """How a value is spelled in the file, for editors."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[int, BeforeValidator(duration_ms), _text(r"^[0-9]+(ms|s|m|h|d)$", "15m")]
Share = Annotated[float, BeforeValidator(percentage), _text(r"^[0-9.]+%$", "1%")]
Connection = Annotated[
    tuple[str, str], BeforeValidator(connection), _text(r"^\s*[^\s>]+\s*->\s*[^\s>]+\s*$", "crm -> erp")
]


class Document(BaseModel):
    """Base: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Steward(Document):
    """The people answerable for an object."""

    team: str
    contact: str


class DeleteRule(Document):
    """Who may end a record's life, and what readers do then."""

    authority: Name
    consumers: Literal["soft", "hard"] = "soft"


class FieldRule(Document):
    """What differs for one field."""

    system_of_record: Name | None = None
    until: AwareDatetime | None = None
    """From then on nobody owns it, and every write is held, until the map names an owner."""
    class_: Literal["pii", "secret", "internal", "public"] | None = Field(default=None, alias="class")


class SystemRule(Document):
    """What another system gets."""

    read: Literal["all", "none"] | list[FieldName] = "none"
    masked: list[FieldName] = []
    """Of these, which it may read otherwise, it gets a keyed digest: equal values look equal, and that is all."""
    mask_key: int = Field(default=1, ge=1, le=1_000_000)
    """Which key: the secret `mask-key-<number>` of the credentials. Another number fills its deliveries anew."""
    on_violation: Policy = "quarantine"
    state: Literal["live", "observe"] = "live"
    """observe = judged and counted, never authoritative, and nobody is bothered with it."""


class HandoverRule(Document):
    """A field, or the whole object, gets another system of record from a moment on."""

    field: FieldName | Literal["*"]
    """`*` = every field, creating and deleting."""
    to: Name
    valid_from: AwareDatetime
    until: AwareDatetime | None = None
    """Break-glass: from then on it belongs to whom it belonged before."""
    reason: str = ""
    approved_by: str = ""


class Latency(Document):
    """From the change in one system to its appearance in the other."""

    p99: Duration
    max: Duration


class Freshness(Document):
    """How often something is expected."""

    expect_every: Duration
    calendar: str | None = None


class Errors(Document):
    """Error thresholds."""

    alert_above: Share
    window: Duration
    retries_before_review: int = Field(ge=0, le=1000)


class Failover(Document):
    """When to fail over, and to what."""

    after: Duration
    to: str


class Recovery(Document):
    """Time to healthy, and how recovery is confirmed."""

    healthy_within: Duration
    confirm: str


class Alert(Document):
    """Where an alert goes."""

    path: str


class SlaDocument(Document):
    """The promise for one connection."""

    connection: Connection
    latency: Latency
    freshness: Freshness | None = None
    errors: Errors
    failover: Failover | None = None
    recovery: Recovery
    alert: Alert


class Review(Document):
    """When the map of this object is looked at again."""

    every: Literal["month", "quarter", "year"] = "quarter"
    last: date | None = None
    by: str = ""


class ObjectDocument(Document):
    """One object's YAML."""

    object: Name
    description: str
    key: FieldName
    steward: Steward
    contract: str
    generation: int = Field(default=1, ge=1, le=9999)
    """Of its topics. Rises with every other number of partitions; `solesource object repartition` writes it."""
    partitions: int | None = Field(default=None, ge=1, le=1024)
    """Of each of its topics; None = the cluster's default."""
    system_of_record: Name
    create: Name
    delete: DeleteRule
    fields: dict[FieldName, FieldRule] = {}
    systems: dict[Name, SystemRule] = {}
    handover: list[HandoverRule] = []
    conflicts: str = ""
    review: Review = Review()
    slas: list[SlaDocument] = []


class SystemDocument(Document):
    """One system of `systems.yaml`."""

    title: str
    kind: str
    environment: str = "production"
    contact: str
    cleared: list[Literal["pii", "secret"]] = []
    """Classes of fields that it may read as they are."""
    polls_every: Duration | None = None
    """How often its connector looks for changes; None = it is told of them."""
    applies_within: Duration | None = None
    """What it needs, for 99 of 100, until an update that it was sent is there."""
    objects: list[Name] = []
    """Objects this system may publish changes of although it has no rights on them yet: each is held."""


class TeamDocument(Document):
    """People who speak for a steward."""

    contact: str
    members: list[str] = Field(default=[], max_length=1000)
    """Names as in the console, often e-mail addresses."""


class SystemsDocument(Document):
    """`systems.yaml`."""

    systems: dict[Name, SystemDocument]
    teams: dict[str, TeamDocument] = {}
    """By the names that objects give as their stewards' teams."""
