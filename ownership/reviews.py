"""When an object's part of the map is looked at again, and what it is called until somebody has.

Pure; today reaches it as data.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from ownership.map import ObjectMap

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
SOON = timedelta(days=14)
"""How long before it is due a review is announced, and how long after it whoever is above is told."""


class Standing(StrEnum):
    """Where a review stands."""

    DONE = "done"
    SOON = "soon"
    OVERDUE = "overdue"
    ESCALATED = "escalated"
    """Overdue for so long that not only its steward is told."""


@dataclass(frozen=True, slots=True)
class ReviewDue:
    """The next review of an object."""

    object: str
    team: str
    last: date | None
    """When somebody reviewed it last, by the map's file or by a sign-off; None = never."""
    due: date
    standing: Standing

    @property
    def late(self) -> bool:
        """Whether its day is over."""
        return self.standing in (Standing.OVERDUE, Standing.ESCALATED)


def due_after(last: date, every: str) -> date:
    """The day on which the review after this one is due: the same day of the month, or the month's last."""
    years, month = divmod(last.month - 1 + _MONTHS[every], 12)
    year = last.year + years
    return date(year, month + 1, min(last.day, monthrange(year, month + 1)[1]))


def review_due(entry: ObjectMap, signed: date | None, today: date) -> ReviewDue:
    """The next review; one that never was is due today."""
    told = [day for day in (entry.review_last, signed) if day is not None]
    last = max(told, default=None)
    due = due_after(last, entry.review_every) if last else today - timedelta(days=1)
    return ReviewDue(entry.name, entry.steward_team, last, due, _standing(due, today))


def _standing(due: date, today: date) -> Standing:
    if today > due + SOON:
        return Standing.ESCALATED
    if today > due:
        return Standing.OVERDUE
    return Standing.SOON if today >= due - SOON else Standing.DONE
