"""The runner on a real Kafka: nothing is forgotten before it is safe, nothing is skipped, one failure stays
one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from broker.embedded.kafka import EmbeddedKafka
from connectors.sdk.memory import MemorySink, MemorySource, memory_connector, record_of
from connectors.sdk.publish import Outgoing
from connectors.sdk.sink import Failed, Outcome, Retry, Update
from connectors.sdk.source import ChangeEvent
from schemas.envelope import parse_change
from schemas.keys import partition_of
from tests.connector_bench import PARTITIONS, Bench, running, until

pytestmark = pytest.mark.integration


@pytest.fixture
def crm(kafka: EmbeddedKafka, tmp_path: Path) -> Bench:
    return Bench(kafka, tmp_path, "crm")


async def test_changes_arrive_placed_and_headed_as_the_wire_format_says(crm: Bench):
    crm.create_all()
    source = MemorySource([crm.change(number) for number in range(250)])
    async with running(crm.config(), memory_connector(source)):
        await until(lambda: crm.position() == "250")
    records = await crm.records(f"changes.{crm.system}.{crm.object}")
    assert len(records) == 250
    assert source.committed[-1] == "250"
    for record in records:
        assert record.partition == partition_of(record.key, PARTITIONS)
    by_key: dict[bytes, list[str]] = {}
    for record in records:
        by_key.setdefault(record.key, []).append(parse_change(record.headers).event_id)
    assert all(ids == sorted(ids) for ids in by_key.values())
    assert parse_change(records[0].headers).source == f"/{crm.system}"
    assert crm.registry.codec.decode(records[0].value, [100])["credit_limit"] == Decimal("1.00")


async def test_aiokafkas_partitioner_agrees(crm: Bench):
    crm.create_all()
    topic = f"changes.{crm.system}.{crm.object}"
    async with AIOKafkaProducer(**crm.access.options()) as producer:
        for number in range(64):
            sent = await producer.send_and_wait(topic, b"x", f"kéy{number}".encode())
            assert sent.partition == partition_of(f"kéy{number}".encode(), PARTITIONS)


async def test_nothing_is_committed_before_kafka_has_it(crm: Bench):
    source = MemorySource([crm.change(number) for number in range(10)])
    async with running(crm.config(), memory_connector(source)):
        await asyncio.sleep(1)  # the topic is not there
        assert source.committed == []
        assert crm.position() is None
        crm.create_all()
        await until(lambda: crm.position() == "10")
    assert len(await crm.records(f"changes.{crm.system}.{crm.object}")) == 10
    again = MemorySource([crm.change(number) for number in range(12)], lose_connection=2)
    async with running(crm.config(), memory_connector(again)):
        await until(lambda: crm.position() == "12")
    assert again.opened == ["10"] * 3
    assert len(await crm.records(f"changes.{crm.system}.{crm.object}")) == 12


async def test_what_does_not_fit_the_contract_is_sent_as_it_is(crm: Bench):
    crm.create_all()
    source = MemorySource([crm.change(1, credit_limit=Decimal("1.005"))])
    async with running(crm.config(), memory_connector(source)):
        await until(lambda: crm.position() == "1")
    (record,) = await crm.records(f"changes.{crm.system}.{crm.object}")
    assert json.loads(record.value)["credit_limit"] == "1.005"


async def test_own_fields_coalescing_reassertion_and_deletes(kafka: EmbeddedKafka, tmp_path: Path):
    erp = Bench(kafka, tmp_path, "erp")
    erp.system = "erp"  # as OWNERS names it
    erp.create_all()
    sink = MemorySink()
    key = (erp.object, "a")
    values = {"name": "A", "credit_limit": Decimal("5.00")}
    await erp.decide(
        ("a", 1, "customer_id name credit_limit", values),
        ("a", 2, "name", values | {"name": "B"}),
        ("b", 1, "name", values),
    )
    async with running(erp.config(), memory_connector(sink=sink)):
        await until(lambda: sink.revisions.get(key) == 2 and len(sink.records) == 2)
        assert "credit_limit" not in sink.records[key]  # I11
        assert sink.records[key]["name"] == "B"
        await erp.decide(("a", 3, "", values), reassert="crm")  # for another system
        await erp.decide(("a", 4, "", values | {"name": "Again"}), reassert="erp")
        await until(lambda: sink.revisions[key] == 4)
        assert sink.calls[-1][0].write == {"name"}
        await erp.decide(("a", 5, "", None))
        await until(lambda: record_of(sink, *key) is None)
    acks = await erp.acknowledgements()
    assert sum(ack["applied"] for ack in acks) + sum(ack["skipped"] for ack in acks) == 6
    first = acks[0]["hops"]
    assert {hop["hop"] for hop in first} == {
        "source_to_log",
        "log_to_decision",
        "decision_to_applied",
        "end_to_end",
    }
    assert sum(hop["sum_ms"] for hop in first if hop["hop"] != "end_to_end") == next(
        hop["sum_ms"] for hop in first if hop["hop"] == "end_to_end"
    )
    calls = len(sink.calls)
    async with running(erp.config(), memory_connector(sink=sink)):
        await erp.decide(("b", 1, "name", values), ("b", 3, "phone", values | {"phone": "1"}))
        await until(lambda: sink.revisions.get((erp.object, "b")) == 3)
    assert len(sink.calls) == calls + 1
    # Revision 2 was never seen: every field is written, not only the changed one.
    assert sink.calls[-1][0].write == {"customer_id", "name", "email", "phone"}


class SlowSink(MemorySink):
    """Waits in its first call until told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        self.entered.set()
        await self.go_on.wait()
        return await super().apply(updates)


async def test_what_waits_behind_a_slow_call_is_replaced_by_what_is_newer(crm: Bench):
    crm.create_all()
    sink = SlowSink()
    names = [f"k{number}" for number in range(5)]
    await crm.decide(*((name, 1, "name", {"name": "old"}) for name in names))
    async with running(crm.config(batch_max=2), memory_connector(sink=sink)):
        await sink.entered.wait()
        await crm.decide(*((name, 2, "name", {"name": "new"}) for name in names))
        await asyncio.sleep(1)  # they are fetched while the call lasts
        sink.go_on.set()
        await until(lambda: all(sink.revisions.get((crm.object, name)) == 2 for name in names))
    assert all(len(call) <= 2 for call in sink.calls)
    written = [(update.key, update.revision) for call in sink.calls for update in call]
    first = {key for key, revision in written if revision == 1}
    assert len(written) == len(set(written)) == 5 + len(first)
    assert len(first) < 5  # those that had waited were never written in their old form


async def test_a_failing_record_waits_alone_and_is_reported_when_given_up(crm: Bench):
    crm.create_all()
    later, never = Retry("test.busy", "busy"), Failed("test.no", "no")
    script: dict[str, list[Outcome]] = {"three": [later] * 3, "always": [later] * 99, "never": [never]}
    sink = MemorySink(script=script)
    limit = {"name": "A", "credit_limit": Decimal("5.00")}
    keys = ["three", "always", "never", *(f"k{number}" for number in range(40))]
    await crm.decide(*((key, 1, "credit_limit", limit) for key in keys))
    config = crm.config(system=crm.system, retries=3)
    async with running(config, memory_connector(sink=sink)):
        await until(lambda: len(sink.records) == 41)
        await until(lambda: len(script["always"]) == 95)
        await asyncio.sleep(0.6)
    acks = await crm.acknowledgements()
    failures = [failure for ack in acks for failure in ack["failures"]]
    found = {
        failure["key"]: (failure["code"], failure["attempts"], failure["revision"]) for failure in failures
    }
    assert found == {b"always": ("test.busy", 4, 1), b"never": ("test.no", 1, 1)}
    assert sum(ack["applied"] for ack in acks) == 41
    assert sum(ack["failed"] for ack in acks) == 2
    assert sum(ack["retries"] for ack in acks) == 6
    ends = {ack["partition"]: ack["through_offset"] for ack in acks}
    records = await crm.records(f"authoritative.{crm.object}")
    assert ends == {p: max(r.offset for r in records if r.partition == p) for p in ends}


async def test_a_system_away_is_waited_for_and_nothing_is_given_up(crm: Bench):
    crm.create_all()
    sink = MemorySink(lose_connection=4)
    await crm.decide(
        *((f"k{number}", 1, "credit_limit", {"credit_limit": Decimal(1)}) for number in range(10))
    )
    async with running(crm.config(retries=0), memory_connector(sink=sink)):
        await until(lambda: len(sink.records) == 10)
        await asyncio.sleep(0.5)
    acks = await crm.acknowledgements()
    assert [sum(ack[name] for ack in acks) for name in ("applied", "failed")] == [10, 0]


async def test_refusals_and_proposals_reach_the_adapter_once(crm: Bench):
    crm.create_all()
    codec, id_of = crm.registry.codec, crm.registry.id_of
    refusal = {
        "case_id": "c1",
        "object": crm.object,
        "key": b"a",
        "reason": "not_owner",
        "rule": "R.",
        "what_to_do": "W.",
        "fields": ["name"],
        "owners": {"name": "crm"},
        "outcome": "quarantined",
        "map_version": 1,
        "refused_ms": 5,
    }
    part = {"field": "name", "current": '"A"', "proposed": '"B"'}
    proposal = {
        "proposal_id": "p1",
        "object": crm.object,
        "key": b"a",
        "proposer": "erp",
        "fields": [part],
        "opened_ms": 1,
        "expires_ms": 2,
    }
    refused = codec.encode(id_of("refusal"), {**refusal, "event_id": None})
    proposed = codec.encode(id_of("proposal"), {**proposal, "by": "kim", "note": "n", "case_id": None})
    sink = MemorySink()
    await crm.send(
        Outgoing(f"refusals.{crm.system}", b"a", refused),
        Outgoing(f"refusals.{crm.system}", b"a", b"junk"),
        Outgoing(f"proposals.{crm.system}", b"a", proposed),
    )
    async with running(crm.config(), memory_connector(sink=sink)):
        await until(lambda: len(sink.refusals) == 1 and len(sink.proposals) == 1)
    assert sink.refusals[0].sentence == "R. W."
    assert sink.proposals[0].fields[0].proposed == '"B"'


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("own-kafka"), brief=True) as running_kafka:
        yield running_kafka


async def test_kafka_gone_and_back_loses_nothing(own_kafka: EmbeddedKafka, tmp_path: Path):
    bench = Bench(own_kafka, tmp_path, "crm")
    bench.create_all()
    changes: list[ChangeEvent] = [bench.change(number) for number in range(100)]
    source, sink = MemorySource(changes), MemorySink()
    async with running(bench.config(), memory_connector(source, sink)):
        await until(lambda: bench.position() == "100")
        own_kafka.down()
        changes.extend(bench.change(number) for number in range(100, 200))
        await asyncio.sleep(2)
        assert bench.position() == "100"
        own_kafka.up()
        await until(lambda: bench.position() == "200", 60)
        await bench.decide(("a", 1, "credit_limit", {"credit_limit": Decimal(1)}))
        await until(lambda: len(sink.records) == 1, 60)
        own_kafka.down()
        changes.extend(bench.change(number) for number in range(200, 210))
        await asyncio.sleep(1)
    # `running` saw it stop in seconds although Kafka is away; what was on its way is sent by the next run.
    assert bench.position() == "200"
    own_kafka.up()
    async with running(bench.config(), memory_connector(MemorySource(changes))):
        await until(lambda: bench.position() == "210", 60)
    ids = _ids(await bench.records(f"changes.{bench.system}.{bench.object}"))
    assert len(set(ids)) == 210


def _ids(records: Sequence[Any]) -> list[str]:
    return [parse_change(record.headers).event_id for record in records]
