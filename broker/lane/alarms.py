"""What a batch shows about how a system's changes go: the breaker that pauses a system, and the cases that tell people.

Pure. What is counted is in `broker.gate.watch`; the case carries the change that showed it, and is told once a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.gate.change import Change, case_name
from broker.gate.decision import Decision, Outcome
from broker.gate.outgoing import Outgoing
from broker.gate.reason import Reason
from broker.gate.route import case
from broker.gate.state import RecordState
from broker.gate.watch import Tally, Tripped

BREAKER = "solesource"
"""By whom the breaker's pause is ordered."""
_DAY_MS = 86_400_000
Told = tuple[Change, Decision, RecordState]
"""A change, what was decided, and the state before."""


@dataclass(slots=True)
class Going:
    """How the changes of one input go in one batch."""

    tally: Tally = field(default_factory=Tally)
    held: Told | None = None
    """The last change that was held."""
    older: Told | None = None
    """The last that was an owner's older write."""

    def saw(self, change: Change, decision: Decision, before: RecordState) -> None:
        """Count one change of the long way."""
        holds, older = self.tally.add(decision, change.system)
        if holds:
            self.held = change, decision, before
        if older:
            self.older = change, decision, before


@dataclass(frozen=True, slots=True)
class Setting:
    """What a case about it says of where and when."""

    map_version: int
    map_since_ms: int
    gate_time_ms: int


def cases(going: Going, tripped: Tripped, setting: Setting) -> list[Outgoing]:
    """The cases that tell people."""
    found = []
    if tripped.share_permille >= 0 and going.held is not None:
        detail = (
            f"{tripped.share_permille // 10} of its last hundred changes were held, "
            f"{tripped.usual_permille // 10} of a hundred before. Ownership map version {setting.map_version} is in "
            f"force since {_moment(setting.map_since_ms)}"
        )
        found.append(_case(going.held, Reason.HOLDS_ROSE, detail, setting))
    if tripped.stale and going.older is not None:
        detail = (
            f"{going.older[0].system}'s versions went backwards: {tripped.stale} writes in a row were older"
        )
        found.append(_case(going.older, Reason.OWNER_WENT_BACK, detail, setting))
    return found


def _case(told: Told, reason: Reason, detail: str, setting: Setting) -> Outgoing:
    change, _, before = told
    decision = Decision(Outcome.QUARANTINED, reason, setting.map_version, before, detail=detail)
    day = setting.gate_time_ms // _DAY_MS
    name = f"{change.object}/{change.system}/{reason.code}/{setting.map_version}/{day}"
    return case(change, decision, before, setting.gate_time_ms, case_id=case_name(name))


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
