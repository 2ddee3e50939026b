"""How the changes of one system have gone lately in one partition: when to stop them, and when to tell people.

Pure. Counted per batch and kept in the ledger, so a slot that opens, and whoever judges again, counts the same (I5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from broker.gate.decision import Decision, Outcome, Verdict
from broker.gate.reason import Reason

HUNDRED = 100
"""So many changes are counted before their share of held ones is looked at."""
STEP_PERMILLE = 500
"""A share of held changes that is higher by this than it usually was trips the breaker."""
STALE_AT = 20
"""At so many writes of an owner in a row that are older than what was accepted, people are told."""


class Watch(NamedTuple):
    """What is remembered between two batches; its fields are those of the ledger's `Watch`."""

    judged: int = 0
    """Changes in the hundred that is being counted."""
    held: int = 0
    usual_permille: int = -1
    """Share of held ones in earlier hundreds, the latest weighing most; -1 = there was none yet."""
    stale: int = 0
    """Writes to its own fields, in a row, that were older than what was accepted."""


@dataclass(slots=True)
class Tally:
    """What one batch adds for one system and partition."""

    judged: int = 0
    held: int = 0
    stale: int = 0
    """In a row, up to the last one."""
    broken: bool = False
    """Something that was not stale came in this batch."""

    def add(self, decision: Decision, system: str) -> tuple[bool, bool]:
        """Count one decision; (it holds something, it is an owner's older write)."""
        self.judged += 1
        reasons = {verdict.reason for verdict in decision.verdicts if verdict.verdict is Verdict.HELD}
        holds = bool(reasons) or decision.outcome in (Outcome.UNREADABLE, Outcome.QUARANTINED)
        if reasons == {Reason.UNKNOWN_FIELD}:
            # A field more than the contract has is asked about, and stops nothing: all else of the record goes on.
            holds = all(verdict.reason is Reason.UNKNOWN_FIELD for verdict in decision.verdicts)
        older = decision.outcome is Outcome.STALE and any(v.owner == system for v in decision.verdicts)
        self.held += holds
        self.stale = self.stale + 1 if older else 0
        self.broken = self.broken or not older
        return holds, older

    def express(self, count: int) -> None:
        """Count changes that were accepted the short way; where they stood in the batch does not matter."""
        self.judged += count
        self.broken = self.broken or count > 0


class Tripped(NamedTuple):
    """What people must be told after a batch."""

    share_permille: int = -1
    """Of the last hundred changes, held: the breaker opens. -1 = it stays closed."""
    usual_permille: int = -1
    stale: int = 0
    """So many older writes of the owner, in a row; 0 = nothing to tell, or told before."""


def watched(before: Watch, tally: Tally) -> tuple[Watch, Tripped]:
    """The watch after a batch. A system that was always held is not stopped; one whose share steps up is."""
    earlier = 0 if tally.broken else before.stale
    stale = earlier + tally.stale
    told = stale if earlier < STALE_AT <= stale else 0
    judged, held, usual = before.judged + tally.judged, before.held + tally.held, before.usual_permille
    if judged < HUNDRED:
        return Watch(judged, held, usual, stale), Tripped(stale=told)
    share = 1000 * held // judged
    after = Watch(usual_permille=share if usual < 0 else (3 * usual + share) // 4, stale=stale)
    if usual < 0 or share < usual + STEP_PERMILLE:
        return after, Tripped(stale=told)
    return after, Tripped(share, usual, told)
