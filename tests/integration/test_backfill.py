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
from connectors.sdk.backfill import (
    Backfill,
    Chunk,
    KeyRange,
    ObjectUnknown,
    OtherUnderWay,
    SourceNeverRan,
)
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
    with crm.connector():
        with Editors(crm, seed=7) as editors:
            process = crm.command("--rate", "1500", module="connectors.sdk.backfill_command")
            crm.until(lambda: crm.stands_at() >= 600)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kept = crm.stands_at()
            done = crm.backfill(rate=1500)
        assert done.finished and done.done == kept + done.published
        assert done.published <= 3300 - 600, "what Kafka had confirmed was not read again"
        assert crm.position("backfill:customer") is None
        assert editors.edits > 300
        crm.run("INSERT INTO customers VALUES ('last', '1')")
        crm.until(lambda: "last" in in_force(crm.settled()))
        history = crm.settled()
        assert in_force(history) == crm.rows()
        assert faults_of_order(history) == []  # I4
        # Live changes of rows that nobody had told yet were held, as always; nothing that a backfill told was.
        assert {case["reason"] for case in crm.estate.envelopes("quarantine")} <= {"incomplete_record"}
        assert any(len(revisions) > 1 for revisions in history.values())

        # The whole of it again, with nothing missing: no revision comes of it, and nothing is held.
        before, revisions = Counter(crm.estate.account()), sum(map(len, history.values()))
        done = crm.backfill(rate=5000)
        assert done.published == len(crm.rows())
        assert sum(map(len, crm.settled().values())) == revisions
        account = Counter(crm.estate.account()) - before
        assert account == {"received": done.published, "echo": done.published}  # I2


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
                while await self._backfill.behind(lsn, None):  # noqa: ASYNC110 - the database raises no event
                    await asyncio.sleep(0.05)
        return chunk

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        return await self._backfill.look_again(keys)

    async def behind(self, mark: str, position: str | None) -> int:
        return await self._backfill.behind(mark, position)

    async def close(self) -> None:
        await self._backfill.close()


def test_what_happens_between_reading_and_publishing_wins(crm: Crm) -> None:
    def build(context: Context) -> Parts:
        parts = CONNECTOR.build(context)
        assert parts.backfill is not None
        return replace(parts, backfill=Between(parts.backfill, crm))

    with crm.connector():
        crm.run("INSERT INTO customers VALUES ('known', '1')")
        crm.until(lambda: "known" in in_force(crm.settled()))
    crm.run("DELETE FROM customers WHERE customer_id <> 'known'")
    crm.never_told(4)
    with crm.connector():
        done = crm.backfill(Connector("between", build))
        history = crm.settled()
    # The gate could do nothing with the edit and the end of records that it did not know: the second look could.
    assert done.finished and done.mended == 3
    ours = {key: values for key, values in in_force(history).items() if key in crm.rows()}
    assert ours == crm.rows() and ours["C-000002"][0] == "5"
    assert "C-000003" not in in_force(history), "deleted before it was told, and told as deleted"
    assert history["known"][-1][0].deleted, "an older row does not bring it back"


def test_a_stop_goes_on_and_other_bounds_are_refused_until_again(crm: Crm) -> None:
    with crm.connector():
        pass
    crm.never_told(2000)
    with crm.connector():
        process = crm.command("--rate", "1000")
        crm.until(lambda: crm.stands_at() >= 500)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=15)
        assert process.returncode == 2, said
        lines = out.splitlines()
        assert lines[0] == "customer: from the beginning, about 2000 records in all"
        assert any(line.endswith("records are in Kafka") for line in lines)
        assert (
            lines[-1] == "Stopped before the end: start it again, and it goes on where Kafka last confirmed."
        )
        one = KeyRange("C-000001", "C-000001")
        with pytest.raises(OtherUnderWay, match=r"another backfill stands at \d+ records .*--again"):
            crm.backfill(keys=one)
        done = crm.backfill(rate=5000)
        assert done.done == 2000 and done.published <= 1500
        process = crm.command("--key", "C-000001", "--again", "--json")
        out, said = process.communicate(timeout=30)
        summary = json.loads(out)
        assert process.returncode == 0 and summary["published"] == 1 and summary["finished"], said
        within = KeyRange("C-000005", "C-000007")
        assert crm.backfill(keys=within, fields=frozenset({"name"})).published == 3


def test_without_a_source_that_publishes_nothing_is_told_and_the_reason_is(crm: Crm) -> None:
    with pytest.raises(
        SourceNeverRan, match=f"there is no replication slot {crm.name} .* Start the connector"
    ):
        crm.backfill()
    with crm.connector():
        crm.run("INSERT INTO customers VALUES ('secret-key', '1')")
    crm.run("UPDATE customers SET email = 'secret@example.com'")
    before = len(crm.estate.read("changes.crm.customer"))
    process = crm.command("--wait", "2")
    out, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the source of crm has not moved for 2 s [backfill.source_stands] Start the connector" in said
    assert "secret" not in out + said
    assert len(crm.estate.read("changes.crm.customer")) == before

    # Edits that wait go first, however long the backfill has waited for them.
    crm.run("UPDATE customers SET name = '2'")
    crm.run("UPDATE customers SET name = '3'")
    process = crm.command(module="connectors.sdk.backfill_command")
    assert process.stdout is not None
    assert (
        next(step for line in process.stdout if (step := json.loads(line))["step"] != "begun")["behind"] > 0
    )
    with crm.connector():
        process.communicate(timeout=30)
        assert process.returncode == 0
        history = crm.settled()
    assert [values["name"] for _, values in history["secret-key"] if values] == ["1", "1", "2", "3"]
    with pytest.raises(ObjectUnknown, match="customer: no field shoe_size"):
        crm.backfill(fields=frozenset({"shoe_size"}))
