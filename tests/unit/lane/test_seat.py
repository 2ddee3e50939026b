"""Several workers of one machine start at once: each seat is given back by one of them, and none of them fails."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from broker.lane.seat import Seats


class Watched(Seats):
    """Says nothing to Kafka; `meanwhile` is what another worker does while this one waits for an answer."""

    def __init__(self, folder: Path, meanwhile: Any) -> None:
        super().__init__(folder, "gate")
        self.meanwhile = meanwhile
        self.given_back: list[str] = []

    async def _let_leave(self, coordinator: Any, member: str) -> None:
        assert coordinator is None
        self.given_back.append(member)
        self.meanwhile()


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_a_seat_that_another_worker_gives_back_is_left_to_it(tmp_path: Path) -> None:
    for pid in (gone(), gone()):
        (tmp_path / f"seat-{socket.gethostname()}-{pid}").write_text(f"member {pid}")

    def another() -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    seats = Watched(tmp_path, another)
    assert await seats.give_back(SimpleNamespace(_coordinator=None)) == 1
    assert len(seats.given_back) == 1
