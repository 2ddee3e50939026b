"""One thing that a map says otherwise than the one before it, and how it is put into words.

Pure. The words are for the people concerned: who may do what from now on, and what happens to whoever goes on as
before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ownership.document import duration_text
from ownership.map import ObjectMap, OnViolation

MET = {
    OnViolation.QUARANTINE: "held for review",
    OnViolation.REJECT: "refused",
    OnViolation.PROPOSE: "put to the owner as a question",
}
"""What a write to somebody else's field meets."""
Timeline = tuple[tuple[int, str | None], ...]
"""(append time in ms, system from then on), the first from 0; None = nobody."""


class Kind(StrEnum):
    """What a change of the map is about."""

    OWNER = "owner"
    """Who is the system of record, who creates, who ends."""
    ACCESS = "access"
    """Who reads what, and what a write to somebody else's field meets."""
    CONTRACT = "contract"
    PROMISE = "promise"
    PEOPLE = "people"
    """Who is answerable, who is asked, how conflicts are settled."""
    TOPICS = "topics"
    """What is filled anew on Kafka."""
    TEXT = "text"
    """A file's comments, order or spelling: nothing that anybody would notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is otherwise."""

    kind: Kind
    object: str = ""
    """"" = the list of systems."""
    fields: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    """Whom it concerns."""
    words: str


def timeline(entry: ObjectMap, of: Callable[[ObjectMap], str | None]) -> Timeline:
    """How something of an object goes from hand to hand."""
    found = [(0, of(entry))]
    for since_ms, terms in entry.later:
        if of(terms) != found[-1][1]:
            found.append((since_ms, of(terms)))
    return tuple(found)


def owner_line(entry: ObjectMap, name: str) -> Timeline:
    """How a field goes from owner to owner."""
    return timeline(entry, lambda terms: terms.owner_of(name))


def whose(line: Timeline) -> str:
    """`crm`, or `crm until 2026-12-01 00:00 UTC, then erp`."""
    said = line[0][1] or "nobody"
    for since_ms, system in line[1:]:
        said += f" until {moment(since_ms)}, then {system or 'nobody'}"
    return said


def hands(*lines: Timeline) -> tuple[str, ...]:
    """Every system in these timelines."""
    return tuple(sorted({system for line in lines for _, system in line if system}))


def moment(ms: int) -> str:
    """`2026-12-01 00:00 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(names: Iterable[str]) -> str:
    """`email, name and phone`."""
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


def labelled(entry: ObjectMap, names: Iterable[str]) -> str:
    """Fields with their class: `email (pii) and name`."""
    return listed(
        f"{name} ({entry.classes[name]})" if entry.classes.get(name) else name for name in sorted(names)
    )


def settled(entry: ObjectMap) -> str:
    """`finance, within 2d; then sales-operations is told`: who decides when systems disagree."""
    process = entry.conflict_process
    if process is None:
        return "not said"
    then = f"{process.escalate_to} is told" if process.escalate_to else "the owner's value stays"
    return f"{process.decides}, within {duration_text(process.within_ms)}; then {then}"
