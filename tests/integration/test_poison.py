"""Good records behind bad ones: behind a thousand in a row not for long; behind one that no memory could unpack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from schemas.codec import frame
from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate, estate_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ROUNDS, POISON = 3, 1_000
DELAY_MS_MAX = 1_000
"""Of the best round: another program on the machine may have a say in any of them."""
BOMB_BYTES, GROWTH_MAX = 400_000_000, 64 * 1024 * 1024
BAD = (
    b"",
    b"\x00",
    b"{}",
    frame(100),
    frame(100) + b"\x06P-0",
    frame(7) + b"\x06P-0",
    frame(100) + b"\xff" * 40,
)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("poison"))


def poison(estate: Estate, number: int) -> None:
    kind = number % (len(BAD) + 3)
    if kind < len(BAD):
        estate.send("crm", "P-0", None, value=BAD[kind], wait=False)
    elif kind == len(BAD):
        estate.send("crm", "P-0", {"name": "x"}, headers=[("ce_id", b"x")], wait=False)
    elif kind == len(BAD) + 1:
        estate.send("crm", "P-0", {"name": "x"}, raw_key=b"\xff", wait=False)
    else:
        estate.send("crm", "P-0", None, wait=False)  # an upsert without a value


def most_memory(pid: int) -> int:
    """The most bytes that a process ever had; where the system does not say, those that it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)


def test_a_good_record_behind_a_thousand_bad_ones(estate: Estate) -> None:
    estate.start_gate()
    estate.send("crm", "P-0", {"name": "first"})
    estate.settle(1)
    delays, sent = [], 1
    for turn in range(ROUNDS):
        for number in range(POISON):
            poison(estate, number)
        place = estate.send("crm", "P-0", {"name": f"good {turn}"})
        sent += POISON + 1
        account = estate.settle(sent)
        assert place is not None
        (asked,) = [m for m in estate.read(place[0]) if (m.partition(), m.offset()) == place[1:]]
        answer = [m for m in estate.read("authoritative.customer") if m.key() == b"P-0"][-1]
        delays.append(answer.timestamp()[1] - asked.timestamp()[1])
        time.sleep(1)
    assert min(delays) <= DELAY_MS_MAX, delays
    assert account["accepted"] == 1 + ROUNDS and account["received"] == sent
    held = account["unreadable"] + account["quarantined"]
    assert held == ROUNDS * POISON == len(estate.envelopes("quarantine"))
    assert estate.ledger_faults() == []


def test_a_batch_of_kilobytes_that_becomes_hundreds_of_megabytes(estate: Estate) -> None:
    """Kafka takes it; a gate that unpacked it whole would be killed for want of memory, again and again."""
    worker = next((w for w in estate.workers if w.poll() is None), None) or estate.start_gate()
    received = estate.account()["received"] + 1
    estate.send("crm", "P-1", {"name": "before"})
    estate.settle(received)
    before = most_memory(worker.pid)
    options = {"compression.type": "zstd", "message.max.bytes": 1_000_000_000, "acks": "all"}
    bomber = Producer({**estate.access("crm").librdkafka_options(), **options})
    place: list[tuple[str, int, int]] = []
    bomber.produce(
        "changes.crm.customer",
        bytes(BOMB_BYTES),
        b"P-1",
        partition=partition_of(b"P-1", PARTITIONS),
        on_delivery=lambda error, m: (
            place.append((m.topic(), m.partition(), m.offset())) if not error else None
        ),
    )
    bomber.flush(120)
    assert place, "Kafka took it"
    estate.send("crm", "P-1", {"name": "behind"})
    estate.settle(received + 2)
    assert worker.poll() is None, estate.logs()
    grown = most_memory(worker.pid) - before
    assert grown < GROWTH_MAX, grown
    (held,) = [
        case
        for case in estate.envelopes("quarantine")
        if (case["topic"], case["partition"], case["offset"]) == place[0]
    ]
    assert held["reason"] == "too_large" and held["value"] is None
    assert estate.revisions("P-1") == [1, 2]
    assert estate.ledger_faults() == []
