"""One map, three walls, on a real Kafka: what it lets systems write, what they are told, and what the gate takes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from structlog.testing import capture_logs
from typer.testing import CliRunner

from broker.cli.root import app
from broker.kafka import walls
from broker.kafka.admin import make_acls
from broker.kafka.estate import publish_map
from broker.rules import rules_of
from connectors.sdk.adapter import Connector, Parts
from connectors.sdk.backfill_loop import Order, run_backfill
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.memory import MemorySource, memory_connector
from connectors.sdk.precheck import NotYours
from connectors.sdk.source import ChangeEvent
from schemas.version import SourceVersion, VersionKind
from tests.connector_bench import running, until
from tests.estate import MAP_DIR, Estate, estate_of, map_documents

pytestmark = pytest.mark.integration
BREACH = ("User:erp", "changes.crm.customer")


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    for made in estate_of(tmp_path_factory.mktemp("walls")):
        made.start_gate()
        yield made


def examined(estate: Estate) -> tuple[str, str]:
    """What the doctor says of the walls."""
    environment = estate.environment(SOLESOURCE_CREDENTIALS_FILE=str(estate.all_credentials()))
    said = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    (row,) = [row for row in json.loads(said.stdout) if row["check"] == "three walls"]
    return row["result"], row["detail"]


def told(estate: Estate) -> dict[tuple[str, str], int]:
    """Who was told something, by which version of the map."""
    return {whose: said["map_version"] for whose, said in walls.told(estate.access("control")).items()}


def soon(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def config(estate: Estate, system: str, folder: Path) -> ConnectorConfig:
    (folder / "secret.json").write_text(json.dumps(estate.passwords))
    password = {"file": "secret.json", "key": system}
    kafka = {"bootstrap": estate.bootstrap, "username": system, "password": password}
    more = {"contracts": MAP_DIR, "store": "store.sqlite", "objects": {"customer": {}}, "folder": folder}
    return ConnectorConfig.model_validate(
        {"system": system, "adapter": "memory", "kafka": kafka, "poll_interval_ms": 20, **more}
    )


def change(number: int, *fields: str) -> ChangeEvent:
    values = {"customer_id": f"C-{number}", **dict.fromkeys(fields, f"v{number}")}
    version = SourceVersion(VersionKind.SEQUENCE, 0, f"{number:016X}")
    return ChangeEvent("customer", f"C-{number}", version, 1_000, values, fields=frozenset(values))


async def backfilled(made: ConnectorConfig) -> None:
    """Read again what there is of customers."""
    source = MemorySource()
    parts = Parts(source, None, Unread())
    connector = Connector("memory", lambda _: parts)
    await run_backfill(made, Order("customer"), asyncio.Event(), lambda _: None, connector)


class Unread:
    """A backfill of which nothing may be read."""

    async def _never(self, *_: Any) -> Any:
        raise AssertionError

    open = chunk = look_again = behind = _never

    async def close(self) -> None: ...


def test_the_doctor_proves_that_they_agree_and_names_who_breaks_in(estate: Estate) -> None:
    soon(lambda: len(told(estate)) == 3)
    result, detail = examined(estate)
    assert result == "good" and "agree on 15 fields of systems, by version 1" in detail, detail
    breach = AclBinding(
        ResourceType.TOPIC,
        BREACH[1],
        ResourcePatternType.LITERAL,
        BREACH[0],
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    admin = estate.kafka.admin()
    for made in admin.create_acls([breach]).values():
        made.result(20)
    try:
        result, detail = examined(estate)
        assert result == "ATTENTION", detail
        assert "crm, customer: Kafka lets erp send changes in its name" in detail
    finally:
        same = AclBindingFilter(
            breach.restype, breach.name, breach.resource_pattern_type, breach.principal, breach.host,
            breach.operation, breach.permission_type,
        )  # fmt: skip
        for gone in admin.delete_acls([same]).values():
            gone.result(20)
    assert examined(estate)[0] == "good"


async def test_a_connector_says_at_once_what_the_gate_will_hold(estate: Estate, tmp_path: Path) -> None:
    estate.send("crm", "C-1", {"name": "Ada"})
    source = MemorySource([change(1, "name")])
    with capture_logs() as logs:
        async with running(config(estate, "erp", tmp_path), memory_connector(source)):
            await until(lambda: source.committed[-1:] == ["1"])
    (line,) = [line for line in logs if line["event"] == "precheck.not_own"]
    assert line["owners"] == {"name": "crm"} and "held for review" in line["what_follows"]
    soon(lambda: any(case["system"] == "erp" for case in estate.envelopes("quarantine")))


async def test_what_the_map_takes_from_a_system_waits_there_and_goes_on_when_it_is_given_back(
    estate: Estate, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    texts = map_documents()
    without = {**texts, "systems.yaml": texts["systems.yaml"].replace("objects: [customer]", "objects: []")}
    assert without != texts
    admin = estate.kafka.admin()
    version = await asyncio.to_thread(publish_map, estate.access("control"), without, "test")
    await asyncio.to_thread(soon, lambda: ("billing", "customer") not in told(estate))
    assert make_acls(admin, rules_of(without, version).ownership_map)
    source = MemorySource([change(7, "name")])
    with capture_logs() as logs:
        async with running(config(estate, "billing", tmp_path), memory_connector(source)):
            await until(lambda: any(line.get("code") == "precheck.not_yours" for line in logs))
            assert source.committed == [] and not any("publish_failed" in line["event"] for line in logs)
            result, detail = await asyncio.to_thread(examined, estate)
            assert result == "good", detail
            with pytest.raises(NotYours):
                await backfilled(config(estate, "billing", aside))
            version = await asyncio.to_thread(publish_map, estate.access("control"), texts, "test")
            assert make_acls(admin, rules_of(texts, version).ownership_map)
            await until(lambda: source.committed == ["1"], 60)
    assert [m.key() for m in estate.read("changes.billing.customer")] == [b"C-7"]
    assert told(estate)["billing", "customer"] == version
