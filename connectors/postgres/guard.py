"""A trigger that tells the application at the edit what would be stopped: whose a field is, who creates, who ends.

Wanted where `guard` says so. It knows what the broker told the connector, and only concerns the application: what the
connector writes passes. The gate decides all the same, also where there is no trigger, or somebody takes it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg
import structlog
from psycopg import sql

from connectors.postgres.faults import Reaction, fault_of, reaction_to
from connectors.postgres.session import Connection
from connectors.postgres.settings import Guarding, TableMapping
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.errors import ConnectorError
from connectors.sdk.writing import Writing

log = structlog.get_logger("connectors.postgres")
LOOK_EVERY_MS = 2_000
NAME = "solesource_guard"
FORM = "1"
"""Of the function and its arguments: triggers of another one are made anew."""
SQLSTATE = "SS001"
"""Of what the trigger refuses, so that an application can tell it from other faults."""

_AGAIN = "Nothing, unless it stays so: it is tried again every two seconds."
_REMEDIES = {"postgres.42501": "The role owns the table, or has TRIGGER on it and CREATE on its schema."}
"""Of what cannot be guarded; others say by themselves what to do."""

# Arguments: the form, what to do, who creates and who ends records (empty: we do), then column and owner of what
# is not ours, the owner empty where we were not told.
_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    place int := 4;
    fault text;
    owner text;
    hint text;
    was jsonb;
    becomes jsonb;
BEGIN
    IF current_setting('solesource.writes', true) = 'on' THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    IF TG_OP = 'INSERT' AND TG_ARGV[2] <> '' THEN
        owner := TG_ARGV[2];
        fault := format('rows of %I are created by %s', TG_TABLE_NAME, owner);
    ELSIF TG_OP = 'DELETE' AND TG_ARGV[3] <> '' THEN
        owner := TG_ARGV[3];
        fault := format('rows of %I are ended by %s', TG_TABLE_NAME, owner);
    ELSIF TG_OP = 'UPDATE' THEN
        was := to_jsonb(OLD);
        becomes := to_jsonb(NEW);
        WHILE fault IS NULL AND place < TG_NARGS LOOP
            IF becomes -> TG_ARGV[place] IS DISTINCT FROM was -> TG_ARGV[place] THEN
                owner := TG_ARGV[place + 1];
                fault := format('%I of %I ', TG_ARGV[place], TG_TABLE_NAME)
                    || CASE WHEN owner = '' THEN 'belongs to another system' ELSE 'belongs to ' || owner END;
            END IF;
            place := place + 2;
        END LOOP;
    END IF;
    hint := CASE WHEN owner = '' THEN 'Ask whoever looks after the ownership map.'
        ELSE 'Change it in ' || owner || '.' END;
    IF fault IS NOT NULL AND TG_ARGV[1] = 'refuse' THEN
        RAISE EXCEPTION '%', fault USING ERRCODE = '{code}', HINT = hint;
    ELSIF fault IS NOT NULL THEN
        RAISE WARNING '%', fault USING ERRCODE = '{code}', HINT = hint;
    END IF;
    RETURN coalesce(NEW, OLD);
END $guard$
"""


def arguments_of(guarding: Guarding, mapping: TableMapping, writing: Writing, at_ms: int) -> tuple[str, ...]:
    """What the trigger of a table is made with."""
    terms, system = writing.at(at_ms), writing.system
    foreign = {mapping.fields[name]: owner for name, owner in writing.foreign(mapping.fields, at_ms).items()}
    return (
        FORM,
        guarding.value,
        *("" if who == system else who for who in (terms.create, terms.delete)),
        *(word for pair in sorted(foreign.items()) for word in pair),
    )


class Guard:
    """The triggers of one database's mapped tables."""

    def __init__(
        self,
        guarding: Guarding,
        mappings: Mapping[str, TableMapping],
        told: Callable[[str], Writing | None],
    ) -> None:
        self._guarding = guarding
        self._mappings = mappings
        self._told = told
        self._due_ms = 0
        self._failed: dict[str, str] = {}

    async def keep(self, connection: Connection) -> None:
        """Bring the triggers to what was told; looked at every two seconds. Raises ConnectionLost.

        One that cannot be made now, because the table is in use or a right is missing, is made later; the log says so.
        """
        if ticks_ms() < self._due_ms:
            return
        self._due_ms = ticks_ms() + LOOK_EVERY_MS
        for name, mapping in self._mappings.items():
            try:
                await self._keep(connection, name, mapping)
                self._failed.pop(name, None)
            except psycopg.Error as error:
                fault = fault_of(error, "guarding a table")
                reaction = reaction_to(error.sqlstate)[0]
                if reaction is Reaction.LOST:
                    raise fault from error
                if reaction is Reaction.RETRY:
                    fault.remedy = _AGAIN
                self._say(name, fault)
            except ConnectorError as error:  # nothing of this object is the system's to send any more
                self._say(name, error)

    def _say(self, name: str, fault: ConnectorError) -> None:
        if self._failed.get(name) != fault.code:
            self._failed[name] = fault.code
            log.warning(
                "postgres.not_guarded",
                object=name,
                code=fault.code,
                detail=fault.detail,
                what_to_do=_REMEDIES.get(fault.code, fault.remedy),
            )

    async def _keep(self, connection: Connection, name: str, mapping: TableMapping) -> None:
        if self._guarding is Guarding.OFF:
            if await _arguments_there(connection, mapping) is not None:
                await connection.execute(_drop(mapping))
            return
        writing = self._told(name)
        if writing is None:
            return
        wanted = arguments_of(self._guarding, mapping, writing, now_ms())
        if await _arguments_there(connection, mapping) == wanted:
            return
        function = sql.Identifier(mapping.place[0], NAME)
        async with connection.transaction():
            # Whoever works with the table is not kept waiting behind somebody else's long transaction.
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute(sql.SQL(_FUNCTION).format(function=function, code=sql.SQL(SQLSTATE)))
            await connection.execute(_drop(mapping))
            await connection.execute(
                sql.SQL(
                    "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
                    " EXECUTE FUNCTION {function}({arguments})"
                ).format(
                    name=sql.Identifier(NAME),
                    table=sql.Identifier(*mapping.place),
                    function=function,
                    arguments=sql.SQL(", ").join(map(sql.Literal, wanted)),
                )
            )
        log.info("postgres.guarded", object=name, table=mapping.table, map_version=writing.map_version)


def _drop(mapping: TableMapping) -> sql.Composed:
    table = sql.Identifier(*mapping.place)
    return sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(NAME), table)


async def _arguments_there(connection: Connection, mapping: TableMapping) -> tuple[str, ...] | None:
    """What the trigger that is there was made with; None = there is none. PostgreSQL ends each with a zero byte."""
    cursor = await connection.execute(
        "SELECT t.tgargs FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND t.tgname = %s",
        (*mapping.place, NAME),
    )
    row = await cursor.fetchone()
    return None if row is None else tuple(bytes(row[0]).decode().split("\0")[:-1])
