"""Opening the database and its two ways of use: reading, and writing in one transaction at a time.

SQLite (write-ahead log) where one machine is enough, PostgreSQL where several share it. Queries live beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broker.store import postgres
from broker.store.errors import StoreOutdatedError, StoreUnavailableError, StoreUrlRefusedError
from broker.store.migrating import forward
from broker.store.tables import REBUILT, VERSION, metadata, store_version

__all__ = ["Connection", "Engine", "add", "clear_rebuilt", "open_store", "reading", "upsert", "writing"]

BUSY_TIMEOUT_MS = 5_000
WRITE_LOCK = 0x501E50
"""PostgreSQL advisory lock: one writer at a time, as SQLite has it, so that folds of two families never
cross.
"""


def open_store(url: str) -> Engine:
    """The engine for a database URL (`sqlite:///file`, `postgresql://...`), its tables made if absent.

    Raises StoreUrlRefusedError for a URL that names neither, StoreUnavailableError when the database cannot be
    reached, StoreOutdatedError or StoreAheadError when another version made the tables.
    """
    engine = _engine(url)
    try:
        _make_tables(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None  # its text would show the URL, and that holds a password
    if parsed is not None and parsed.drivername in ("postgresql", "postgresql+pg8000"):
        parsed, options = postgres.driver_options(parsed)
        engine = create_engine(parsed, pool_pre_ping=True, connect_args=options)
        postgres.watch_connections(engine)
        return engine
    if parsed is None or parsed.drivername != "sqlite":
        raise StoreUrlRefusedError("the database URL names no database that can be used")
    engine = create_engine(parsed, pool_pre_ping=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_tables(engine: Engine) -> None:
    with writing(engine) as connection:
        metadata.create_all(connection)
        forward(connection)
        found = connection.scalar(select(func.max(store_version.c.version)))
        if found is None:
            connection.execute(store_version.insert().values(version=VERSION))
        elif found != VERSION:
            msg = f"tables of version {found}, this program has {VERSION}"
            raise StoreOutdatedError(msg)


def _prepare_sqlite(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # the driver would begin transactions by itself, and too late
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        msg = f"the database does not answer: {type(error).__name__}"
        raise StoreUnavailableError(msg) from error
    except DBAPIError as error:
        if not error.connection_invalidated and not postgres.is_away(error):
            raise
        msg = f"the database does not serve us: {postgres.sqlstate(error.orig) or 'it closed the connection'}"
        raise StoreUnavailableError(msg) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries: one consistent view. Raises StoreUnavailableError."""
    with _reachable(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end and rolled back on any error. Raises StoreUnavailableError."""
    with _reachable(), engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(WRITE_LOCK)))
        yield connection


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, replace: bool = True
) -> int:
    """Insert rows; where the key exists replace the other columns, or leave it. Returns rows touched."""
    if not rows:
        return 0
    statement = _upsert(connection.dialect.name, table, tuple(rows[0]), replace)
    touched = 0
    for row in rows:  # not in one call: drivers disagree on how many rows that has touched
        touched += connection.execute(
            statement, dict(row), execution_options={"preserve_rowcount": True}
        ).rowcount
    return touched


@cache
def _upsert(dialect: str, table: Table, names: tuple[str, ...], replace: bool) -> Any:
    """Made once: SQLAlchemy takes longer to put the statement together than SQLite to run it."""
    statement, keys = _insert(dialect, table)
    others = {name: statement.excluded[name] for name in names if name not in keys}
    if replace and others:
        return statement.on_conflict_do_update(index_elements=keys, set_=others)
    return statement.on_conflict_do_nothing(index_elements=keys)


def add(connection: Connection, table: Table, row: Mapping[str, Any], counted: Sequence[str]) -> None:
    """Insert a row of counters, or add its `counted` columns to the row that is there."""
    connection.execute(_add(connection.dialect.name, table, tuple(counted)), dict(row))


@cache
def _add(dialect: str, table: Table, counted: tuple[str, ...]) -> Any:
    statement, keys = _insert(dialect, table)
    sums = {name: table.c[name] + statement.excluded[name] for name in counted}
    return statement.on_conflict_do_update(index_elements=keys, set_=sums)


def _insert(dialect: str, table: Table) -> tuple[Any, list[str]]:
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table), [column.name for column in table.primary_key]


def clear_rebuilt(engine: Engine) -> None:
    """Forget everything that can be read from the topics again, positions included; decisions stay."""
    with writing(engine) as connection:
        for table in REBUILT:
            connection.execute(delete(table))
