"""The statements of the sink, built with quoted identifiers. Runs nothing.

Guard and write are one statement, so that a revision is recorded if and only if its row was looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from connectors.postgres.settings import TableMapping
from connectors.sdk.sink import Update

TABLES = """
CREATE TABLE IF NOT EXISTS solesource_applied (
    object text NOT NULL, key text NOT NULL, revision bigint NOT NULL, generation text NOT NULL DEFAULT '',
    PRIMARY KEY (object, key));
ALTER TABLE solesource_applied ADD COLUMN IF NOT EXISTS generation text NOT NULL DEFAULT '';
CREATE TABLE IF NOT EXISTS solesource_inbox (
    id text NOT NULL, kind text NOT NULL CHECK (kind IN ('proposal', 'refusal')), object text NOT NULL,
    key text NOT NULL, field text NOT NULL, current text, proposed text, note text NOT NULL,
    opened timestamptz NOT NULL, answered timestamptz, PRIMARY KEY (id, field));
"""

# I4: a lower or equal revision inserts nothing, and then nothing is written. An equal one of another generation of
# deliveries is news: other fields of it may be read.
_GUARD = sql.SQL(
    "WITH guard AS (INSERT INTO solesource_applied AS a (object, key, revision, generation) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (object, key) DO UPDATE SET revision = excluded.revision, generation = excluded.generation"
    " WHERE a.revision < excluded.revision + (a.generation <> excluded.generation)::int RETURNING 1)"
)
_COUNTS = sql.SQL(
    " SELECT (SELECT count(*) FROM guard), (SELECT count(*) FROM present), (SELECT count(*) FROM written)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters."""

    query: sql.Composed
    parameters: tuple[Any, ...]


def statement_for(update: Update, mapping: TableMapping) -> Statement:
    """Returns one row: guard passed, rows there, rows written."""
    table, key = sql.Identifier(*mapping.place), sql.Identifier(mapping.key)
    present = sql.SQL(", present AS (SELECT 1 FROM {} WHERE {} = %s)").format(table, key)
    guard = (update.object, update.key, update.revision, update.generation, update.key)
    if update.deleted:
        gone = sql.SQL(", written AS (DELETE FROM {} AS t USING guard WHERE t.{} = %s RETURNING 1)").format(
            table, key
        )
        return Statement(sql.Composed([_GUARD, present, gone, _COUNTS]), (*guard, update.key))
    columns = columns_of(update, mapping, update.write)
    names, values = list(columns), tuple(columns.values())
    if not names:
        nothing = sql.SQL(", written AS (SELECT 1 FROM guard WHERE false)")
        return Statement(sql.Composed([_GUARD, present, nothing, _COUNTS]), guard)
    # A row that says all this already is left alone: it would only come back as an echo.
    written = sql.SQL(
        ", written AS (UPDATE {table} AS t SET {sets} FROM guard WHERE t.{key} = %s"
        " AND ({differ}) RETURNING 1)"
    ).format(
        table=table,
        key=key,
        sets=sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in names),
        differ=sql.SQL(" OR ").join(
            sql.SQL("t.{} IS DISTINCT FROM %s").format(sql.Identifier(name)) for name in names
        ),
    )
    query = sql.Composed([_GUARD, present, written, _COUNTS])
    return Statement(query, (*guard, *values, update.key, *values))


def insert_for(update: Update, mapping: TableMapping) -> Statement:
    """A new row of every field that is not this system's own."""
    columns = {mapping.key: update.key, **columns_of(update, mapping, update.writable)}
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(*mapping.place),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    return Statement(query, tuple(columns.values()))


def columns_of(update: Update, mapping: TableMapping, fields: frozenset[str]) -> Mapping[str, Any]:
    """Column -> value of those of `fields` that have a column other than the key's."""
    return {
        column: _parameter(update.values[name])
        for name, column in sorted(mapping.fields.items())
        if name in fields and column != mapping.key
    }


def _parameter(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value
