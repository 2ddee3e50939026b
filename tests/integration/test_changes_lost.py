"""Changes that Kafka deleted before they were judged: their input stands still in the open, its neighbours go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition

from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate, estate_of

pytestmark = pytest.mark.integration
TOPIC = "changes.crm.customer"


@pytest.fixture
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("lost"))


def keys_of(partition: int) -> Iterator[str]:
    return (key for n in range(1000) if partition_of((key := f"L-{n}").encode(), PARTITIONS) == partition)


def test_a_gap_is_never_skipped(estate: Estate) -> None:
    gone, neighbour = keys_of(1), keys_of(2)
    worker = estate.start_gate()
    estate.send("crm", next(gone), {"name": "Judged"})
    estate.settle(1)
    worker.kill()
    worker.wait()

    for _ in range(3):
        _, partition, offset = estate.send("crm", next(gone), {"name": "Never judged"})
    admin = estate.kafka.admin()
    for done in admin.delete_records([TopicPartition(TOPIC, partition, offset)]).values():
        done.result(timeout=20)
    estate.start_gate()
    # The same slot's other input, and another slot.
    key = next(gone)
    estate.send("erp", key, {"credit_limit": None}, fields=["credit_limit"])
    estate.send("crm", next(neighbour), {"name": "Next door"})
    assert estate.settle(3) == {"received": 3, "accepted": 2, "parked": 1}

    deadline = time.monotonic() + 20
    while "slot.changes_lost" not in estate.logs():
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)
    (said,) = [line for line in estate.logs().splitlines() if "slot.changes_lost" in line]
    assert f'"partition": {partition}' in said and '"what_to_do"' in said
    estate.send("crm", next(gone), {"name": "Behind the gap"})
    time.sleep(2)
    assert estate.account()["received"] == 3  # I10: nothing behind the gap is judged as if there were none
    assert "slot.failed" not in estate.logs()  # its neighbours were not even interrupted


def test_a_gap_before_the_first_change_that_was_judged_is_not_skipped_either(estate: Estate) -> None:
    """The ledger has never named the input: everything in it was to be judged."""
    gone, neighbour = keys_of(1), keys_of(2)
    for _ in range(3):
        _, partition, offset = estate.send("crm", next(gone), {"name": "Never judged"})
    admin = estate.kafka.admin()
    for done in admin.delete_records([TopicPartition(TOPIC, partition, offset)]).values():
        done.result(timeout=20)
    estate.send("crm", next(neighbour), {"name": "Next door"})
    estate.start_gate()
    estate.settle(1)
    deadline = time.monotonic() + 20
    while "slot.changes_lost" not in estate.logs():
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)
    time.sleep(2)
    assert estate.account()["received"] == 1 and "slot.failed" not in estate.logs()
