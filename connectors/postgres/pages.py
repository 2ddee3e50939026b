"""Pages of a mapped table by its key: how a snapshot and a backfill read rows. One statement, so one snapshot each."""

from __future__ import annotations

from psycopg import sql

from connectors.postgres.pgoutput import Cell
from connectors.postgres.session import Connection
from connectors.postgres.values import RowReader
from connectors.sdk.backfill import KeyRange

_EVERY = KeyRange()


async def page_after(
    connection: Connection, reader: RowReader, after: str | None, page: int | None, keys: KeyRange = _EVERY
) -> list[dict[str, Cell]]:
    """The next rows after that key (None = from the beginning of `keys`), as many as a page has (None = all)."""
    conditions, parameters = _within(reader, KeyRange(None if after is not None else keys.first, keys.last))
    if after is not None:
        conditions.append(sql.SQL("{} > %s").format(sql.Identifier(reader.mapping.key)))
        parameters.append(after)
    # Texts, as the log gives them, so that both say the same about the same row.
    query = sql.SQL("SELECT {columns} FROM {table} {where} ORDER BY {key} LIMIT {page}").format(
        columns=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in reader.columns),
        table=sql.Identifier(*reader.mapping.place),
        where=_where(conditions),
        key=sql.Identifier(*reader.mapping.place, reader.mapping.key),
        page=sql.Literal(page),  # LIMIT NULL is no limit
    )
    cursor = await connection.execute(query, parameters)
    return [dict(zip(reader.columns, row, strict=True)) for row in await cursor.fetchall()]


async def count_rows(connection: Connection, reader: RowReader, keys: KeyRange) -> int:
    """How many rows there are. A large table as a whole is not counted: the planner's estimate will do."""
    if keys == _EVERY:
        cursor = await connection.execute(
            "SELECT reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s",
            reader.mapping.place,
        )
        row = await cursor.fetchone()
        if row is not None and row[0] > _COUNTED_MAX:
            return int(row[0])
    conditions, parameters = _within(reader, keys)
    query = sql.SQL("SELECT count(*) FROM {} {}")
    cursor = await connection.execute(
        query.format(sql.Identifier(*reader.mapping.place), _where(conditions)), parameters
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


_COUNTED_MAX = 200_000


def _within(reader: RowReader, keys: KeyRange) -> tuple[list[sql.Composable], list[str]]:
    key = sql.Identifier(reader.mapping.key)
    conditions: list[sql.Composable] = []
    parameters: list[str] = []
    for bound, comparison in ((keys.first, "{} >= %s"), (keys.last, "{} <= %s")):
        if bound is not None:
            conditions.append(sql.SQL(comparison).format(key))
            parameters.append(bound)
    return conditions, parameters


def _where(conditions: list[sql.Composable]) -> sql.Composable:
    return sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
