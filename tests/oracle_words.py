"""What the oracle speaks of: the law, the steps of a history, what must come of them, and how verdicts add up.

Like the oracle, it knows nothing of the product: no import of it may stand here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

PRECEDENCE = (
    "unrecorded_reset",
    "incomplete_record",
    "version_conflict",
    "unknown_field",
    "not_delete_authority",
    "not_create_authority",
    "late_owner",
    "not_owner",
    "record_not_yet",
    "stale",
    "duplicate",
    "late_echo",
    "echo",
    "already_deleted",
)
"""Where several reasons apply, the first one here is the change's."""
STOPPED = ("held", "refused", "proposed")
STOPPING = {"quarantine": "held", "reject": "refused", "propose": "proposed"}


@dataclass(frozen=True)
class Handover:
    """A field, or with `*` the whole object, belongs to `to` from a moment on, perhaps until another."""

    field: str
    to: str
    from_ms: int
    until_ms: int | None = None


@dataclass(frozen=True)
class Law:
    """Who owns what, as the map says it."""

    owners: dict[str, str]
    create: str
    delete: str
    policies: dict[str, str]
    readers: dict[str, frozenset[str] | None]
    key_field: str = "customer_id"
    observed: frozenset[str] = frozenset()
    handovers: tuple[Handover, ...] = ()
    former: dict[str, frozenset[str]] = dataclass_field(default_factory=dict)

    def at(self, ms: int) -> Law:
        """The law as it stands at a moment: the handovers that have begun and not ended, the latest last."""
        begun = sorted((h for h in self.handovers if h.from_ms <= ms), key=lambda h: h.from_ms)
        owners, create, delete, readers = dict(self.owners), self.create, self.delete, dict(self.readers)
        for handover in begun:
            if handover.until_ms is not None and handover.until_ms <= ms:
                continue
            if handover.field == "*":
                owners = dict.fromkeys(owners, handover.to)
                create = delete = handover.to
            else:
                owners[handover.field] = handover.to
            readers.setdefault(handover.to, None)
        moments = {m for h in begun for m in (h.from_ms, h.until_ms) if m is not None and m <= ms}
        earlier = [self.owners, *(self.at(moment - 1).owners for moment in moments)]
        former = {name: frozenset(then[name] for then in earlier) for name in owners} if begun else {}
        return replace(self, owners=owners, create=create, delete=delete, readers=readers, former=former)

    def known(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are fields."""
        return [name for name in names if name in self.owners]

    def others_shown(self, system: str) -> set[str]:
        """The fields of others that a system reads."""
        visible = self.readers.get(system, frozenset())
        return set(self.owners if visible is None else visible) - self.owned_by(system)

    def owned_by(self, system: str) -> set[str]:
        return {name for name, owner in self.owners.items() if owner == system}


@dataclass(frozen=True)
class Write:
    """A change event. `fields` None = a full image."""

    system: str
    event: str
    values: dict[str, Any]
    received_ms: int
    fields: frozenset[str] | None = None
    unavailable: frozenset[str] = frozenset()
    deletes: bool = False
    key: str = "C-1"


@dataclass(frozen=True)
class Tick:
    """Nothing but the time."""

    received_ms: int


@dataclass(frozen=True)
class Reset:
    """Somebody confirms that a source counts anew."""

    system: str
    incarnation: int
    received_ms: int


@dataclass(frozen=True)
class Again:
    """A write that was judged before is judged again, at somebody's order."""

    write: Write
    received_ms: int


@dataclass(frozen=True)
class Ask:
    """A steward puts the values of a write that was stopped to the owners of its fields."""

    write: Write
    case: str
    fields: tuple[str, ...]
    received_ms: int


@dataclass(frozen=True)
class Order:
    """A command that changes no record: to keep the owner's value, to let a system's changes wait."""

    received_ms: int


Step = Write | Tick | Reset | Again | Ask | Order


@dataclass
class Expected:
    """What must come of a step."""

    outcome: str = ""
    reason: str = ""
    revision: int = 0
    values: dict[str, Any] | None = None
    changed: frozenset[str] | None = None
    """None = nothing was written."""
    reasserted: tuple[str, frozenset[str]] | None = None
    cases: int = 0
    questions: int = 0


@dataclass
class Said:
    """A verdict on one field."""

    field: str
    verdict: str
    reason: str = ""


def compare(event: str, last: str) -> str:
    """How an event stands to the last accepted one of the same writer: same, conflict, older or newer."""
    if event == last:
        return "same"
    (kind, incarnation, value), (last_kind, last_incarnation, last_value) = _version(event), _version(last)
    if incarnation != last_incarnation:
        return "older" if incarnation < last_incarnation else "newer"
    if kind != last_kind or kind == "any":
        return "newer"
    if value == last_value:  # of a strict order, one version is one change
        return "conflict" if kind == "seq" else "newer"
    return "older" if value < last_value else "newer"


def incarnation_of(event: str) -> int:
    """How often its source began to count anew."""
    return _version(event)[1]


def _version(event: str) -> tuple[str, int, bytes]:
    front = event.split("/", maxsplit=1)[0]
    kind, incarnation, value = (*front.split(":", maxsplit=2), "", "")[:3]
    if kind in ("seq", "time", "any") and incarnation.isdigit():
        return kind, int(incarnation), value.encode()
    return "any", 0, event.encode()


def outcome_of(said: list[Said]) -> str:
    """The first of design section 5 that applies."""
    verdicts = {s.verdict for s in said}
    if "accepted" in verdicts:
        return "partly_accepted" if verdicts & set(STOPPED) else "accepted"
    for verdict, outcome in (("held", "quarantined"), ("refused", "refused"), ("proposed", "proposed")):
        if verdict in verdicts:
            return outcome
    return "stale" if any(s.reason == "stale" for s in said) else "echo"


def reason_of(said: list[Said]) -> str:
    """The first in the order of precedence among what stopped the change, else among what is neutral."""
    stopping = [s.reason for s in said if s.verdict in STOPPED]
    if not stopping and any(s.verdict == "accepted" for s in said):
        return ""
    reasons = stopping or [s.reason for s in said]
    return min(reasons, key=PRECEDENCE.index, default="")
