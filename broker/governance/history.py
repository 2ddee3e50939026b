"""What was changed of an object: the versions of the map in which its file reads otherwise, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from broker.governance.requests import plan_of
from broker.store.decided import Session, requests_in
from broker.store.governed import ChangeRequest
from broker.store.versions import versions_of_file
from ownership.lifecycle import State
from ownership.map import ObjectMap

ONCE_IN_FORCE = (State.EFFECTIVE, State.SUPERSEDED, State.ROLLED_BACK)
LOOKED_AT = 200
"""Versions of the map, the latest."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One version that says something else of an object."""

    version: int
    at_ms: int
    by: str
    request: ChangeRequest | None
    """As which it was approved; None = it came from elsewhere."""
    words: tuple[str, ...]


def history_of(session: Session, entry: ObjectMap) -> list[Turn]:
    """The versions in which the object's file reads otherwise than before, newest first."""
    became = {row.map_version: row for row in requests_in(session, *ONCE_IN_FORCE)}
    found, was = [], None
    for version, by, at_ms, text in versions_of_file(session.connection(), entry.file, LOOKED_AT):
        if text != was:
            row = became.get(version)
            words = (
                [c.words for c in plan_of(row).changes if c.object == entry.name] if row is not None else []
            )
            found.append(Turn(version, at_ms, by, row, tuple(words)))
        was = text
    return found[::-1]
