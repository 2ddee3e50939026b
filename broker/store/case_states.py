"""The life of a case as one transition table.

Pure. A case is open, asked (a question is with the owner) or closed with a result; what is not in the table
changes nothing and stays visible in the history only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    ASKED = "asked"
    CLOSED = "closed"


class CaseResult(StrEnum):
    """How a case was closed."""

    KEEP = "keep"
    ACCEPTED = "accepted"
    ANSWERED_OTHERWISE = "answered_otherwise"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Standing:
    """State, result once closed, and the gate time of the last step in ms."""

    state: CaseState
    result: CaseResult | None
    since_ms: int


Step = tuple[str, str | None, int]
"""(kind of trail line, its result, gate time in ms)."""

Targets = dict[tuple[str, str | None], tuple[CaseState, CaseResult | None]]

_QUESTION_ANSWERED: Targets = {
    ("proposal_closed", "accepted"): (CaseState.CLOSED, CaseResult.ACCEPTED),
    ("proposal_closed", "answered_otherwise"): (CaseState.CLOSED, CaseResult.ANSWERED_OTHERWISE),
    ("proposal_closed", "expired"): (CaseState.CLOSED, CaseResult.EXPIRED),
}
_KEPT: Targets = {("case_closed", "keep"): (CaseState.CLOSED, CaseResult.KEEP)}

TRANSITIONS: dict[CaseState, Targets] = {
    CaseState.OPEN: {**_KEPT, **_QUESTION_ANSWERED, ("proposal_opened", None): (CaseState.ASKED, None)},
    CaseState.ASKED: {**_KEPT, **_QUESTION_ANSWERED},
    CaseState.CLOSED: {},
}


def fold(opened_ms: int, steps: Iterable[Step]) -> Standing:
    """Where a case stands after these steps, in the order of the log."""
    standing = Standing(CaseState.OPEN, None, opened_ms)
    for kind, result, at_ms in steps:
        wanted = result if kind in ("proposal_closed", "case_closed") else None
        target = TRANSITIONS[standing.state].get((kind, wanted))
        if target is not None:
            standing = Standing(*target, at_ms)
    return standing
