"""The map as people write it: pydantic models of one object's YAML and of `systems.yaml`.

Pure. Unknown keys are refused, because a misspelt key would silently mean "nothing".
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
DataClass = Literal["pii", "secret", "internal", "public"]
Policy = Literal["quarantine", "reject", "propose"]

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAY_MINUTES = 24 * 60

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


def clock_minute(text: Any) -> int:
    """Minutes since midnight of `08:00`; 1440 of `24:00`. Raises ValueError for anything else.

    A number is refused: YAML reads 18:00 without quotes as 1080 (https://yaml.org/type/int.html, base 60).
    """
    hour, _, minute = str(text).partition(":") if isinstance(text, str) else ("", "", "")
    if len(hour) == len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit():
        found = int(hour) * 60 + int(minute)
        if int(minute) < 60 and found <= DAY_MINUTES:
            return found
    msg = 'a time of day is written in quotes, such as "08:00"'
    raise ValueError(msg)


def clock_text(minute: int) -> str:
    """`08:00` of 480."""
    return f"{minute // 60:02}:{minute % 60:02}"


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
TimeOfDay = Annotated[int, BeforeValidator(clock_minute), _text(r"^[0-9]{2}:[0-9]{2}$", "08:00")]
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
    class_: DataClass | None = Field(default=None, alias="class")


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
    done: bool = False
    """It has happened: this is history, not something that was meant for a moment to come."""


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


class ConflictRule(Document):
    """Who decides when systems disagree, and what follows when nobody does."""

    decides: str
    """A team."""
    within: Duration
    unanswered: Literal["keep", "escalate"] = "keep"
    """keep = the owner's value stays, and the case waits; escalate = another team is told as well."""
    escalate_to: str | None = None


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
    conflict_process: ConflictRule | None = None
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


class CalendarDocument(Document):
    """Hours of the week in which something is expected."""

    time_zone: str = Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$")
    """Its name in the time zone database of IANA; only its form is checked, the core reads no database."""
    weekdays: list[Weekday] = Field(min_length=1)
    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay


class SystemsDocument(Document):
    """`systems.yaml`."""

    systems: dict[Name, SystemDocument]
    calendars: dict[Name, CalendarDocument] = {}
    """By the names that promises give."""
    teams: dict[str, TeamDocument] = {}
    """By the names that objects give as their stewards' teams."""
