"""Memory that was let go of goes back to the machine, where the C library can hand it back."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from broker.lane.trim import large_apart, trimming


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


KEEPS = """
import ctypes
from broker.lane.trim import LARGE_BYTES, large_apart
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split())]
library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
if {apart}:
    large_apart()
def apart():
    return library.mallinfo2().hblks
for _ in range(3):
    bytearray(8 << 20)  # glibc learns from it that as much may come from the heap
before = apart()
held = [bytearray(LARGE_BYTES + 1) for _ in range(9)]
print(apart() - before)
"""


@pytest.mark.parametrize("apart", [True, False])
def test_what_is_large_comes_from_the_machine(apart: bool) -> None:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("only glibc tells")
    said = subprocess.run(
        [sys.executable, "-c", KEEPS.format(apart=apart)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert int(said.stdout) == (9 if apart else 0)


def test_where_it_cannot_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        def __init__(self, _: None) -> None:
            pass

    monkeypatch.setattr(ctypes, "CDLL", Bare)
    assert trimming() is None
    large_apart()
