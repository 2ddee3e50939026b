"""When a review is due, and what it is called meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from ownership.reviews import Standing, due_after, review_due
from tests.unit.ownership.test_load import loaded

ENTRY = loaded().objects["customer"]
LAST = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("last", "every", "due"),
    [
        (date(2026, 1, 31), "month", date(2026, 2, 28)),
        (date(2024, 1, 31), "month", date(2024, 2, 29)),
        (date(2026, 11, 30), "quarter", date(2027, 2, 28)),
        (date(2026, 10, 1), "quarter", date(2027, 1, 1)),
        (date(2024, 2, 29), "year", date(2025, 2, 28)),
    ],
)
def test_due(last: date, every: str, due: date) -> None:
    assert due_after(last, every) == due


@pytest.mark.parametrize(
    ("days", "standing"),
    [
        (-15, Standing.DONE), (-14, Standing.SOON), (0, Standing.SOON), (1, Standing.OVERDUE),
        (14, Standing.OVERDUE), (15, Standing.ESCALATED),
    ],
)  # fmt: skip
def test_standing(days: int, standing: Standing) -> None:
    entry = replace(ENTRY, review_every="quarter", review_last=LAST)
    found = review_due(entry, None, date(2026, 4, 30) + timedelta(days=days))
    assert (found.due, found.standing, found.last) == (date(2026, 4, 30), standing, LAST)


def test_the_later_of_file_and_sign_off_counts() -> None:
    entry = replace(ENTRY, review_last=LAST, review_every="month")
    assert review_due(entry, date(2026, 3, 1), date(2026, 3, 2)).due == date(2026, 4, 1)
    assert review_due(entry, date(2025, 3, 1), date(2026, 2, 2)).due == date(2026, 2, 28)


def test_one_that_never_was_is_overdue() -> None:
    found = review_due(replace(ENTRY, review_last=None), None, LAST)
    assert found.last is None and found.standing is Standing.OVERDUE


def test_late_is_what_is_past_its_day() -> None:
    days = {-14: False, 0: False, 1: True, 15: True}
    entry = replace(ENTRY, review_every="quarter", review_last=LAST)
    for past, late in days.items():
        assert review_due(entry, None, date(2026, 4, 30) + timedelta(days=past)).late is late
