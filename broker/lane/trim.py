"""Gives memory that was let go of back to the machine, now and then.

What comes and goes in the gate (batches, fetched bytes, RocksDB's buffers) has every size, and glibc keeps the gaps
that it leaves: after half an hour of load 54 of the 118 MB that it held were free. To hand them back takes 2 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable

TRIM_EVERY_S = 10.0
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""What mallopt(3) calls what it sets."""
LARGE_BYTES, ARENAS = 1024 * 1024, 2
"""With 256 KiB a change cost 3% more."""


def large_apart() -> None:
    """Let what is large come from the machine and go back to it at once; called before there is any thread.

    By itself glibc soon takes pieces of up to 32 MiB from its heaps, one heap for nearly every thread. Fetched bytes,
    batches and RocksDB's blocks then leave gaps among what stays: a worker held 65 MB so, half of them free.
    """
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(_ARENA_MAX, ARENAS)


def trimming() -> Callable[[], None] | None:
    """What hands free memory back; None where the C library cannot (only glibc can)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None

    def hand_back() -> None:
        trim(0)

    return hand_back
