"""Publication and slot: made, checked, peeked at and advanced. What changes mean is the source's."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from connectors.postgres.lsn import lsn_of, lsn_text
from connectors.postgres.session import Connection
from connectors.postgres.settings import PostgresSettings
from connectors.sdk.errors import ConnectorError, PositionLost

Place = tuple[str, str]


async def ensure_publication(connection: Connection, name: str, places: Sequence[Place]) -> None:
    """The publication with at least these tables. Raises ConnectorError when the server is not set up for
    it.
    """
    cursor = await connection.execute(
        "SELECT current_setting('wal_level'), current_setting('server_encoding')"
    )
    row = await cursor.fetchone()
    if row is None or row[0] != "logical":
        msg = "PostgreSQL: wal_level is not logical"
        raise ConnectorError(
            msg, "Set wal_level = logical and restart the server.", code="postgres.wal_level"
        )
    cursor = await connection.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,))
    if await cursor.fetchone() is None:
        tables = sql.SQL(", ").join(sql.Identifier(*place) for place in places)
        # No truncate: it names no keys, so nothing could be said about the records.
        made = sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH (publish = 'insert, update, delete')")
        await connection.execute(made.format(sql.Identifier(name), tables))
        return
    cursor = await connection.execute(
        "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s", (name,)
    )
    missing = set(places) - {(str(schema), str(table)) for schema, table in await cursor.fetchall()}
    if missing:
        names = ", ".join(sorted(f"{schema}.{table}" for schema, table in missing))
        msg = f"PostgreSQL: publication {name} lacks {names}"
        raise ConnectorError(msg, f"ALTER PUBLICATION {name} ADD TABLE {names};", code="postgres.publication")


async def create_slot(connection: Connection, replication: Connection, slot: str) -> tuple[int, str]:
    """A new slot in place of an old one: (consistent point, snapshot that lives as long as `replication`
    rests).

    An old one is of no use without its position: a full snapshot follows.
    """
    await connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (slot,)
    )
    made = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT").format(sql.Identifier(slot))
    cursor = await replication.execute(made)
    row = await cursor.fetchone()
    assert row is not None
    return lsn_of(str(row[1])), str(row[2])


async def check_slot(connection: Connection, slot: str) -> None:
    """Raises PositionLost when the slot is gone, or the server threw its log away."""
    cursor = await connection.execute(
        "SELECT coalesce(wal_status, '') FROM pg_replication_slots"
        " WHERE slot_name = %s AND plugin = 'pgoutput'",
        (slot,),
    )
    row = await cursor.fetchone()
    if row is None or row[0] == "lost":
        msg = f"PostgreSQL: replication slot {slot} is {'gone' if row is None else 'invalid'}"
        raise PositionLost(msg)


async def ends_of_log(connection: Connection) -> tuple[int, int]:
    """(where the next record begins, where the log is durable up to), looked at in this order."""
    cursor = await connection.execute(
        "SELECT pg_current_wal_insert_lsn()::text, pg_current_wal_flush_lsn()::text"
    )
    row = await cursor.fetchone()
    assert row is not None
    return lsn_of(str(row[0])), lsn_of(str(row[1]))


async def inserted_lsn(connection: Connection) -> int:
    """Where the next record of the log begins: whatever a statement could see was written before that."""
    return (await ends_of_log(connection))[0]


async def confirmed_lsn(connection: Connection, slot: str) -> int | None:
    """Up to where the slot was advanced; None without a slot. Raises PositionLost."""
    cursor = await connection.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", (slot,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    await check_slot(connection, slot)
    return lsn_of(str(row[0]))


async def peek(connection: Connection, settings: PostgresSettings) -> list[bytes]:
    """The next messages, in whole transactions; they stay in the slot until `advance`."""
    cursor = await connection.execute(
        "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s,"
        " 'proto_version', '1', 'publication_names', %s)",
        (settings.slot, settings.changes_max, f'"{settings.publication}"'),
        binary=True,
    )
    return [bytes(row[0]) for row in await cursor.fetchall()]


async def advance(connection: Connection, slot: str, lsn: int) -> None:
    """The server may forget the log before `lsn`. Going backwards is no-op."""
    await connection.execute(
        "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots"
        " WHERE slot_name = %s AND confirmed_flush_lsn < %s::pg_lsn",
        (lsn_text(lsn), slot, lsn_text(lsn)),
    )
