"""The guard in a real PostgreSQL: an application hears at the edit what is not its system's to change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from broker.embedded.postgres import EmbeddedPostgres
from connectors.postgres.guard import SQLSTATE
from connectors.postgres.source import PostgresSource
from connectors.sdk.precheck import NotYours
from connectors.sdk.sink import Applied
from connectors.sdk.writing import WriteTerms, Writing
from tests.connector_parts import update_of
from tests.crm_database import Database

pytestmark = pytest.mark.integration
CRM = dict.fromkeys(("customer_id", "name", "email", "phone"), "crm") | {"credit_limit": "erp"}


def writing(owners: dict[str, str] = CRM, *, create: str = "crm", delete: str = "crm") -> Writing:
    terms = WriteTerms(0, owners, create, delete, "quarantine", observed=False)
    return Writing("crm", "customer", 1, "customer_id", (terms,))


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Database]:
    database = Database(postgres)
    database.run("INSERT INTO customers VALUES ('C-1', 'Ada', 'a@example.com', NULL, 10)")
    yield database
    slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
    database.run(slots, database.name)
    database.application.close()


async def looked(crm: Database, told: Writing | None, guard: str | None = "refuse") -> list[Any]:
    """A source that looks once at what was told; returns its log."""
    source, _ = crm.build(guard=guard, writing=lambda _: told)
    with capture_logs() as logs:
        await once(source)
    return [line for line in logs if line["event"].startswith(("postgres.guarded", "postgres.not_guarded"))]


async def once(source: PostgresSource) -> None:
    await source.open(source._position.text() if source._position.lsn else None)
    await source.read()
    await source.close()


def refused(crm: Database, query: str) -> str:
    with pytest.raises(psycopg.errors.Error) as met:
        crm.run(query)
    assert met.value.sqlstate == SQLSTATE
    return f"{met.value.diag.message_primary}. {met.value.diag.message_hint}"


async def test_an_edit_of_what_belongs_to_another_is_refused_and_says_whose_it_is(crm: Database) -> None:
    (line,) = await looked(crm, writing())
    assert line["event"] == "postgres.guarded"
    said = refused(crm, "UPDATE customers SET name = 'Eve', credit_limit = 99")
    assert said == "credit_limit of customers belongs to erp. Change it in erp."
    assert crm.run("SELECT name, credit_limit FROM customers") == [("Ada", 10)]
    crm.run("UPDATE customers SET name = 'Eve', credit_limit = 10")  # nothing of others is otherwise
    crm.run("UPDATE customers SET region = 'south'")  # a column that no field is mapped to
    crm.run("INSERT INTO customers VALUES ('C-2', 'Bob')")
    crm.run("DELETE FROM customers WHERE customer_id = 'C-2'")


async def test_what_it_may_not_know_it_does_not_say(crm: Database) -> None:
    await looked(crm, writing({name: owner for name, owner in CRM.items() if owner == "crm"}))
    said = refused(crm, "UPDATE customers SET credit_limit = 99")
    assert said == (
        "credit_limit of customers belongs to another system. Ask whoever looks after the ownership map."
    )


async def test_what_the_connector_writes_passes(crm: Database) -> None:
    await looked(crm, writing())
    _, sink = crm.build()
    await sink.open()
    try:
        update = update_of("C-1", 1, "credit_limit", writable="credit_limit", credit_limit=50)
        assert await sink.apply([update]) == [Applied()]
    finally:
        await sink.close()
    assert crm.run("SELECT credit_limit FROM customers") == [(50,)]


async def test_who_neither_creates_nor_ends_records_is_told(crm: Database) -> None:
    await looked(crm, writing(create="erp", delete="erp"))
    said = refused(crm, "INSERT INTO customers VALUES ('C-2', 'Bob')")
    assert said == "rows of customers are created by erp. Change it in erp."
    assert "are ended by erp" in refused(crm, "DELETE FROM customers")


async def test_a_warning_lets_the_edit_through(crm: Database) -> None:
    await looked(crm, writing(), "warn")
    heard: list[str] = []
    crm.application.add_notice_handler(lambda diag: heard.append(f"{diag.severity}: {diag.message_primary}"))
    crm.run("UPDATE customers SET credit_limit = 99")
    assert heard == ["WARNING: credit_limit of customers belongs to erp"]
    assert crm.run("SELECT credit_limit FROM customers") == [(99,)]


async def test_it_follows_the_map_and_is_not_made_again_for_nothing(crm: Database) -> None:
    assert await looked(crm, None) == []
    crm.run("UPDATE customers SET credit_limit = 11")  # nothing was told yet: nothing is guarded
    assert len(await looked(crm, writing())) == 1
    assert await looked(crm, writing()) == []
    assert len(await looked(crm, writing(CRM | {"email": "erp", "credit_limit": "crm"}))) == 1
    crm.run("UPDATE customers SET credit_limit = 12")
    assert refused(crm, "UPDATE customers SET email = 'b@example.com'").startswith(
        "email of customers belongs"
    )
    await looked(crm, None, None)
    refused(crm, "UPDATE customers SET email = 'b@example.com'")  # without the setting it stays
    await looked(crm, None, "off")
    crm.run("UPDATE customers SET email = 'b@example.com'")


async def test_a_table_in_use_is_guarded_later_and_the_source_goes_on(crm: Database) -> None:
    told: list[Writing | None] = [None]
    source, _ = crm.build(guard="refuse", writing=lambda _: told[-1])
    await source.open(None)  # a slot would wait for transactions that are open
    try:
        with capture_logs() as logs, psycopg.connect(crm.url) as application:
            application.execute("UPDATE customers SET phone = '1'")  # and its transaction stays open
            told.append(writing())
            assert (await source.read()).events
        (line,) = [line for line in logs if line["event"] == "postgres.not_guarded"]
        assert line["code"] == "postgres.55P03" and "tried again" in line["what_to_do"]
    finally:
        await source.close()
    assert (await looked(crm, writing()))[0]["event"] == "postgres.guarded"


async def test_a_role_without_the_right_hears_which_one(crm: Database, postgres: EmbeddedPostgres) -> None:
    source, _ = crm.build(guard="refuse", writing=lambda _: writing())
    assert source._guard is not None
    role = f"{crm.name}_reads"
    postgres.create_role(role)
    crm.run(f"GRANT CONNECT ON DATABASE {crm.name} TO {role}")
    async with await psycopg.AsyncConnection.connect(
        postgres.url(crm.name, role), autocommit=True
    ) as connection:
        with capture_logs() as logs:
            await source._guard.keep(connection)
    (line,) = logs
    assert line["code"] == "postgres.42501" and "TRIGGER" in line["what_to_do"]


async def test_of_an_object_that_was_taken_away_the_guard_stays_as_it_is(crm: Database) -> None:
    await looked(crm, writing())

    def gone(_: str) -> Writing | None:
        raise NotYours("crm may not send changes of customer")

    source, _ = crm.build(guard="refuse", writing=gone)
    await once(source)
    refused(crm, "UPDATE customers SET credit_limit = 99")


async def test_it_looks_again_while_the_source_reads(crm: Database) -> None:
    told = [writing(CRM | {"credit_limit": "crm"})]
    source, _ = crm.build(guard="refuse", writing=lambda _: told[-1])
    await source.open(None)
    try:
        await source.read()
        crm.run("UPDATE customers SET credit_limit = 11")
        told.append(writing())
        async with asyncio.timeout(10):
            while True:
                await source.read()
                with psycopg.connect(crm.url, autocommit=True) as application:
                    try:
                        application.execute("UPDATE customers SET credit_limit = credit_limit + 1")
                    except psycopg.errors.Error:
                        break
                await asyncio.sleep(0.2)
    finally:
        await source.close()
