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
    REDRIVEN = "redriven"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True)
class Standing:
    """State, result once closed, and the gate time of the last step in ms."""

    state: CaseState
    result: CaseResult | None
    since_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the trail about the case."""

    kind: str
    fields: tuple[str, ...]
    result: str | None
    at_ms: int


Targets = dict[tuple[str, str | None], tuple[CaseState, CaseResult | None]]

_QUESTION_ANSWERED: Targets = {
    ("proposal_closed", "accepted"): (CaseState.CLOSED, CaseResult.ACCEPTED),
    ("proposal_closed", "answered_otherwise"): (CaseState.CLOSED, CaseResult.ANSWERED_OTHERWISE),
    ("proposal_closed", "expired"): (CaseState.CLOSED, CaseResult.EXPIRED),
}
_KEPT: Targets = {
    ("case_closed", result.value): (CaseState.CLOSED, result)
    for result in (CaseResult.KEEP, CaseResult.REDRIVEN, CaseResult.OVERTAKEN)
}

TRANSITIONS: dict[CaseState, Targets] = {
    CaseState.OPEN: {**_KEPT, **_QUESTION_ANSWERED, ("proposal_opened", None): (CaseState.ASKED, None)},
    CaseState.ASKED: {**_KEPT, **_QUESTION_ANSWERED},
    CaseState.CLOSED: {},
}


_WORST_FIRST = (CaseResult.EXPIRED, CaseResult.ANSWERED_OTHERWISE, CaseResult.ACCEPTED)


def fold(opened_ms: int, steps: Iterable[Step]) -> Standing:
    """Where a case stands after these steps, in the order of the log.

    Each held field is a question of its own; the case closes with the last answer, and its result is the one
    furthest from *accepted*.
    """
    standing = Standing(CaseState.OPEN, None, opened_ms)
    waiting: set[str] = set()
    answers: set[str] = set()
    for step in steps:
        wanted: str | None = None
        if step.kind == "proposal_opened":
            waiting.update(step.fields)
        elif step.kind == "proposal_closed":
            waiting.difference_update(step.fields)
            answers.add(str(step.result))
            if waiting:
                continue
            wanted = next((result for result in _WORST_FIRST if result in answers), None)
        elif step.kind == "case_closed":
            wanted = step.result
        target = TRANSITIONS[standing.state].get((step.kind, wanted))
        if target is not None:
            standing = Standing(*target, step.at_ms)
    return standing
