"""Restricted readers on a real Kafka: what they may read reaches them once, nothing else does, and rights change."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Consumer, KafkaError

from broker.gate.project import masked
from broker.kafka.estate import prepare, publish_map
from broker.rules import rules_of
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.memory import MemorySink, memory_connector
from ownership.reading import readings
from schemas.authoritative import parse_authoritative
from tests.connector_bench import running
from tests.estate import PARTITIONS, SLOTS, Estate, estate_of, map_documents
from tests.tearing import ADMIN_PASSWORD, STATUS

pytestmark = pytest.mark.integration
MASK_KEY = "0123456789abcdef0123456789abcdef"
HIDDEN = (b"email", b"credit_limit", b"erp", b"SECRET", b"seq:", b"time:")
"""What never stands in anything that a reader of the name and a masked phone gets."""


@pytest.fixture
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("readers"))


def let_billing(estate: Estate, *read: str, **more: Any) -> str:
    """A map in which billing reads these fields; its generation."""
    documents = map_documents()
    customer = yaml.safe_load(documents["customer.yaml"])
    customer["systems"]["billing"] = {"read": list(read) if read else "all", **more}
    documents["customer.yaml"] = yaml.safe_dump(customer)
    prepare(estate.kafka.admin(), documents, estate.passwords, partitions=PARTITIONS, slots=SLOTS)
    publish_map(estate.access("control"), documents, "test")
    entry = rules_of(documents, 0).ownership_map.objects["customer"]
    return next((r.generation for r in readings(entry)), "")


def topic(generation: str) -> str:
    return f"deliveries.billing.customer.{generation}"


def backlog(estate: Estate, keys: range, **values: str) -> None:
    for number in keys:
        told = {"name": f"N{number}", "email": f"SECRET{number}@x", "phone": f"+{number % 7}"} | values
        estate.send("crm", f"C-{number}", told, wait=False)
    estate.producer("crm").flush(30)


def delivered(estate: Estate, generation: str) -> list[tuple[str, int]]:
    return [
        (m.key().decode(), parse_authoritative(m.headers()).revision) for m in estate.read(topic(generation))
    ]


def until(condition: Callable[[], bool], estate: Estate, timeout_s: float = 40) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)


def config(estate: Estate, folder: Path) -> ConnectorConfig:
    (folder / "credentials.json").write_text(json.dumps(estate.passwords))
    kafka = {
        "bootstrap": estate.bootstrap,
        "username": "billing",
        "password": {"file": "credentials.json", "key": "billing"},
    }
    for path in (Path("broker/demo/map").resolve()).iterdir():
        (folder / path.name).write_text(path.read_text("utf-8"))
    given = {"system": "billing", "adapter": "memory", "contracts": ".", "objects": {"customer": {}}}
    return ConnectorConfig.model_validate(
        {**given, "kafka": kafka, "store": "store.sqlite", "folder": folder, "poll_interval_ms": 20}
    )


@asynccontextmanager
async def billing(estate: Estate, folder: Path) -> AsyncIterator[MemorySink]:
    sink = MemorySink()
    async with running(config(estate, folder), memory_connector(sink=sink)):
        yield sink


async def eventually(condition: Callable[[], bool], estate: Estate, timeout_s: float = 40) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, estate.logs()
        await asyncio.sleep(0.1)


def may_read(estate: Estate, name: str) -> bool:
    """Whether billing's own credential reads a topic."""
    options = {**estate.access("billing").librdkafka_options(), "group.id": "billing.test"}
    consumer = Consumer({**options, "auto.offset.reset": "earliest", "enable.partition.eof": True})
    try:
        consumer.subscribe([name])
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None or message.error() is None:
                if message is not None:
                    return True
            elif message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return False
            elif message.error().code() in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
                return message.error().code() == KafkaError._PARTITION_EOF
        raise AssertionError("Kafka said nothing")
    finally:
        consumer.close()


async def test_a_restricted_reader_gets_its_fields_once_and_no_byte_of_others(
    estate: Estate, tmp_path: Path
) -> None:
    estate.credentials.write_text(json.dumps(estate.passwords | {"mask-key-1": MASK_KEY}))
    generation = let_billing(estate, "customer_id", "name", "phone", masked=["phone"])
    backlog(estate, range(400))
    worker = estate.start_gate()
    async with billing(estate, tmp_path) as sink:
        await eventually(lambda: len(sink.records) == 400, estate)
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        backlog(estate, range(400), email="SECRET too")  # nothing that billing sees
        for number in range(400):
            estate.send("erp", f"C-{number}", {"credit_limit": None}, fields=["credit_limit"], wait=False)
        estate.producer("erp").flush(30)
        estate.start_gate()
        backlog(estate, range(200), name="Later", email="SECRET too")
        await eventually(
            lambda: sum(r.get("name") == "Later" for r in sink.records.values()) == 200, estate, 60
        )
        estate.settle(1400)
        until(
            lambda: len(delivered(estate, generation)) == len(estate.read("authoritative.customer")), estate
        )
    told: dict[str, list[int]] = {}
    for key, revision in delivered(estate, generation):
        told.setdefault(key, []).append(revision)
    for key, revisions in told.items():
        assert revisions == list(range(1, len(revisions) + 1)), (key, "each once, in order")
    for message in estate.read(topic(generation)):
        everything = b"|".join(
            [message.value() or b"", *(b"%b=%b" % (n.encode(), v) for n, v in message.headers())]
        )
        assert not [word for word in HIDDEN if word in everything], everything
    assert sink.records["customer", "C-3"] == {
        "customer_id": "C-3",
        "name": "Later",
        "phone": masked(MASK_KEY.encode(), "billing", "customer", "phone", "+3"),
    }
    assert sink.records["customer", "C-10"]["phone"] == sink.records["customer", "C-3"]["phone"]
    hidden_only = [u for call in sink.calls for u in call if not u.write]
    assert hidden_only == [], "a revision of which it sees nothing is not brought to the system"
    assert not may_read(estate, "authoritative.customer") and may_read(estate, topic(generation))
    ends = {m.partition(): m.offset() for m in estate.read("authoritative.customer")}
    acks = {a["partition"]: a["through_offset"] for a in estate.envelopes("acks.billing")}
    assert acks == ends, "acknowledgements count in authoritative offsets"


async def test_rights_that_change_begin_a_new_generation(estate: Estate, tmp_path: Path) -> None:
    narrow = let_billing(estate, "customer_id", "name")
    estate.start_gate()
    backlog(estate, range(300))
    estate.send("crm", "C-299", None, deletes=True)
    async with billing(estate, tmp_path) as sink:
        await eventually(lambda: len(sink.records) == 299, estate)
        assert all(record.keys() == {"customer_id", "name"} for record in sink.records.values())
        wide = let_billing(estate, "customer_id", "name", "email")
        await eventually(lambda: all("email" in r for r in sink.records.values()), estate)
        assert sink.records["customer", "C-7"]["email"] == "SECRET7@x", "nothing changed but the right"
        estate.send("crm", "C-7", {"name": "New", "email": "n@x"})
        await eventually(lambda: sink.records["customer", "C-7"]["email"] == "n@x", estate)
        names = set(estate.consumer.list_topics(timeout=20).topics)
        until(lambda: topic(narrow) not in estate.consumer.list_topics(timeout=20).topics, estate)
        assert topic(wide) in names

        assert let_billing(estate, "customer_id", "name") == narrow, "the same rights, the same name"
        assert not may_read(estate, topic(wide)), "the right is gone before the deliveries are"
        estate.send("crm", "C-8", {"name": "Again", "email": "SECRET"})
        await eventually(lambda: sink.records["customer", "C-8"]["name"] == "Again", estate, 60)
        assert sink.records["customer", "C-8"]["email"] == "SECRET8@x", (
            "what it had it keeps; nothing new comes"
        )
        until(lambda: topic(wide) not in estate.consumer.list_topics(timeout=20).topics, estate)

        let_billing(estate)
        await eventually(lambda: "phone" in sink.records["customer", "C-8"], estate)
        assert sink.records["customer", "C-8"]["email"] == "SECRET"
    seen: dict[str, int] = {}
    for call in sink.calls:
        for update in call:
            assert update.revision >= seen.get(update.key, 0), "nobody is taken backwards"
            seen[update.key] = update.revision


async def test_without_a_mask_key_nothing_is_delivered_and_others_go_on(
    estate: Estate, tmp_path: Path
) -> None:
    let_billing(estate, "customer_id", "phone", masked=["phone"])
    estate.start_gate()
    backlog(estate, range(20))
    estate.settle(20)
    async with billing(estate, tmp_path) as sink:
        await eventually(lambda: "projector.no_mask_key" in estate.logs(), estate)
        assert "[settings.credentials]" in estate.logs() and not sink.records
        estate.credentials.write_text(json.dumps(estate.passwords | {"mask-key-1": MASK_KEY}))
        await eventually(lambda: len(sink.records) == 20, estate)


async def test_a_restricted_reader_that_drifts_is_sent_what_it_may_see(
    estate: Estate, tmp_path: Path
) -> None:
    let_billing(estate, "customer_id", "name")
    estate.start_gate()
    backlog(estate, range(1))
    async with billing(estate, tmp_path) as sink:
        await eventually(lambda: len(sink.records) == 1, estate)
        estate.send("billing", "C-0", {"name": "Mine", "email": "mine@x"}, fields=["name", "email"])
        await eventually(lambda: sink.revisions["customer", "C-0"] == 2, estate)
        assert sink.calls[-1][0].write == {"name"}
        (case,) = estate.envelopes("quarantine")
        assert {v["field"] for v in case["verdicts"] if v["verdict"] == "held"} == {"name", "email"}
        await eventually(lambda: bool(sink.refusals), estate)
        assert "SECRET" not in repr(sink.refusals), "a refusal names fields, never values"


@pytest.mark.parametrize("keeps", [r"deliveries\..*", "projections"])
def test_deliveries_that_kafka_kept_a_part_of(estate: Estate, keeps: str) -> None:
    """I3: what was delivered and how far that is were one transaction, and only one of them is there."""
    generation = let_billing(estate, "name")
    worker = estate.start_gate()
    backlog(estate, range(8))
    until(lambda: len(delivered(estate, generation)) == 8, estate)
    worker.terminate()
    assert worker.wait(30) == 0
    backlog(estate, range(8), name="again")
    broken = f"from tests.tearing import tear; tear('gate-projector-.*', {keeps!r})"
    torn = estate.start_gate(broken, **{ADMIN_PASSWORD: estate.kafka.credentials("admin")})
    assert torn.wait(60) == STATUS
    estate.start_gate()
    until(lambda: len(delivered(estate, generation)) >= 16, estate)
    backlog(estate, range(8), name="and again")
    until(lambda: len(delivered(estate, generation)) >= 24, estate)
    found = delivered(estate, generation)
    assert sorted(found) == [(f"C-{number}", revision) for number in range(8) for revision in (1, 2, 3)]
