"""The one place where the broker reads the time.

Deciding never asks it: the gate is given its own time as an argument (I5). Nothing else belongs here.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime


def now_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000


def today() -> date:
    """The date, in UTC."""
    return day_of(now_ms())


def day_of(ms: int) -> date:
    """The day of a moment, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).date()
