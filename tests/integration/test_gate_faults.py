"""The gate under faults of a real Kafka: away at the start, away for 30 s, workers killed; nothing lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.estate import Estate, estate_of

pytestmark = pytest.mark.integration
GONE_S = 30


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("faults"))


def test_kafka_is_down_when_the_gate_starts(estate: Estate) -> None:
    estate.send("crm", "D-1", {"name": "before"})
    estate.forget_clients()
    estate.kafka.down()
    worker = estate.start_gate()
    time.sleep(5)
    assert worker.poll() is None, f"it waits for Kafka instead of leaving\n{estate.logs()}"
    estate.kafka.up()
    account = estate.settle(1, timeout_s=60)
    assert account["accepted"] == 1


def test_kafka_is_gone_for_thirty_seconds(estate: Estate) -> None:
    """I3: what was committed stays, what was not is judged again, once."""
    before = estate.account()["received"]
    for number in range(50):
        estate.send("crm", f"G-{number % 10}", {"name": f"first {number}"})
    estate.settle(before + 50)
    estate.forget_clients()
    estate.kafka.down()
    time.sleep(GONE_S)
    estate.kafka.up()
    for number in range(50):
        estate.send("crm", f"G-{number % 10}", {"name": f"second {number}"})
    account = estate.settle(before + 100, timeout_s=90)
    assert account["received"] == before + 100
    for key in range(10):
        assert estate.revisions(f"G-{key}") == list(range(1, 11))  # I4
    assert estate.ledger_faults() == []


def test_workers_are_killed_and_share_the_slots(estate: Estate) -> None:
    """I3: two workers, one killed at a time; every change has exactly one outcome."""
    before = estate.account()["received"]
    estate.start_gate()
    for turn in range(3):
        for number in range(100):
            estate.send("crm", f"K-{number % 20}", {"name": f"{turn}.{number}"}, wait=False)
        estate.producer("crm").flush(30)
        victim = next(worker for worker in estate.workers if worker.poll() is None)
        victim.kill()
        victim.wait()
        estate.start_gate()
    account = estate.settle(before + 300, timeout_s=90)
    assert account["received"] == before + 300
    assert account["received"] == sum(count for name, count in account.items() if name != "received")  # I2
    for key in range(20):
        assert estate.revisions(f"K-{key}") == list(range(1, 16))
    assert estate.ledger_faults() == []
