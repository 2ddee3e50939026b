"""What becomes of transactions whose requests are late or whose answers are lost: with aiokafka alone, and in the gate.

Every client reaches Kafka through a proxy, which counts what it does. I3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Literal

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import NewTopic

from broker.access import REQUEST_TIMEOUT_MS
from broker.embedded.files import free_port
from broker.embedded.kafka import EmbeddedKafka
from broker.lane.end_txn import EndOnceProducer, EndUnknownError
from schemas.keys import partition_of
from tests.chaos.proxy import Api, Fault, Proxy
from tests.estate import PARTITIONS, Estate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PATIENCE_MS = 1500
LATE_S = 4.0
GATE_PATIENCE_S = REQUEST_TIMEOUT_MS / 1000
KEYS = 24
TURNS = 10
On = Literal["request", "response"]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy(free_port()) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def estate(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    home = tmp_path_factory.mktemp("end-txn")
    with EmbeddedKafka(home / "kafka", port=proxy.target, advertised_port=proxy.port, brief=True) as kafka:
        estate = Estate(kafka, home / "estate")
        try:
            yield estate
        finally:
            estate.stop()


# -- a producer alone


async def started(kind: type[AIOKafkaProducer], estate: Estate, name: str) -> AIOKafkaProducer:
    options = await asyncio.to_thread(estate.kafka.aiokafka_settings, "admin")
    producer = kind(**options, client_id=name, transactional_id=name, request_timeout_ms=PATIENCE_MS)
    await producer.start()
    return producer


async def new_topic(estate: Estate, name: str) -> None:
    admin = estate.kafka.admin()
    await asyncio.to_thread(admin.create_topics([NewTopic(name, 1, 1)])[name].result, 10)


async def committed(estate: Estate, topic: str) -> list[bytes]:
    return [message.value() for message in await asyncio.to_thread(estate.read, topic)]


async def test_aiokafka_as_it_is_sends_an_unanswered_end_again(estate: Estate, proxy: Proxy) -> None:
    """The control: the proxy's fault really brings about what the patch is against."""
    await new_topic(estate, "again")
    producer = await started(AIOKafkaProducer, estate, "again")
    fault = proxy.add(Fault(api=Api.END_TXN, client="again", lost="closed"))
    await producer.begin_transaction()
    await producer.send_and_wait("again", b"1")
    await producer.commit_transaction()
    await producer.stop()
    assert fault.hits == 1
    assert proxy.count(Api.END_TXN, "again") >= 2, "more if Kafka was still at it: an answer, and asked again"


async def test_aiokafka_as_it_is_tears_a_transaction(estate: Estate, proxy: Proxy) -> None:
    """The hazard itself: a late EndTxn commits what has been written so far of the next transaction."""
    await new_topic(estate, "torn")
    producer = await started(AIOKafkaProducer, estate, "torn")
    fault = proxy.add(Fault(api=Api.END_TXN, client="torn", on="request", delay_s=LATE_S))
    await producer.begin_transaction()
    await producer.send_and_wait("torn", b"first")
    await producer.commit_transaction()
    await producer.begin_transaction()
    await producer.send_and_wait("torn", b"half of the second")
    assert await committed(estate, "torn") == [b"first"]
    await asyncio.sleep(LATE_S)
    assert fault.hits == 1
    assert await committed(estate, "torn") == [b"first", b"half of the second"]
    await producer.stop()


@pytest.mark.parametrize("on", ["request", "response"])
async def test_a_late_end_ends_the_producer_and_tears_nothing(estate: Estate, proxy: Proxy, on: On) -> None:
    name = f"late-{on}"
    await new_topic(estate, name)
    producer = await started(EndOnceProducer, estate, name)
    fault = proxy.add(Fault(api=Api.END_TXN, client=name, on=on, delay_s=LATE_S))
    await producer.begin_transaction()
    await producer.send_and_wait(name, b"first")
    with pytest.raises(EndUnknownError):
        await producer.commit_transaction()
    await producer.stop()
    told = await started(
        EndOnceProducer, estate, name
    )  # fences; from here on the log tells what was committed
    first = [b"first"] if on == "response" else []
    assert await committed(estate, name) == first
    await told.begin_transaction()
    await told.send_and_wait(name, b"half of the second")
    await asyncio.sleep(LATE_S)
    assert (fault.hits, proxy.count(Api.END_TXN, name)) == (1, 1)
    assert await committed(estate, name) == first
    await told.commit_transaction()
    await told.stop()
    assert await committed(estate, name) == [*first, b"half of the second"]


@pytest.mark.parametrize("on", ["request", "response"])
async def test_a_lost_end_is_not_sent_again(estate: Estate, proxy: Proxy, on: On) -> None:
    name = f"lost-{on}"
    await new_topic(estate, name)
    producer = await started(EndOnceProducer, estate, name)
    fault = proxy.add(Fault(api=Api.END_TXN, client=name, on=on, lost="closed"))
    await producer.begin_transaction()
    await producer.send_and_wait(name, b"1")
    with pytest.raises(EndUnknownError):
        await producer.commit_transaction()
    await asyncio.sleep(1.0)
    await producer.stop()
    assert (fault.hits, proxy.count(Api.END_TXN, name)) == (1, 1)


# -- the gate

CASES = {
    "answers of EndTxn lost": [Fault(api=Api.END_TXN, client="gate-slot", lost="closed", times=6)],
    "EndTxn lost": [Fault(api=Api.END_TXN, client="gate-slot", on="request", lost="closed", times=6)],
    "EndTxn late, its answer late, its answer lost in silence": [
        Fault(api=Api.END_TXN, client="gate-slot-1", on="request", delay_s=GATE_PATIENCE_S + 8),
        Fault(api=Api.END_TXN, client="gate-slot-2", on="response", delay_s=GATE_PATIENCE_S + 8),
        Fault(api=Api.END_TXN, client="gate-slot-3", lost="silent"),
    ],
    "EndTxn late behind a broken connection": [
        Fault(api=Api.END_TXN, client="gate-slot", on="request", delay_s=1.0, broken=True, times=8)
    ],
    "answers of EndTxn lost, then those of InitProducerId": [
        Fault(api=Api.END_TXN, client="gate-slot", lost="closed", times=4),
        Fault(api=Api.INIT_PRODUCER_ID, client="gate-slot", lost="closed", times=4),
    ],
    "answers of Produce lost": [Fault(api=Api.PRODUCE, client="gate-slot", lost="closed", times=10)],
    "answers of AddPartitionsToTxn lost": [
        Fault(api=Api.ADD_PARTITIONS_TO_TXN, client="gate-slot", lost="closed", times=10)
    ],
    "any answer of a transaction, by chance": [
        Fault(api=api, client="gate-slot", lost="closed", times=None, probability=0.25, seed=seed)
        for seed, api in enumerate((Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.END_TXN))
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_the_gate_loses_doubles_and_disorders_nothing(estate: Estate, proxy: Proxy, case: str) -> None:
    """I3, I4: every change once, in order, whatever is lost or late of the transactions."""
    if not estate.workers:
        estate.start_gate()
    prefix = f"C{list(CASES).index(case)}"
    keys = [f"{prefix}-{number}" for number in range(KEYS)]
    assert {partition_of(key.encode(), PARTITIONS) for key in keys} == set(range(PARTITIONS))
    before, opened, failed = (
        estate.account()["received"],
        len(estate.events("slot.opened")),
        len(failures(estate)),
    )
    faults = [proxy.add(fault) for fault in CASES[case]]
    for turn in range(TURNS):
        for key in keys:
            estate.send("crm", key, {"name": f"{turn}"}, wait=False)
        estate.producer("crm").flush(30)
        time.sleep(0.2)
    account = estate.settle(before + TURNS * KEYS, timeout_s=GATE_PATIENCE_S + 60)
    proxy.faults.clear()
    assert account["received"] == before + TURNS * KEYS
    assert account["received"] == sum(count for name, count in account.items() if name != "received")  # I2
    for key in keys:
        assert estate.revisions(key) == list(range(1, TURNS + 1))  # I4
    assert estate.ledger_faults() == []
    met = [fault.hits > 0 for fault in faults]
    assert any(met) if "by chance" in case else all(met), faults
    ends = sum(fault.hits for fault in faults if fault.api == Api.END_TXN)
    deadline = time.monotonic() + 30
    while len(failures(estate)) - failed < ends and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(failures(estate)) - failed == ends
    # A slot that opens ends a transaction too, its mark; it may have to begin again before it is open.
    slots = set(failures(estate)[failed:])
    while len(estate.events("slot.opened")) - opened < len(slots) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(estate.events("slot.opened")) - opened >= len(slots)
    assert estate.events("lane.kafka_away") == [], "nothing else of the gate has suffered"


def failures(estate: Estate) -> list[int]:
    """The slots that were given up because the end of their transaction was not answered, each time."""
    return [event["slot"] for event in estate.events("slot.failed") if "EndUnknownError" in event["error"]]
