"""The difference between what is in force and what was attempted, field by field.

Pure. No differing field is ever left out; values become text for people and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from broker.store.cases import NEEDS_A_PERSON, Verdict

NOT_SET = "not set"
EMPTY_TEXT = "empty text"


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as it is shown; `plain` = these very words stand for something (nothing, an empty text)."""

    text: str
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One field."""

    field: str
    title: str
    owner: str | None
    in_force: Shown
    attempted: Shown
    differs: bool
    verdict: str
    reason: str


def rows(verdicts: Iterable[Verdict]) -> list[Row]:
    """Every field of a case, those that differ first, each group in the order of the record."""
    made = [_row(verdict) for verdict in verdicts]
    return sorted(made, key=lambda row: not row.differs)


def _row(verdict: Verdict) -> Row:
    same = _parsed(verdict.authoritative) == _parsed(verdict.attempted)
    return Row(
        field=verdict.field,
        title=field_title(verdict.field),
        owner=verdict.owner,
        in_force=shown(verdict.authoritative),
        attempted=shown(verdict.attempted),
        differs=not same or verdict.verdict in NEEDS_A_PERSON,
        verdict=verdict.verdict,
        reason=verdict.reason,
    )


def field_title(field: str) -> str:
    """`credit_limit` as people write it: `credit limit`."""
    return field.replace("_", " ")


def shown(text: str | None) -> Shown:
    """JSON text as people read it."""
    kind, value = _parsed(text)
    if kind == "text":
        return Shown(str(value), plain=False)
    if value is None:
        return Shown(NOT_SET)
    if isinstance(value, bool):
        return Shown("yes" if value else "no", plain=False)
    if isinstance(value, str):
        return Shown(value, plain=False) if value else Shown(EMPTY_TEXT)
    if isinstance(value, (dict, list)):
        return Shown(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True), plain=False)
    return Shown(str(value), plain=False)


def _parsed(text: str | None) -> tuple[str, Any]:
    """(kind, value): numbers keep their digits, so that 1.0 and 1.00 stay different where the text was."""
    if text is None:
        return "json", None
    try:
        value = json.loads(text, parse_float=_Number, parse_int=_Number)
    except ValueError:
        return "text", text
    return type(value).__name__ if isinstance(value, bool) else "json", value


class _Number(str):
    """Digits as written; equal to no text of the same letters."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Number) and str.__eq__(self, other)

    def __hash__(self) -> int:
        return hash(("number", str(self)))
