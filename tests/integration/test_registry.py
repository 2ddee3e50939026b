"""A real registry: what a system registered there, the gate reads after `solesource contract learn`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from broker.cli.root import app
from broker.clock import now_ms
from broker.rules import rules_of
from schemas.remote import NotAvro, RemoteRegistry
from tests import apicurio
from tests.gate_parts import Bench, map_texts
from tests.registry_desk import BUYER

pytestmark = [pytest.mark.integration, pytest.mark.counterpart, pytest.mark.timeout(600)]
ADA = {"customer_id": "C-1", "name": "Ada", "email": None, "phone": None, "credit_limit": None}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from apicurio.opened(tmp_path_factory.mktemp("apicurio"))


def registered(url: str, subject: str, document: Any, **more: Any) -> int:
    """The id that the registry gives to a schema."""
    body = {"schema": document if isinstance(document, str) else json.dumps(document), **more}
    answer = httpx2.post(f"{url}/subjects/{subject}/versions", json=body, timeout=30)
    assert answer.status_code == httpx2.codes.OK, answer.text
    return int(answer.json()["id"])


def test_what_it_says_of_an_id(url: str) -> None:
    number = registered(url, "changes.crm.customer-value", BUYER)
    proto = registered(
        url, "other-value", 'syntax = "proto3"; message Other { string a = 1; }', schemaType="PROTOBUF"
    )

    async def asked() -> None:
        registry = RemoteRegistry(url, now_ms)
        found = await registry.schema(number)
        assert found is not None and found.schema_id == number
        assert [field["name"] for field in found.document["fields"]] == [f["name"] for f in BUYER["fields"]]
        assert await registry.schema(987_654) is None
        with pytest.raises(NotAvro, match="PROTOBUF"):
            await registry.schema(proto)
        await registry.close()

    asyncio.run(asked())


def test_changes_written_by_it_are_judged(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = registered(url, "changes.crm.buyer-value", BUYER)
    for name, text in map_texts().items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("SOLESOURCE_REGISTRY_URL", url)
    bench = Bench(rules=rules_of(map_texts(), 1))
    sent = bench.upsert("crm", "seq:0:01", ADA)
    assert sent.value is not None
    sent.value = b"\x00" + number.to_bytes(4, "big") + sent.value[5:] + b"\x02\x01"  # and vip: true
    held = bench.see(sent)
    assert held.reason == "unknown_schema"
    done = CliRunner().invoke(app, ["contract", "learn", "customer", str(number), "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    bench = Bench(rules=rules_of({path.name: path.read_text() for path in tmp_path.iterdir()}, 2))
    seen = bench.see(sent)
    assert (seen.outcome, seen.reason) == ("partly_accepted", "unknown_field")
    assert bench.values() == ADA
