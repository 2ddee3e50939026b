"""The gate's states on disk with a real Kafka: stopped, killed, damaged, taken away; what is judged stays the same."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.authoritative import parse_authoritative
from tests.estate import SLOTS, Estate, estate_of

pytestmark = pytest.mark.integration
KEYS = 20


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("disk"))


def events(estate: Estate, worker: int, name: str) -> list[dict[str, Any]]:
    """What the n-th worker logged of one kind."""
    lines = (estate.home / f"gate-{worker}.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == name]


def read_by(estate: Estate, worker: int) -> int:
    """How many records all slots of a worker read when they opened."""
    deadline = time.monotonic() + 30
    while len(found := events(estate, worker, "slot.state_read")) < SLOTS:
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)
    return sum(line["records"] for line in found)


def change_all(estate: Estate, word: str) -> None:
    before = estate.account()["received"]
    for number in range(KEYS):
        estate.send("crm", f"S-{number}", {"name": f"{word} {number}"}, wait=False)
    estate.producer("crm").flush(20)
    estate.settle(before + KEYS)


def revisions(estate: Estate) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for message in estate.read("authoritative.customer"):
        found.setdefault(message.key(), []).append(parse_authoritative(message.headers()).revision)
    return found


def end(estate: Estate, how: signal.Signals) -> None:
    estate.workers[-1].send_signal(how)
    estate.workers[-1].wait(15)


def test_a_gate_reads_on_where_its_states_end(estate: Estate) -> None:
    # I3, I4
    estate.start_gate()
    change_all(estate, "first")
    end(estate, signal.SIGTERM)
    estate.start_gate()
    assert read_by(estate, 1) == 0, "stopped in good order, there is nothing to read"
    assert events(estate, 1, "slot.state_rebuilt") == []
    change_all(estate, "second")
    end(estate, signal.SIGKILL)
    estate.start_gate()
    assert 0 <= read_by(estate, 2) <= KEYS, "what was committed after the last checkpoint"
    assert events(estate, 2, "slot.state_rebuilt") == []
    change_all(estate, "third")
    assert set(map(tuple, revisions(estate).values())) == {(1, 2, 3)}


def test_lost_and_damaged_states_are_read_from_the_log_again(estate: Estate) -> None:
    end(estate, signal.SIGTERM)
    folder = estate.home / "gate" / "state"
    shutil.rmtree(folder / "slot-0")
    for table in (folder / "slot-1").glob("*"):
        if table.is_file():
            table.write_bytes(b"no longer what it was")
    estate.start_gate()
    assert read_by(estate, 3) > 0
    reasons = {line["slot"]: line["reason"] for line in events(estate, 3, "slot.state_rebuilt")}
    assert reasons[0] == "there is none" and "cannot be opened" in reasons[1] and reasons.keys() == {0, 1}
    change_all(estate, "fourth")
    assert set(map(tuple, revisions(estate).values())) == {(1, 2, 3, 4)}


def test_states_that_another_process_holds_are_left_alone(estate: Estate) -> None:
    worker = estate.workers[-1]
    worker.send_signal(
        signal.SIGSTOP
    )  # it holds the locks, and does not know that its slots are taken from it
    estate.start_gate()
    try:
        assert read_by(estate, 4) == 4 * KEYS
        held = [line["reason"] for line in events(estate, 4, "slot.state_rebuilt")]
        assert len(held) == SLOTS and all("lock" in reason for reason in held)
        change_all(estate, "fifth")
    finally:
        worker.send_signal(signal.SIGCONT)
    end(estate, signal.SIGTERM)
    assert set(map(tuple, revisions(estate).values())) == {(1, 2, 3, 4, 5)}
    left = {path.name for path in (estate.home / "gate" / "state").iterdir()}
    assert left == {f"slot-{number}" for number in range(SLOTS)}, (
        "a folder of its own is gone with its process"
    )
