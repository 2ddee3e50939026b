"""A backfill on a real PostgreSQL, Kafka and gate: what was missing is filled in, and nothing newer is overwritten."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from broker.embedded.postgres import EmbeddedPostgres
from connectors.postgres import CONNECTOR
from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.backfill import Backfill, Chunk, KeyRange
from connectors.sdk.backfill_loop import Order, run_backfill
from connectors.sdk.config import load_config
from tests.backfill_bench import Crm, Editors, faults_of_order, in_force
from tests.estate import Estate, estate_of

pytestmark = pytest.mark.integration

NUMBERS = count(1)
ROWS = 3000


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    for estate in estate_of(tmp_path_factory.mktemp("backfill")):
        estate.start_gate()
        yield estate


@pytest.fixture
def crm(estate: Estate, postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Crm]:
    found = Crm(estate, postgres, tmp_path, f"backfill{next(NUMBERS)}")
    yield found
    found.close()


def test_live_edits_a_kill_and_a_resume_end_in_what_the_rows_say(crm: Crm) -> None:
    with crm.connector():
        pass  # its first start makes the slot
    crm.never_told(ROWS)
    with crm.connector(), Editors(crm, seed=7) as editors:
        process = crm.backfill("--rate", "1500")
        crm.until(lambda: json.loads(crm.position("backfill:customer") or '{"done": 0}')["done"] >= 600)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = json.loads(crm.position("backfill:customer") or "{}")
        summary = crm.backfilled("--rate", "1500")
        assert summary["finished"] and summary["done"] >= kept["done"] + summary["published"]
        assert summary["published"] <= 3300 - 600, "what Kafka had confirmed was not read again"
        assert crm.position("backfill:customer") is None
    assert editors.edits > 300
    with crm.connector():
        crm.run("INSERT INTO customers VALUES ('last', '1')")
        crm.until(lambda: "last" in in_force(crm.settled()))
        history = crm.settled()
    assert in_force(history) == crm.rows()
    assert faults_of_order(history) == []  # I4
    # Live changes of rows that nobody had told yet were held, as they were before; nothing that a backfill told was.
    assert {case["reason"] for case in crm.estate.envelopes("quarantine")} <= {"incomplete_record"}
    assert sum(crm.estate.account().values()) == 2 * crm.estate.account()["received"]  # I2
    assert any(len(revisions) > 1 for revisions in history.values())

    # The whole of it again, with nothing missing: no revision comes of it, and nothing is held.
    before, revisions = Counter(crm.estate.account()), sum(map(len, history.values()))
    with crm.connector():
        summary = crm.backfilled("--rate", "5000")
        assert summary["published"] == len(crm.rows())
        assert sum(map(len, crm.settled().values())) == revisions
    assert Counter(crm.estate.account()) - before == {
        "received": summary["published"],
        "echo": summary["published"],
    }


class Between:
    """A backfill in which something happens after the first chunk was read, and is published before it."""

    def __init__(self, backfill: Backfill, crm: Crm) -> None:
        self._backfill = backfill
        self._crm = crm
        self._happened = False

    async def open(self, object_name: str, keys: KeyRange) -> int | None:
        return await self._backfill.open(object_name, keys)

    async def chunk(self, after: str | None) -> Chunk:
        chunk = await self._backfill.chunk(after)
        if not self._happened:
            self._happened = True
            self._crm.run("UPDATE customers SET name = '5' WHERE customer_id = 'C-000002'")
            self._crm.run("DELETE FROM customers WHERE customer_id = 'C-000003'")
            self._crm.run("DELETE FROM customers WHERE customer_id = 'known'")
            (lsn,) = self._crm.run("SELECT pg_current_wal_insert_lsn()::text")[0]
            async with asyncio.timeout(20):
                while await self._backfill.behind(lsn, None):
                    await asyncio.sleep(0.05)
        return chunk

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        return await self._backfill.look_again(keys)

    async def behind(self, mark: str, position: str | None) -> int:
        return await self._backfill.behind(mark, position)

    async def close(self) -> None:
        await self._backfill.close()


async def test_what_happens_between_reading_and_publishing_wins(crm: Crm) -> None:
    def build(context: Context) -> Parts:
        parts = CONNECTOR.build(context)
        assert parts.backfill is not None
        return replace(parts, backfill=Between(parts.backfill, crm))

    with crm.connector():
        crm.run("INSERT INTO customers VALUES ('known', '1')")
        crm.until(lambda: "known" in in_force(crm.settled()))
    crm.never_told(4)
    steps: list[dict[str, object]] = []
    with crm.connector():
        order = Order("customer")
        done = await run_backfill(
            load_config(crm.config), order, asyncio.Event(), steps.append, Connector("between", build)
        )
        history = crm.settled()
    ours = {key: values for key, values in in_force(history).items() if key in crm.rows() or key == "known"}
    # The gate could do nothing with the edit and the end of records that it did not know: the second look could.
    assert done.finished and done.mended == 3
    assert ours == crm.rows()
    assert "C-000003" not in in_force(history), "deleted before it was told, and told as deleted"
    assert history["known"][-1][0].deleted, "an older row does not bring it back"
    assert [step["step"] for step in steps][0] == "begun" and steps[-1]["step"] == "ended"


def test_one_key_a_range_and_plain_lines(crm: Crm) -> None:
    with crm.connector():
        pass
    crm.never_told(10)
    with crm.connector():
        assert crm.backfilled("--key", "C-000003")["published"] == 1
        assert (
            crm.backfilled("--from", "C-000005", "--through", "C-000007", "--fields", "name")["published"]
            == 3
        )
        process = crm.backfill()
        out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    lines = out.splitlines()
    assert lines[0] == "customer: from the beginning, about 10 records in all"
    assert "customer: 10 records are in Kafka" in lines
    assert lines[-1].startswith("10 records of crm's customer published in ")


def test_a_stop_goes_on_and_other_bounds_are_refused_until_again(crm: Crm) -> None:
    with crm.connector():
        pass
    crm.never_told(1000)
    with crm.connector():
        process = crm.backfill("--rate", "400")
        crm.until(lambda: json.loads(crm.position("backfill:customer") or '{"done": 0}')["done"] >= 200)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=15)
        assert process.returncode == 2, said
        assert "start it again, and it goes on where Kafka last confirmed" in out
        refused = crm.backfill("--key", "C-000001")
        _, said = refused.communicate(timeout=15)
        assert refused.returncode == 1
        assert "[backfill.other_under_way]" in said and "--again" in said
        summary = crm.backfilled("--rate", "5000")
        assert summary["done"] == 1000 and summary["published"] <= 800
        assert crm.backfilled("--key", "C-000001", "--again")["published"] == 1


def test_without_a_source_that_publishes_nothing_is_told_and_the_reason_is(crm: Crm) -> None:
    process = crm.backfill()
    _, said = process.communicate(timeout=15)
    assert process.returncode == 1
    assert f"there is no replication slot {crm.name} [backfill.source_never_ran] Start the connector" in said
    with crm.connector():
        crm.run("INSERT INTO customers VALUES ('secret-key', '1')")
    crm.run("UPDATE customers SET email = 'secret@example.com'")
    before = len(crm.estate.read("changes.crm.customer"))
    process = crm.backfill("--wait", "3")
    out, said = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "the source of crm has not moved for 3 s [backfill.source_stands] Start the connector" in said
    assert "secret" not in out + said
    assert len(crm.estate.read("changes.crm.customer")) == before
    process = crm.backfill("--fields", "shoe_size")
    _, said = process.communicate(timeout=15)
    assert process.returncode == 1 and "customer: no field shoe_size [backfill.unknown]" in said
