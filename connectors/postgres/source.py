"""Changes of a PostgreSQL database: first a snapshot of the mapped tables, then the log, nothing between
lost.

The slot is made first and exports the snapshot that it begins after, so together they tell every change
exactly once. The slot is only peeked at; it advances in `commit`, when Kafka has the changes.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import structlog
from psycopg import sql

from connectors.postgres import replication
from connectors.postgres.faults import fault_of
from connectors.postgres.guard import Guard
from connectors.postgres.lsn import version_at
from connectors.postgres.pages import page_after
from connectors.postgres.pgoutput import (
    Begin,
    Cell,
    Commit,
    Relation,
    Row,
    RowChange,
    Truncate,
    parse_message,
)
from connectors.postgres.position import Position
from connectors.postgres.session import Connection, connect, disconnect
from connectors.postgres.settings import PostgresAccess, PostgresSettings, TableMapping
from connectors.postgres.values import RowReader
from connectors.sdk.adapter import Context
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.errors import ConnectionLost
from connectors.sdk.source import ChangeEvent, ReadBatch

log = structlog.get_logger("connectors.postgres")

_IDLE_ADVANCE_MS = 1_000
"""How often an idle slot is moved on: other tables' changes must not pile up, and a backfill waits for it."""


class PostgresSource:
    """The source of one database."""

    def __init__(
        self,
        context: Context,
        settings: PostgresSettings,
        mappings: Mapping[str, TableMapping],
        access: PostgresAccess,
    ) -> None:
        self._settings = settings
        self._access = access
        self._readers = {
            name: RowReader(name, mapping, context.contracts[name]) for name, mapping in mappings.items()
        }
        self._objects = sorted(mappings)
        guarding = settings.guard
        self._guard = None if guarding is None else Guard(guarding, mappings, context.writing)
        self._connection: Connection | None = None
        self._replication: Connection | None = None
        self._snapshot: Connection | None = None
        self._position = Position(0)
        self._idle_lsn = 0
        self._looked_ms = 0

    async def open(self, position: str | None) -> None:
        await self.close()
        self._idle_lsn = 0
        try:
            self._connection = await connect(self._access)
            places = [self._readers[name].mapping.place for name in self._objects]
            await replication.ensure_publication(self._connection, self._settings.publication, places)
            if position is None:
                await self._begin_snapshot(self._connection)
            else:
                self._position = Position.parse(position)
                await replication.check_slot(self._connection, self._settings.slot)
                if self._position.object is not None:
                    # The exported snapshot ended with the former connection: go on in a later one. Rows are
                    # then newer than the log's next changes to them, which repeat and so mend the order.
                    self._snapshot = await self._snapshot_connection(None)
        except psycopg.Error as error:
            raise fault_of(error, "opening the source") from error

    async def _begin_snapshot(self, connection: Connection) -> None:
        self._replication = await connect(self._access, replication=True)
        lsn, name = await replication.create_slot(connection, self._replication, self._settings.slot)
        self._snapshot = await self._snapshot_connection(name)
        self._position = Position(lsn, self._objects[0])
        log.info("postgres.snapshot_begun", slot=self._settings.slot)

    async def _snapshot_connection(self, exported: str | None) -> Connection:
        connection = await connect(self._access)
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if exported is not None:
            await connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(exported)))
        return connection

    async def read(self) -> ReadBatch:
        if self._guard is not None:
            await self._guard.keep(self._connected())
        try:
            if self._position.object is not None:
                return await self._read_page(self._position, self._position.object)
            return await self._read_log()
        except psycopg.Error as error:
            raise fault_of(error, "reading changes") from error

    async def _read_page(self, position: Position, name: str) -> ReadBatch:
        assert self._snapshot is not None
        reader = self._readers[name]
        rows = await page_after(self._snapshot, reader, position.after, self._settings.page)
        version, at = version_at(position.lsn, 0), now_ms()
        events = [reader.upsert(row, version, time_ms=at, rest=reader.key(row)) for row in rows]
        if len(rows) == self._settings.page:
            self._position = Position(position.lsn, name, reader.key(rows[-1]))
        else:
            self._position = await self._next_object(position, name)
        return ReadBatch(events, self._position.text())

    async def _next_object(self, position: Position, name: str) -> Position:
        rest = [other for other in self._objects if other > name]
        if rest:
            return Position(position.lsn, rest[0])
        await disconnect(self._snapshot)
        await disconnect(self._replication)
        self._snapshot = self._replication = None
        log.info("postgres.snapshot_ended", slot=self._settings.slot)
        return Position(position.lsn)

    async def _read_log(self) -> ReadBatch:
        connection = self._connected()
        inserted, flushed = await replication.ends_of_log(connection)
        messages = await replication.peek(connection, self._settings)
        events, end_lsn = self._events(messages)
        if end_lsn is not None:
            self._position = Position(end_lsn)
        else:
            self._move_on_idle(inserted, flushed)
        return ReadBatch(events, self._position.text())

    def _move_on_idle(self, inserted: int, flushed: int) -> None:
        """After a peek that found nothing up to `flushed`: move on to where a record began earlier.

        Not to `flushed` itself, which may stand inside a commit's record: a slot advanced to there skips that commit.
        """
        if flushed >= self._idle_lsn > self._position.lsn:
            self._position = Position(self._idle_lsn)
        if ticks_ms() - self._looked_ms > _IDLE_ADVANCE_MS and flushed > self._position.lsn:
            self._looked_ms, self._idle_lsn = ticks_ms(), inserted

    def _events(self, messages: list[bytes]) -> tuple[list[ChangeEvent], int | None]:
        """Events of whole transactions, and where the log goes on after them."""
        relations: dict[int, tuple[Relation, RowReader | None]] = {}
        events: list[ChangeEvent] = []
        begin, index, end_lsn = Begin(0, 0), 0, None
        by_place = {reader.mapping.place: reader for reader in self._readers.values()}
        for message in map(parse_message, messages):
            if isinstance(message, Begin):
                begin, index = message, 0
            elif isinstance(message, Commit):
                end_lsn = message.end_lsn
            elif isinstance(message, Relation):
                relations[message.oid] = (message, by_place.get((message.schema, message.table)))
            elif isinstance(message, RowChange):
                relation, reader = relations[message.oid]
                if reader is not None:
                    found = _row_events(message, relation, reader, begin, index)
                    index += len(found)
                    events.extend(found)
            elif isinstance(message, Truncate):
                log.error("postgres.truncated", tables=[relations[oid][0].table for oid in message.oids])
        return events, end_lsn

    async def commit(self, position: str | None) -> None:
        if position is None or Position.parse(position).object is not None:
            return
        try:
            await replication.advance(self._connected(), self._settings.slot, Position.parse(position).lsn)
        except psycopg.Error as error:
            raise fault_of(error, "advancing the slot") from error

    def _connected(self) -> Connection:
        if self._connection is None:
            msg = "PostgreSQL: not connected"
            raise ConnectionLost(msg)
        return self._connection

    async def close(self) -> None:
        for connection in (self._snapshot, self._replication, self._connection):
            await disconnect(connection)
        self._snapshot = self._replication = self._connection = None


def _row_events(
    change: RowChange, relation: Relation, reader: RowReader, begin: Begin, index: int
) -> list[ChangeEvent]:
    """One event, or two where the key itself changed: the end of the old record and the new one."""
    old = None if change.old is None else _named(relation, change.old)
    new = None if change.new is None else _named(relation, change.new)
    events = []
    if old is not None and (new is None or reader.key(old) != reader.key(new)):
        version = version_at(begin.commit_lsn, index + 1)
        events.append(reader.delete(old, version, time_ms=begin.commit_ms))
    if new is not None:
        version = version_at(begin.commit_lsn, index + 1 + len(events))
        before = old if relation.tells_old and not events else None
        events.append(reader.upsert(new, version, time_ms=begin.commit_ms, before=before))
    return events


def _named(relation: Relation, row: Row) -> dict[str, Cell]:
    return dict(zip(relation.columns, row, strict=True))
