"""Writes authoritative updates into rows, and messages into an inbox table, of the application's own
database.

A batch is one transaction; when anything in it fails, every update gets its own, so that one bad record is
one bad record. Which fields are written was decided before; this module writes no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from connectors.postgres.faults import Reaction, fault_of, outcome_of, reaction_to
from connectors.postgres.session import Connection, connect, disconnect
from connectors.postgres.settings import PostgresAccess, TableMapping
from connectors.postgres.statements import TABLES, columns_of, insert_for, statement_for
from connectors.sdk.adapter import Context
from connectors.sdk.errors import ConnectionLost
from connectors.sdk.feedback import Proposal, Refusal
from connectors.sdk.sink import Applied, Failed, Outcome, Retry, Skipped, Update

_GUARD_TABLES = ("solesource_applied", "solesource_inbox")


class _RowMissingError(Exception):
    """A row to update is not there: the batch is taken apart."""


class _NotHereError(Exception):
    """A row is missing and may not be added now."""

    def __init__(self, outcome: Retry | Failed) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class PostgresSink:
    """The sink of one database."""

    def __init__(
        self, context: Context, mappings: Mapping[str, TableMapping], access: PostgresAccess
    ) -> None:
        self._system = context.system
        self._mappings = mappings
        self._access = access
        self._connection: Connection | None = None
        self._required: dict[str, frozenset[str]] = {}

    async def open(self) -> None:
        await self.close()
        self._connection = await connect(self._access)
        try:
            await self._ensure_tables(self._connection)
            for name, mapping in self._mappings.items():
                self._required[name] = await _required_columns(self._connection, mapping)
        except psycopg.Error as error:
            raise fault_of(error, "preparing the sink") from error

    async def _ensure_tables(self, connection: Connection) -> None:
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL)"
            " + (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'generation')",
            (list(_GUARD_TABLES), _GUARD_TABLES[0]),
        )
        row = await cursor.fetchone()
        if row is None or row[0] <= len(_GUARD_TABLES):
            await connection.execute(TABLES)

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        try:
            return await self._apply_together(updates)
        except _RowMissingError:
            pass
        except psycopg.Error as error:
            if reaction_to(error.sqlstate)[0] is Reaction.LOST:
                raise fault_of(error, "writing") from error
        return [await self._apply_alone(update) for update in updates]

    async def _apply_together(self, updates: Sequence[Update]) -> list[Outcome]:
        connection = self._connected()
        outcomes: list[Outcome] = []
        async with connection.transaction(), connection.pipeline() as pipeline:
            cursors = []
            for update in updates:
                statement = statement_for(update, self._mappings[update.object])
                cursors.append(await connection.execute(statement.query, statement.parameters))
            await pipeline.sync()
            for update, cursor in zip(updates, cursors, strict=True):
                row = await cursor.fetchone()
                assert row is not None
                outcome = _outcome(update, row)
                if outcome is None:
                    raise _RowMissingError
                outcomes.append(outcome)
        return outcomes

    async def _apply_alone(self, update: Update) -> Outcome:
        connection = self._connected()
        mapping = self._mappings[update.object]
        try:
            async with connection.transaction():
                statement = statement_for(update, mapping)
                cursor = await connection.execute(statement.query, statement.parameters)
                row = await cursor.fetchone()
                assert row is not None
                outcome = _outcome(update, row)
                if outcome is not None:
                    return outcome
                await self._insert(connection, update, mapping)
                return Applied()
        except _NotHereError as error:
            return error.outcome
        except psycopg.Error as error:
            return outcome_of(error)

    async def _insert(self, connection: Connection, update: Update, mapping: TableMapping) -> None:
        refusal = self._why_not_insert(update, mapping)
        if refusal is not None:
            raise _NotHereError(refusal)  # rolls the guard back too: this revision was not applied
        statement = insert_for(update, mapping)
        await connection.execute(statement.query, statement.parameters)

    def _why_not_insert(self, update: Update, mapping: TableMapping) -> Retry | Failed | None:
        # A row that this system created, or already had, was deleted here: its end is on the way and must not
        # meet a row risen from the dead. Waiting lets it arrive.
        if not mapping.insert or not update.created or update.cause[0] == self._system:
            return Retry("postgres.row_missing", "the row is not there and is not this connector's to create")
        given = {mapping.key, *columns_of(update, mapping, update.writable)}
        missing = sorted(self._required[update.object] - given)
        if missing:
            return Failed("postgres.row_incomplete", f"a new row needs also: {', '.join(missing)}")
        return None

    async def receive_refusal(self, refusal: Refusal) -> None:
        rows = [(refusal.case_id, "refusal", refusal.object, refusal.key, name, None, None, refusal.sentence,
                 refusal.refused_ms) for name in refusal.fields or ("",)]  # fmt: skip
        await self._leave(rows)

    async def receive_proposal(self, proposal: Proposal) -> None:
        note = (
            f"{proposal.proposer} suggests: {proposal.note}"
            if proposal.note
            else f"suggested by {proposal.proposer}"
        )
        rows = [(proposal.proposal_id, "proposal", proposal.object, proposal.key, field.field, field.current,
                 field.proposed, note, proposal.opened_ms) for field in proposal.fields]  # fmt: skip
        await self._leave(rows)

    async def _leave(self, rows: Sequence[tuple[Any, ...]]) -> None:
        query = sql.SQL(
            "INSERT INTO solesource_inbox (id, kind, object, key, field, current, proposed, note, opened)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, to_timestamp(%s / 1000.0)) ON CONFLICT DO NOTHING"
        )
        connection = self._connected()
        try:
            async with connection.transaction():
                for row in rows:
                    await connection.execute(query, row)
        except psycopg.Error as error:
            raise fault_of(error, "leaving a message") from error

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            msg = "PostgreSQL: not connected"
            raise ConnectionLost(msg)
        return self._connection

    async def close(self) -> None:
        await disconnect(self._connection)
        self._connection = None


def _outcome(update: Update, counts: tuple[Any, ...]) -> Outcome | None:
    """None where a row to update is missing."""
    guard, present, written = counts
    if not guard:
        return Skipped("this or a later revision is there")
    if update.deleted:
        return Applied() if written else Skipped("already gone")
    return Applied() if present else None


async def _required_columns(connection: Connection, mapping: TableMapping) -> frozenset[str]:
    cursor = await connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = ''",
        (sql.Identifier(*mapping.place).as_string(connection),),
    )
    return frozenset(str(row[0]) for row in await cursor.fetchall())
