"""What a worker of a campaign finds around it does what the schedule says, and is counted."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from broker.embedded.files import LOOPBACK
from broker.lane import rocks
from tests.chaos.answers import ANSWERS, Answers
from tests.chaos.proxy import Api
from tests.chaos.surroundings import Disk, fill_up
from tests.chaos.test_proxy import Echo, ask, head


def batch(key: bytes) -> object:
    written = rocks.batch()
    written[key] = b"1"
    return written


def test_a_full_disk_refuses_and_a_database_goes_on_once_it_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path)
    monkeypatch.setattr(rocks, "opened", rocks.opened)
    monkeypatch.setattr(Path, "write_bytes", Path.write_bytes)
    fill_up(disk)
    database = rocks.opened(tmp_path / "slot-1", rocks.LEAVING_S)
    database.write(batch(b"before"))
    disk.fill(60.0)
    with pytest.raises(OSError, match="No space left on device"):
        database.write(batch(b"meanwhile"))
    with pytest.raises(OSError, match="No space left on device"):
        rocks.opened(tmp_path / "slot-2")
    with pytest.raises(OSError, match="No space left on device"):
        (tmp_path / "room-1").write_bytes(b"probe")
    (tmp_path / "else").write_bytes(b"what is not the gate's states is left alone")
    assert disk.refused == 3
    disk.fill(0.0)
    with pytest.raises(OSError, match="No space left on device"):
        database.write(batch(b"afterwards"))
    database.close()
    again = rocks.opened(tmp_path / "slot-1")
    again.write(batch(b"afterwards"))
    assert [key for key, _ in again.items()] == [b"afterwards", b"before"]
    again.close()


def test_answers_are_lost_once_at_each_broker_and_counted() -> None:
    brokers = [Echo(), Echo()]
    answers = Answers([broker.port for broker in brokers])
    try:
        before = {
            int(port): there for port, there in json.loads(answers.environment["CHAOS_PROXIES"]).items()
        }
        assert before.keys() == {broker.port for broker in brokers}
        answers.add("end_lost", 1)
        time.sleep(1.0)  # it is another process
        for broker in brokers:
            answered = [_asks(before[broker.port]) for _ in range(2)]
            assert answered == [False, True]
        answers.stop()
        assert answers.struck == {"end_lost": 2}
    finally:
        answers.close()
        for broker in brokers:
            broker.close()


def _asks(port: int) -> bool:
    """Whether EndTxn is answered."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        return ask(connection, head(Api.END_TXN, 1)) is not None


def test_every_answer_is_the_gate_s_and_happens_once() -> None:
    for make in ANSWERS.values():
        fault = make(4)
        assert (fault.client, fault.times) == ("gate-", 1)
        assert fault.lost or fault.delay_s == 4
