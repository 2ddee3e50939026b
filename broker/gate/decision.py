"""A decision as a value: outcome, verdict per field, why, under which map, and what is true afterwards.

Pure. Refusing a change is a decision, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from broker.gate.reason import Reason
from broker.gate.state import OpenProposal, Parked, RecordState


class Outcome(StrEnum):
    """What became of a change; exactly one each (I2). In order: the first that applies."""

    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    OBSERVED = "observed"
    QUARANTINED = "quarantined"
    REFUSED = "refused"
    PROPOSED = "proposed"
    PARKED = "parked"
    PARTLY_ACCEPTED = "partly_accepted"
    ACCEPTED = "accepted"
    STALE = "stale"
    ECHO = "echo"


class Verdict(StrEnum):
    """What became of one field."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"
    HELD = "held"
    REFUSED = "refused"
    PROPOSED = "proposed"
    STALE = "stale"
    PARKED = "parked"


NEUTRAL = frozenset({Verdict.UNCHANGED, Verdict.STALE})


class FieldVerdict(NamedTuple):
    """The verdict on one field, with what is needed to explain it."""

    field: str
    verdict: Verdict
    reason: Reason | None
    owner: str | None
    authoritative: Any = None
    attempted: Any = None
    epoch: int = 1
    """Number of the owner's term."""


class Decision(NamedTuple):
    """What became of one change. `state` is the very same object as before where nothing changed."""

    outcome: Outcome
    reason: Reason | None
    map_version: int
    state: RecordState
    detail: str = ""
    verdicts: tuple[FieldVerdict, ...] = ()
    writes: bool = False
    """Whether a new revision of the record, `state.value`, is written."""
    changed: frozenset[str] = frozenset()
    reassert: tuple[str, frozenset[str]] | None = None
    acknowledges: int = 0
    """Revision that an echo equals; 0 = none."""
    merged: tuple[Parked, ...] = ()
    not_taken: tuple[frozenset[str], ...] = ()
    """For each of `merged`, the fields of others that it set otherwise than the record was created."""
    closed: tuple[tuple[OpenProposal, str], ...] = ()
    """Open proposals that this change answers, with accepted or answered_otherwise."""


def outcome_of(verdicts: Sequence[FieldVerdict]) -> Outcome:
    """The outcome of a change from its fields' verdicts: the first of design section 5 that applies."""
    found = {verdict.verdict for verdict in verdicts}
    stopped = next(
        (
            outcome
            for verdict, outcome in (
                (Verdict.HELD, Outcome.QUARANTINED),
                (Verdict.REFUSED, Outcome.REFUSED),
                (Verdict.PROPOSED, Outcome.PROPOSED),
            )
            if verdict in found
        ),
        None,
    )
    if Verdict.ACCEPTED in found:
        return Outcome.PARTLY_ACCEPTED if stopped else Outcome.ACCEPTED
    if stopped:
        return stopped
    return Outcome.STALE if Verdict.STALE in found else Outcome.ECHO


def reason_of(verdicts: Sequence[FieldVerdict]) -> Reason | None:
    """The reason that comes first in the order of precedence; None for a change that was simply accepted."""
    known = [verdict for verdict in verdicts if verdict.reason is not None]
    stopping = [verdict for verdict in known if verdict.verdict not in NEUTRAL]
    if not stopping and any(verdict.verdict is Verdict.ACCEPTED for verdict in verdicts):
        return None
    reasons = (verdict.reason for verdict in stopping or known)
    return min((reason for reason in reasons if reason), key=lambda reason: reason.rank, default=None)
