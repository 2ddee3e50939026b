"""Rows of a mapped table read again, behind what the replication slot has confirmed.

A row carries a version just below the slot's confirmed place C, read before the row: above every change that is on
Kafka already, below every change that is not. What a row shows beyond C comes through the log, and `behind` holds
the chunk back until it has. So wherever the two differ, the log's version wins (decision 0012).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from connectors.postgres import replication
from connectors.postgres.faults import fault_of
from connectors.postgres.lsn import lsn_of, lsn_text
from connectors.postgres.pages import count_rows, page_after
from connectors.postgres.session import Connection, connect, disconnect
from connectors.postgres.settings import PostgresAccess, PostgresSettings, TableMapping
from connectors.postgres.values import RowReader
from connectors.sdk.adapter import Context
from connectors.sdk.backfill import Chunk, KeyRange, SourceNeverRan
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.errors import ConnectionLost
from schemas.version import SourceVersion, VersionKind

_QUIET_MS = 2_000
"""A slot that has not moved for so long may have nothing to move on: the log is given something."""


class PostgresBackfill:
    """Reads the rows of one object of one database again."""

    def __init__(
        self,
        context: Context,
        settings: PostgresSettings,
        mappings: Mapping[str, TableMapping],
        access: PostgresAccess,
    ) -> None:
        self._context = context
        self._settings = settings
        self._mappings = mappings
        self._access = access
        self._connection: Connection | None = None
        self._reader: RowReader | None = None
        self._keys = KeyRange()
        self._awaited = ("", 0, False)
        """(mark, since when, whether the log was given something for it)."""

    async def open(self, object_name: str, keys: KeyRange) -> int | None:
        await self.close()
        self._connection = await connect(self._access)
        self._reader = RowReader(
            object_name, self._mappings[object_name], self._context.contracts[object_name]
        )
        self._keys = keys
        try:
            await self._confirmed()
            return await count_rows(self._connection, self._reader, keys)
        except psycopg.Error as error:
            raise fault_of(error, "opening the backfill") from error

    async def chunk(self, after: str | None) -> Chunk:
        return await self._read(after, self._settings.page, self._keys)

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        return await self._read(None, None, KeyRange(keys[0], keys[-1]))

    async def _read(self, after: str | None, page: int | None, keys: KeyRange) -> Chunk:
        connection, reader = self._connected(), self._reader
        assert reader is not None
        try:
            # The order of these three statements is the point: C, then the rows, then S.
            confirmed = await self._confirmed()
            rows = await page_after(connection, reader, after, page, keys)
            shown = await replication.inserted_lsn(connection)
        except psycopg.Error as error:
            raise fault_of(error, "reading rows again") from error
        version, at = version_of_reading(confirmed, shown), now_ms()
        events = [reader.upsert(row, version, time_ms=at, rest=reader.key(row)) for row in rows]
        last = reader.key(rows[-1]) if len(rows) == page else None
        return Chunk(events, last, lsn_text(shown), version)

    async def behind(self, mark: str, position: str | None) -> int:
        del position  # the slot itself says what Kafka has
        try:
            bytes_behind = max(0, lsn_of(mark) - await self._confirmed())
            if bytes_behind:
                await self._keep_log_moving(mark)
        except psycopg.Error as error:
            raise fault_of(error, "waiting for the source") from error
        return bytes_behind

    async def _keep_log_moving(self, mark: str) -> None:
        """In a database where nothing happens the log's end can stay below the mark, for instance at a page's header.

        One empty message, committed like any change, takes it past. It names no table and no subscriber reads it.
        """
        name, since, given = self._awaited
        if name != mark:
            self._awaited = (mark, ticks_ms(), False)
        elif not given and ticks_ms() - since > _QUIET_MS:
            self._awaited = (mark, since, True)
            await self._connected().execute("SELECT pg_logical_emit_message(true, 'solesource', '')")

    async def _confirmed(self) -> int:
        """Up to where Kafka has everything. Raises SourceNeverRan, PositionLost."""
        found = await replication.confirmed_lsn(self._connected(), self._settings.slot)
        if found is None:
            msg = f"PostgreSQL: there is no replication slot {self._settings.slot}"
            raise SourceNeverRan(msg)
        return found

    def _connected(self) -> Connection:
        if self._connection is None:
            msg = "PostgreSQL: not connected"
            raise ConnectionLost(msg)
        return self._connection

    async def close(self) -> None:
        await disconnect(self._connection)
        self._connection = None


def version_of_reading(confirmed: int, shown: int) -> SourceVersion:
    """Version of rows read when the slot had confirmed C, and that show nothing from S on.

    Just before C: above every commit before it, below every later one, below a snapshot that begins there (records
    of the log begin at multiples of eight, so nothing else is just before C). Of two readings with the same C the
    one that may show more is newer; if neither C nor S moved, nothing was written in between.
    """
    ahead = min(max(shown - confirmed, 0), 0xFFFF_FFFF)
    return SourceVersion(VersionKind.SEQUENCE, 0, f"{confirmed - 1:016X}.{ahead:08X}")
