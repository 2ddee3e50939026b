"""The life of a change request: a plan that somebody puts up for approval, until another one takes its place.

Pure. One table says what is possible; the drawing in the docs is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a change request stands."""

    DRAFT = "draft"
    """Its requester works on it, alone or after it was returned."""
    PROPOSED = "proposed"
    """Whoever must approve it is asked."""
    APPROVED = "approved"
    """Everybody who is asked has agreed to this very plan."""
    SCHEDULED = "scheduled"
    """It takes force at a moment that is known."""
    EFFECTIVE = "effective"
    """What it says is the map in force."""
    SUPERSEDED = "superseded"
    """Another version of the map is in force since."""
    ROLLED_BACK = "rolled_back"
    """The map went back to a version before it."""


class Step(StrEnum):
    """What happens to a change request."""

    REVISE = "revise"
    PROPOSE = "propose"
    APPROVE = "approve"
    """One of several that are asked for."""
    APPROVE_LAST = "approve_last"
    """The last that was missing."""
    RETURN = "return"
    """An approver wants it otherwise, and says why."""
    WITHDRAW = "withdraw"
    SCHEDULE = "schedule"
    APPLY = "apply"
    BREAK_GLASS = "break_glass"
    """Somebody puts it in force without approval, and says why."""
    SUPERSEDE = "supersede"
    ROLL_BACK = "roll_back"


TRANSITIONS: Mapping[tuple[State, Step], State] = {
    (State.DRAFT, Step.REVISE): State.DRAFT,
    (State.DRAFT, Step.PROPOSE): State.PROPOSED,
    (State.DRAFT, Step.BREAK_GLASS): State.EFFECTIVE,
    (State.PROPOSED, Step.APPROVE): State.PROPOSED,
    (State.PROPOSED, Step.APPROVE_LAST): State.APPROVED,
    (State.PROPOSED, Step.RETURN): State.DRAFT,
    (State.PROPOSED, Step.WITHDRAW): State.DRAFT,
    (State.APPROVED, Step.RETURN): State.DRAFT,
    (State.APPROVED, Step.WITHDRAW): State.DRAFT,
    (State.APPROVED, Step.SCHEDULE): State.SCHEDULED,
    (State.APPROVED, Step.APPLY): State.EFFECTIVE,
    (State.SCHEDULED, Step.SCHEDULE): State.SCHEDULED,
    (State.SCHEDULED, Step.RETURN): State.DRAFT,
    (State.SCHEDULED, Step.WITHDRAW): State.DRAFT,
    (State.SCHEDULED, Step.APPLY): State.EFFECTIVE,
    (State.EFFECTIVE, Step.SUPERSEDE): State.SUPERSEDED,
    (State.EFFECTIVE, Step.ROLL_BACK): State.ROLLED_BACK,
}
"""What is possible, and where it leads; anything else is refused."""
WAITING = (State.PROPOSED, State.APPROVED, State.SCHEDULED)
"""States in which somebody is waited for."""


class StepRefused(Exception):
    """A step that is not possible where a change request stands, or not for this person, or not yet."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        self.code = code
        self.detail = detail
        self.remedy = remedy
        super().__init__(f"{detail} [{code}] {remedy}")


def after(state: State, step: Step) -> State:
    """Where a step leads. Raises StepRefused where the table has no such way."""
    found = TRANSITIONS.get((state, step))
    if found is None:
        possible = sorted({one.value.removesuffix("_last") for at, one in TRANSITIONS if at is state})
        remedy = f"Possible is: {', '.join(possible)}." if possible else "Nothing more happens to it."
        raise StepRefused(
            "request.not_possible",
            f"a {state.value.replace('_', ' ')} request cannot be met with {step.value.removesuffix('_last')}",
            remedy,
        )
    return found


def drawing() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.DRAFT}"]
    lines += [
        f"    {start} --> {end}: {step.value.replace('_', ' ')}" for (start, step), end in TRANSITIONS.items()
    ]
    lines += [f"    {end} --> [*]" for end in (State.SUPERSEDED, State.ROLLED_BACK)]
    return "\n".join(lines) + "\n"
