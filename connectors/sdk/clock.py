"""The one place where connectors read time. No arithmetic on times lives here."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Wall clock in milliseconds since 1970: only for stamps that others read."""
    return time.time_ns() // 1_000_000


def ticks_ms() -> int:
    """Monotonic milliseconds: for pauses and rates inside this process."""
    return time.monotonic_ns() // 1_000_000
