"""What a worker of the gate does at its limits: a slot that never comes round, a backlog far larger than its memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.lane import rocks
from broker.lane.disk import UNWRITTEN
from broker.lane.watchdog import LEAVE_STATUS
from tests.estate import Estate, estate_of

pytestmark = pytest.mark.integration

HANGS = """
import asyncio
from broker.lane import watchdog
from broker.lane.slot import Slot
watchdog.STUCK_S, watchdog.LOOK_EVERY_S = 3.0, 0.2
async def never(*_):
    await asyncio.Event().wait()
Slot._settle = never
"""
"""A wait that nobody ends, as some of a Kafka client's are."""
VALUE = 400_000
CHANGES = 1200
MIB = 1024 * 1024
FETCHED_MIB = 4 * 8 + 3 * 4
"""What may wait: an answer of 8 MiB for each of four slots, and 1 MiB for each of the inputs."""
STATES = 20_000
"""Values in memory, of 512 bytes each: 10 MiB."""
UNWRITTEN_MIB = 4 * 2 * UNWRITTEN * 512 / 1024 / 1024
"""What changed, of four slots: while one part is being written, another comes."""


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("limits"))


@pytest.fixture(autouse=True)
def nobody_left(estate: Estate) -> Iterator[None]:
    yield
    estate.stop()
    estate.workers.clear()


def test_a_worker_whose_slot_never_comes_round_ends_and_another_takes_over(estate: Estate) -> None:
    before = estate.account()["received"]
    worker = estate.start_gate(HANGS)
    estate.send("crm", "H-1", {"name": "Ada"})
    assert worker.wait(60) == LEAVE_STATUS
    (stuck,) = estate.events("lane.stuck")
    assert len(stuck["who"]) == 1 and stuck["who"][0].startswith("slot "), stuck
    waits = stuck["waits_at"][stuck["who"][0]]
    assert "Slot._round (slot.py:" in waits and "Event.wait (locks.py:" in waits, (
        "whoever reads it knows where to look"
    )
    assert estate.account()["received"] == before, "it committed nothing"
    estate.start_gate()
    assert estate.settle(before + 1)["accepted"] >= 1
    assert estate.ledger_faults() == []


def test_memory_is_bounded_however_much_waits(estate: Estate) -> None:
    """Back-pressure goes down to the fetch: of 460 MiB in Kafka only so much is ever held as the settings say."""
    before = estate.account()["received"]
    worker = estate.start_gate(SOLESOURCE_STATES_IN_MEMORY=str(STATES))
    estate.send("crm", "M-0", {"name": "first"})
    estate.settle(before + 1)
    idle = resident(worker.pid)["VmRSS"]
    estate.stop()
    for number in range(CHANGES):
        name = os.urandom(VALUE // 2).hex()  # what compresses well would make a small backlog
        estate.send("crm", f"M-{number % 50}", {"name": name}, wait=False)
        if number % 100 == 0:
            estate.producer("crm").flush(30)
    estate.producer("crm").flush(30)
    worker = estate.start_gate(SOLESOURCE_STATES_IN_MEMORY=str(STATES))
    most = 0.0
    deadline = time.monotonic() + 120
    while estate.account()["received"] < before + 1 + CHANGES:
        assert time.monotonic() < deadline, estate.logs()
        most = max(most, resident(worker.pid)["VmHWM"])
    on_disk = (rocks.CACHE_BYTES + rocks.WRITE_BUFFERS_BYTES) / MIB
    assert idle < most < idle + 2 * FETCHED_MIB + UNWRITTEN_MIB + STATES * 512 / MIB + on_disk, (idle, most)
    assert estate.ledger_faults() == []


def resident(pid: int) -> dict[str, float]:
    """MiB of memory of a process: now (VmRSS) and at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
