"""What all slots of a worker share on disk is sized by what it may keep in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.lane import rocks

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    rocks.sized(rocks.FULL_SIZE_AT)


@pytest.mark.parametrize(
    ("values", "buffers"), [(1_000, 8), (20_000, 8), (300_000, 32), (600_000, 64), (5_000_000, 64)]
)
def test_the_size_of_the_buffers(values: int, buffers: int) -> None:
    rocks.sized(values)
    assert rocks._shared()[1].get_buffer_size() == buffers * MIB


def test_a_small_worker_holds_no_more_than_it_may(tmp_path: Path) -> None:
    rocks.sized(1_000)
    blocks, buffers = rocks._shared()
    database = rocks.opened(tmp_path / "slot-1")
    for number in range(40):
        written = rocks.batch()
        for place in range(1_000):
            written.put(b"%d/%d" % (number, place), b"%d" % place * 200)
        database.write(written)
    for number in range(40):
        for place in range(0, 1_000, 7):
            assert database.get(b"%d/%d" % (number, place)) is not None
    held = {"blocks": (blocks, rocks.CACHE_BYTES_MIN), "buffers": (buffers, rocks.WRITE_BUFFERS_BYTES_MIN)}
    deadline = time.monotonic() + 20  # buffers are written to files by threads of their own
    while any(part.get_usage() > 1.5 * limit for part, limit in held.values()):
        assert time.monotonic() < deadline, {name: part.get_usage() for name, (part, _) in held.items()}
        time.sleep(0.1)
    database.close()
