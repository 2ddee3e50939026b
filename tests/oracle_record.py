"""What the oracle remembers of one record. Like the oracle, it knows nothing of the product."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.oracle_words import Write

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
REMEMBERED_MS = HOUR
REMEMBERED_MAX = 64
PARKED_MS = 24 * HOUR
QUESTION_MS = 7 * 24 * HOUR


@dataclass
class Waiting:
    """A write whose record does not exist yet, with the fields of it that still wait."""

    write: Write
    own: set[str]


@dataclass
class Brake:
    """How often a field was sent to a system again, and whether it is owed once more."""

    count: int
    last_ms: int
    owed: bool = False

    @property
    def free_ms(self) -> int:
        return self.last_ms + min(2 * SECOND * 2 ** (self.count - 1), HOUR)


@dataclass
class Question:
    """A suggested value, put to the owner of a field; `case` = where a steward put it."""

    field: str
    value: Any
    asked_ms: int
    case: str = ""


@dataclass
class Record:
    """One record, and all that is remembered of it."""

    values: dict[str, Any] | None = None
    revision: int = 0
    last: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Field to (owner, event id) of its last accepted write; outlives the record, because versions never fall."""
    former: dict[tuple[str, str], str] = field(default_factory=dict)
    """(field, writer) to the event id of its last accepted write, of those who own the field no more."""
    replaced: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(append time of the write that replaced it, values)"""
    not_accepted: dict[str, str] = field(default_factory=dict)
    """Writer to the id of its last write that was not wholly accepted, or that was a delete."""
    ended_by: tuple[str, str] | None = None
    waiting: list[Waiting] = field(default_factory=list)
    brakes: dict[tuple[str, str], Brake] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
