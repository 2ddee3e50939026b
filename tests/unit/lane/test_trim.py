"""Memory that was let go of goes back to the machine, where the C library can hand it back."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from broker.lane.trim import trimming


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def test_what_is_free_between_what_is_not_is_handed_back() -> None:
    hand_back = trimming()
    if hand_back is None or not sys.platform.startswith("linux"):
        pytest.skip("only glibc hands memory back")
    held = [
        b"x" * (60_000 + number % 7) for number in range(4_000)
    ]  # below what glibc takes from the machine by itself
    kept = held[::100]  # gaps between them
    hand_back()
    before = resident_mib()
    del held
    between = resident_mib()
    hand_back()
    assert resident_mib() < before - 150, f"{before:.0f}, {between:.0f}, {resident_mib():.0f} MiB"
    assert len(kept) == 40


def test_where_it_cannot_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        def __init__(self, _: None) -> None:
            pass

    monkeypatch.setattr(ctypes, "CDLL", Bare)
    assert trimming() is None
