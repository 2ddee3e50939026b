"""PostgreSQL connector against a real PostgreSQL: nothing lost between snapshot and log, nothing written
twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from broker.embedded.postgres import EmbeddedPostgres
from connectors.postgres.sink import PostgresSink
from connectors.postgres.source import PostgresSource
from connectors.sdk.errors import ConnectionLost, PositionLost
from connectors.sdk.feedback import Proposal, ProposedField, Refusal
from connectors.sdk.sink import Applied, Failed, Retry, Skipped
from connectors.sdk.source import ChangeEvent
from tests.connector_parts import update_of
from tests.crm_database import Database

pytestmark = pytest.mark.integration


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Database]:
    database = Database(postgres)
    yield database
    database.run(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        " WHERE slot_name = %s AND NOT active",
        database.name,
    )
    database.application.close()


@pytest.fixture
async def source(crm: Database) -> AsyncIterator[PostgresSource]:
    found, _ = crm.build(page=2)
    yield found
    await found.close()


@pytest.fixture
async def sink(crm: Database) -> AsyncIterator[PostgresSink]:
    _, found = crm.build()
    await found.open()
    yield found
    await found.close()


async def drain(source: PostgresSource, *, commit: bool = True) -> tuple[list[ChangeEvent], str]:
    """Read until nothing comes, as the runner does."""
    events: list[ChangeEvent] = []
    position = None
    while True:
        batch = await source.read()
        if not batch.events and batch.position == position:
            assert position is not None
            return events, position
        position = batch.position
        events.extend(batch.events)
        if commit:
            await source.commit(position)
        elif position is not None and batch.events:
            return events, position


def add(crm: Database, *keys: str) -> None:
    for key in keys:
        crm.run(
            "INSERT INTO customers VALUES (%s, %s, %s, NULL, 10.50)", key, f"Name {key}", f"{key}@example.com"
        )


async def test_snapshot_then_log_tells_everything_once_and_in_order(crm: Database, source: PostgresSource):
    add(crm, "a", "b", "c")
    await source.open(None)
    first = await source.read()
    add(crm, "d")  # after the slot: the snapshot must not see it, the log must
    crm.run("UPDATE customers SET name = 'New' WHERE customer_id = 'c'")
    rest, position = await drain(source)
    events = [*first.events, *rest]

    assert [(event.key, event.values["name"]) for event in events] == [
        ("a", "Name a"),
        ("b", "Name b"),
        ("c", "Name c"),
        ("d", "Name d"),
        ("c", "New"),
    ]
    assert events[0].values["credit_limit"] == Decimal("10.50")
    assert events[0].fields is None
    assert len({event.event_id for event in events}) == len(events)
    assert events[2].version.older_than(events[4].version)

    crm.run("DELETE FROM customers WHERE customer_id = 'a'")
    crm.run("UPDATE customers SET customer_id = 'bb' WHERE customer_id = 'b'")
    events, _ = await drain(source)
    assert [(event.key, event.deletes) for event in events] == [("a", True), ("b", True), ("bb", False)]
    assert '"object": null' in position


async def test_nothing_advances_before_the_commit(crm: Database, source: PostgresSource):
    await source.open(None)
    _, position = await drain(source)
    add(crm, "a", "b")
    first, _ = await drain(source, commit=False)
    await source.close()
    await source.open(position)
    again, after = await drain(source)
    assert [event.event_id for event in first] == [event.event_id for event in again]
    await source.close()
    await source.open(after)
    assert (await drain(source))[0] == []


async def test_a_transaction_is_never_cut_and_orders_its_changes(crm: Database):
    source, _ = crm.build(changes_max=5)
    await source.open(None)
    await drain(source)
    with crm.application.transaction():
        for number in range(20):
            crm.run(
                "INSERT INTO customers VALUES ('x', %s)"
                " ON CONFLICT (customer_id) DO UPDATE SET name = excluded.name",
                f"v{number}",
            )
    batch = await source.read()
    await source.close()
    assert [event.values["name"] for event in batch.events] == [f"v{number}" for number in range(20)]
    versions = [event.version.value for event in batch.events]
    assert versions == sorted(versions)
    assert len(set(versions)) == 20


async def test_an_unchanged_large_column_is_unavailable(crm: Database, source: PostgresSource):
    crm.run("ALTER TABLE customers ALTER COLUMN email SET STORAGE EXTERNAL")
    await source.open(None)
    await drain(source)
    crm.run("INSERT INTO customers VALUES ('t', 'n', %s)", "x" * 5000)
    crm.run("UPDATE customers SET phone = '1' WHERE customer_id = 't'")
    events, _ = await drain(source)
    assert events[0].unavailable == frozenset()
    assert events[1].unavailable == {"email"}
    assert events[1].values["phone"] == "1"
    assert "email" not in events[1].values


async def test_an_interrupted_snapshot_goes_on(crm: Database, source: PostgresSource):
    add(crm, "a", "b", "c", "d", "e")
    await source.open(None)
    first = await source.read()
    await source.close()
    crm.run("UPDATE customers SET name = 'later' WHERE customer_id = 'd'")
    await source.open(first.position)
    rest, _ = await drain(source)
    assert [event.key for event in [*first.events, *rest]] == ["a", "b", "c", "d", "e", "d"]
    assert rest[-1].values["name"] == "later"


async def test_a_missing_slot_is_said_and_not_jumped_over(crm: Database, source: PostgresSource):
    await source.open(None)
    _, position = await drain(source)
    await source.close()
    crm.run("SELECT pg_drop_replication_slot(%s)", crm.name)
    with pytest.raises(PositionLost):
        await source.open(position)


async def test_the_server_away_is_a_connection_lost(
    crm: Database, sink: PostgresSink, source: PostgresSource
):
    await source.open(None)
    await drain(source)
    crm.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()",
        crm.name,
    )
    with pytest.raises(ConnectionLost):
        await source.read()
    with pytest.raises(ConnectionLost):
        await sink.apply([update_of("a", 1, "credit_limit", credit_limit=Decimal(1))])


async def test_the_sink_writes_only_the_given_fields_and_never_backwards(crm: Database, sink: PostgresSink):
    add(crm, "a", "b")
    one, two = Decimal("1.00"), Decimal("2.00")
    newer = [
        update_of("a", 5, "credit_limit", credit_limit=one),
        update_of("b", 1, "credit_limit", credit_limit=one),
    ]
    assert await sink.apply(newer) == [Applied(), Applied()]
    older = await sink.apply([update_of("a", 4, "credit_limit", credit_limit=two)])
    assert isinstance(older[0], Skipped)
    assert isinstance((await sink.apply(newer))[0], Skipped)  # the same again
    assert crm.run("SELECT customer_id, name, credit_limit, region FROM customers ORDER BY 1") == [
        ("a", "Name a", one, "north"),
        ("b", "Name b", one, "north"),
    ]
    gone = update_of("a", 6, deleted=True)
    assert await sink.apply([gone]) == [Applied()]
    assert crm.run("SELECT customer_id FROM customers") == [("b",)]


async def test_one_bad_record_is_one_bad_record(crm: Database, sink: PostgresSink):
    add(crm, "a", "b")
    crm.run("ALTER TABLE customers ADD CHECK (credit_limit < 100)")
    outcomes = await sink.apply(
        [
            update_of("a", 1, "credit_limit", credit_limit=Decimal(500)),
            update_of("b", 1, "credit_limit", credit_limit=Decimal(50)),
            update_of("gone", 2, "credit_limit", credit_limit=Decimal(50)),
            update_of("new", 1, "credit_limit", credit_limit=Decimal(5), created=True),
            update_of("full", 1, "name credit_limit", name="F", credit_limit=Decimal(5), created=True),
        ]
    )
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].code == "postgres.23514"
    assert "500" not in outcomes[0].message
    assert outcomes[1] == Applied()
    assert isinstance(outcomes[2], Retry)  # its end may be on the way
    assert outcomes[2].code == "postgres.row_missing"
    assert isinstance(outcomes[3], Failed)
    assert "name" in outcomes[3].message
    assert outcomes[4] == Applied()
    assert crm.run("SELECT object, key FROM solesource_applied ORDER BY key") == [
        ("customer", "b"),
        ("customer", "full"),
    ]


async def test_an_equal_row_is_not_written_again(crm: Database, sink: PostgresSink, source: PostgresSource):
    add(crm, "a")
    await source.open(None)
    await drain(source)
    assert await sink.apply([update_of("a", 1, "credit_limit", credit_limit=Decimal("10.50"))]) == [Applied()]
    assert (await drain(source))[0] == []


async def test_messages_land_in_the_inbox_once(crm: Database, sink: PostgresSink):
    refusal = Refusal(
        "case-1",
        "customer",
        "a",
        "seq:0:1",
        "not_owner",
        "Credit limits belong to erp.",
        "Ask erp.",
        ("credit_limit",),
        {"credit_limit": "erp"},
        1_700_000_000_000,
    )
    proposal = Proposal(
        "prop-1",
        "customer",
        "a",
        "erp",
        "kim",
        "as told",
        (ProposedField("name", '"A"', '"B"'),),
        1_700_000_000_000,
        1_700_000_100_000,
    )
    for _ in range(2):
        await sink.receive_refusal(refusal)
        await sink.receive_proposal(proposal)
    rows = crm.run("SELECT id, kind, key, field, current, proposed, note FROM solesource_inbox ORDER BY id")
    assert rows == [
        ("case-1", "refusal", "a", "credit_limit", None, None, "Credit limits belong to erp. Ask erp."),
        ("prop-1", "proposal", "a", "name", '"A"', '"B"', "erp suggests: as told"),
    ]
