"""Adopting foreign topics on real Kafka: nothing lost, nothing doubled, order kept, whatever partitioner wrote them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions

from broker.embedded.kafka import EmbeddedKafka
from connectors.adopt import CONNECTOR, topics
from connectors.adopt.position import parse
from schemas.envelope import parse_change
from schemas.keys import partition_of
from schemas.version import version_of
from tests.connector_bench import PARTITIONS, Bench, running, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NUMBERS = count(1)
FIELDS = {"customer_id": {"from": "id", "as": "text"}, "name": "name"}


class Shop(Bench):
    """A system whose changes are on a topic already."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path) -> None:
        super().__init__(kafka, folder, "shop")
        self.topic = f"legacy.customers{next(NUMBERS)}"
        self.create(self.topic, partitions=3)
        self.create_all()
        self.producer = Producer({**kafka.client_settings("admin"), "partitioner": "consistent"})

    def write(self, key: str, row: Any) -> None:
        """As a program does whose partitioner is another one than ours."""
        value = row if row is None or isinstance(row, bytes) else json.dumps(row).encode()
        self.producer.produce(self.topic, value, key.encode())
        self.producer.poll(0)

    def adopting(self, **more: Any) -> Any:
        mapping = {"topic": self.topic, "format": "json", "mapping": 1, "fields": FIELDS, **more}
        settings = {
            "bootstrap": self.kafka.bootstrap,
            "username": "admin",
            "password": {"file": "credentials.json", "key": "admin"},
        }
        return self.config(adapter="adopt", objects={self.object: mapping}, settings=settings)

    def read_to(self) -> int:
        """Records of the topic that were published and stored."""
        position = self.position()
        return 0 if position is None else sum(parse(position)[self.object].next.values())

    async def told(self) -> dict[str, list[tuple[str, Any]]]:
        """Key -> its (version, name) in the order of the log."""
        found: dict[str, list[tuple[str, Any]]] = {}
        for record in await self.records(f"changes.{self.system}.{self.object}"):
            assert record.partition == partition_of(record.key, PARTITIONS)
            envelope = parse_change(record.headers)
            name = None if envelope.deletes else self.registry.codec.decode(record.value)["name"]
            found.setdefault(record.key.decode(), []).append((envelope.event_id, name))
        return found


@pytest.fixture
def shop(kafka: EmbeddedKafka, tmp_path: Path) -> Shop:
    return Shop(kafka, tmp_path)


async def test_every_record_is_told_in_order_under_our_keys_and_placement(shop: Shop) -> None:
    for number in range(600):
        shop.write(f"k{number % 50}", {"id": f"k{number % 50}", "name": f"N{number}"})
    shop.write("k7", None)
    shop.producer.flush(20)
    async with running(shop.adopting(), CONNECTOR):
        await until(lambda: shop.read_to() == 601)
    found = await shop.told()
    assert len(found) == 50 and sum(map(len, found.values())) == 601
    for key, told in found.items():
        assert [name for _, name in told][:12] == [f"N{n}" for n in range(int(key[1:]), 600, 50)]
        versions = [version_of(event_id) for event_id, _ in told]
        assert all(one.older_than(other) for one, other in pairwise(versions))
    assert found["k7"][-1][1] is None


async def test_it_goes_on_where_it_stood(shop: Shop) -> None:
    for part in range(3):
        for number in range(part * 40, part * 40 + 40):
            shop.write(f"k{number % 10}", {"id": f"k{number % 10}", "name": f"N{number}"})
        shop.producer.flush(20)
        async with running(shop.adopting(), CONNECTOR):
            await until(lambda part=part: shop.read_to() == part * 40 + 40)  # type: ignore[misc]
    assert sum(map(len, (await shop.told()).values())) == 120


async def test_what_is_read_again_has_the_same_ids(shop: Shop) -> None:
    for number in range(30):
        shop.write(f"k{number % 10}", {"id": f"k{number % 10}", "name": f"N{number}"})
    shop.producer.flush(20)
    for _ in range(2):
        async with running(shop.adopting(), CONNECTOR):
            await until(lambda: shop.read_to() == 30)
        (shop.folder / "store.sqlite").unlink()
    for told in (await shop.told()).values():
        assert told[:3] == told[3:] and len({event_id for event_id, _ in told}) == 3


async def test_only_what_was_committed_is_told(shop: Shop) -> None:
    options = {**shop.access.options(), "transactional_id": shop.topic}
    async with AIOKafkaProducer(**options) as producer:
        for number, ends in ((1, producer.commit_transaction), (2, producer.abort_transaction)):
            await producer.begin_transaction()
            row = json.dumps({"id": "k", "name": f"N{number}"}).encode()
            await producer.send_and_wait(shop.topic, row, b"k", partition=0)
            await ends()
    shop.producer.produce(shop.topic, b'{"id": "k", "name": "N3"}', b"k", partition=0)
    shop.producer.flush(20)
    async with running(shop.adopting(), CONNECTOR):
        await until(lambda: shop.read_to() == 5)
    assert [name for _, name in (await shop.told())["k"]] == ["N1", "N3"]


async def test_a_topic_that_is_given_more_partitions(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was in one partition at offset 100 is in another one at offset 0 from then on."""
    monkeypatch.setattr(topics, "METADATA_MS", 300)
    for number in range(400):
        shop.write(f"k{number % 20}", {"id": f"k{number % 20}", "name": f"N{number}"})
    shop.producer.flush(20)
    async with running(shop.adopting(), CONNECTOR):
        await until(lambda: shop.read_to() == 400)
        admin = shop.kafka.admin()
        admin.create_partitions([NewPartitions(shop.topic, 7)])[shop.topic].result(20)
        await until(lambda: '"generation": 1' in (shop.position() or ""))
        shop.producer = Producer({**shop.kafka.client_settings("admin"), "partitioner": "consistent"})
        for number in range(400, 600):
            shop.write(f"k{number % 20}", {"id": f"k{number % 20}", "name": f"N{number}"})
        shop.producer.flush(20)
        await until(lambda: shop.read_to() == 600)
    for key, told in (await shop.told()).items():
        assert [name for _, name in told] == [f"N{n}" for n in range(int(key[1:]), 600, 20)]
        versions = [version_of(event_id) for event_id, _ in told]
        assert all(one.older_than(other) for one, other in pairwise(versions)), key


async def test_from_the_end_only_what_comes_is_told(shop: Shop) -> None:
    shop.write("k1", {"id": "k1", "name": "before"})
    shop.producer.flush(20)
    async with running(shop.adopting(start="end"), CONNECTOR):
        await until(lambda: shop.position() is not None)
        shop.write("k1", {"id": "k1", "name": "after"})
        shop.producer.flush(20)
        await until(lambda: shop.read_to() == 2)
    assert [name for _, name in (await shop.told())["k1"]] == ["after"]


async def test_a_poison_record_stops_nobody(shop: Shop) -> None:
    for number in range(100):
        shop.write(f"k{number}", {"id": f"k{number}", "name": "x"} if number % 2 else b'{"id":' + b"[" * 9000)
    shop.producer.flush(20)
    async with running(shop.adopting(), CONNECTOR):
        await until(lambda: shop.read_to() == 100)
    records = await shop.records(f"changes.{shop.system}.{shop.object}")
    held = [json.loads(record.value) for record in records if record.value[0] != 0]
    assert len(records) == 100 and len(held) == 50
    assert all(one["unmapped"] and one["topic"] == shop.topic for one in held)


def test_a_trial_says_what_would_be_told_and_writes_nothing(shop: Shop) -> None:
    shop.write("k1", {"id": 1, "name": "Ada", "age": 5})
    shop.write("k2", {"id": 2, "name": 7})
    shop.write("k3", None)
    shop.producer.flush(20)
    path = shop.folder / "shop.yaml"
    path.write_text(yaml.safe_dump(json.loads(shop.adopting().model_dump_json(exclude_none=True))))
    done = subprocess.run(
        [sys.executable, "-m", "connectors.adopt.trial", str(path), "--records", "30"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "told" in done.stdout and "customer_id=1  name=Ada" in done.stdout
    assert "held" in done.stdout and "name: the contract has a text" in done.stdout
    assert (
        "gone" in done.stdout
        and "1 gone, 1 held, 1 told" in done.stdout
        and "columns not mapped: age" in done.stdout
    )
    assert not (shop.folder / "store.sqlite").exists()
