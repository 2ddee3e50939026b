"""The compiled map: frozen, indexed, and what the gate asks on every change.

Pure. A question without an answer in the map is answered "nobody" (I7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class OnViolation(StrEnum):
    """What a write by somebody who is not the owner meets."""

    QUARANTINE = "quarantine"
    REJECT = "reject"
    PROPOSE = "propose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """The promise for one connection: system to system, of one object. All times in ms."""

    source: str
    sink: str
    latency_p99_ms: int
    latency_max_ms: int
    expect_every_ms: int | None
    alert_above: float
    window_ms: int
    retries_before_review: int
    healthy_within_ms: int
    alert_path: str
    calendar: str | None = None
    """By which it is known when something is expected."""
    confirm: str = ""
    """How recovery is confirmed."""
    failover_after_ms: int | None = None
    failover_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A connected application."""

    name: str
    title: str
    kind: str
    environment: str
    contact: str
    publishes: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()
    """Classes of fields that it may read as they are."""
    polls_every_ms: int | None = None
    applies_within_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """People who speak for a steward."""

    name: str
    contact: str
    members: frozenset[str] = frozenset()
    """Names as in the console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictTerms:
    """Who decides when systems disagree, and what follows when nobody does."""

    decides: str
    """A team."""
    within_ms: int
    escalate_to: str | None = None
    """The team that is told when nobody has decided in time; None = the owner's value stays, and the case waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Hours of the week in which something is expected."""

    name: str
    time_zone: str
    """As in the time zone database of IANA."""
    weekdays: tuple[str, ...]
    """In the order of the week, from `monday`."""
    from_minute: int
    """Since midnight."""
    to_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMap:
    """Who owns what of one object."""

    name: str
    file: str = ""
    """In which it is written."""
    description: str
    key_field: str
    steward_team: str
    steward_contact: str
    system_of_record: str
    create: str
    delete: str
    delete_softly: bool
    fields: tuple[str, ...]
    """Every field of the contract, in its order."""
    owners: Mapping[str, str]
    """Field to system of record; a field of the contract that is missing here belongs to nobody."""
    classes: Mapping[str, str]
    readers: Mapping[str, frozenset[str] | None]
    """System to the fields it may read; None = all. Owners and the system of record read all they own and more."""
    policies: Mapping[str, OnViolation]
    """What each other listed system's violation meets."""
    conflicts: str
    slas: tuple[Sla, ...]
    conflict_process: ConflictTerms | None = None
    review_every: str = "quarter"
    review_last: date | None = None
    review_by: str = ""
    contract_id: int = 0
    """Schema id of the contract in force; another one is another reading."""
    generation: int = 1
    """Of its topics: each has its own number of partitions, and keys at other places."""
    partitions: int | None = None
    """Of each of its topics; None = the cluster's default."""
    masked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """System to the fields of which it reads a keyed digest instead of the value."""
    mask_keys: Mapping[str, int] = field(default_factory=dict)
    """System to the number of the key for its digests."""
    observed: frozenset[str] = frozenset()
    """Systems whose writes are judged and counted, but have no effect."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """Field to the number of its owner's term; 1 where nothing is said. It rises with every handover."""
    former: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Field to the systems that owned it before."""
    involved: frozenset[str] = frozenset()
    """Systems that own something before or after these terms."""
    later: tuple[tuple[int, ObjectMap], ...] = ()
    """(append time in ms, terms in force from then on), in order."""
    writers: frozenset[str] = field(init=False)
    """Systems whose writes may be accepted, now or under earlier or later terms."""
    systems: frozenset[str] = field(init=False)
    """Every system that the object's map lists."""
    sole_owner: str | None = field(init=False)
    """The one system that owns every field, if there is one."""

    def __post_init__(self) -> None:
        owners = frozenset(self.owners.values())
        writers = owners | {self.create, self.delete} | self.involved
        # Derived once here, because the gate asks for each of them on every change.
        object.__setattr__(self, "writers", writers)
        object.__setattr__(self, "systems", writers | self.readers.keys() | self.policies.keys())
        object.__setattr__(
            self,
            "sole_owner",
            next(iter(owners)) if len(owners) == 1 and len(self.owners) == len(self.fields) else None,
        )

    def owner_of(self, name: str) -> str | None:
        """The system of record of a field, or None: nobody."""
        return self.owners.get(name)

    def at(self, received_ms: int) -> ObjectMap:
        """The terms in force for a record that the broker appended at `received_ms`."""
        found = self
        for since_ms, terms in self.later:
            if since_ms > received_ms:
                break
            found = terms
        return found

    def readable(self, system: str) -> frozenset[str]:
        """The fields whose values a system gets to read."""
        granted = self.readers.get(system, frozenset())
        return frozenset(self.fields) if granted is None else granted - self.masked.get(system, frozenset())

    def readers_of(self, name: str) -> tuple[str, ...]:
        """The systems that read a field, as it is or as a digest."""
        return tuple(s for s, fields in sorted(self.readers.items()) if fields is None or name in fields)

    def policy_of(self, system: str) -> OnViolation:
        """What a violation of this system meets; quarantine where nothing is said."""
        return self.policies.get(system, OnViolation.QUARANTINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipMap:
    """One version of the whole map."""

    version: int
    digest: str
    systems: Mapping[str, System] = field(default_factory=dict)
    objects: Mapping[str, ObjectMap] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
