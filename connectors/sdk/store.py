"""What a connector remembers between runs, in one SQLite file: positions, applied revisions, the adapter's
shelf.

Losing the file costs a new snapshot and full writes instead of patches, never a change. Only SQL lives here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS position (stream TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (
    object TEXT NOT NULL, key BLOB NOT NULL, revision INTEGER NOT NULL, deleted INTEGER NOT NULL,
    generation TEXT NOT NULL DEFAULT '', own TEXT NOT NULL DEFAULT '', PRIMARY KEY (object, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shelf (
    drawer TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (drawer, name)) WITHOUT ROWID;
"""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class AppliedRevision:
    """The last revision that this system took."""

    revision: int
    deleted: bool
    generation: str = ""
    """Of the deliveries that it came by; empty = whole records."""
    own: frozenset[str] = frozenset()
    """Fields that were this system's own then: nobody has written them into it."""


class Store:
    """The file of one connector. Calls are short and made on the event loop's thread."""

    def __init__(self, path: Path | str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # NORMAL may forget the last moments after a power cut: they are then read and applied again,
        # idempotently.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(applied)")}
        for missing in {"generation", "own"} - columns:  # a file from before they were kept
            self._db.execute(f"ALTER TABLE applied ADD COLUMN {missing} TEXT NOT NULL DEFAULT ''")

    def position(self, stream: str) -> str | None:
        """Where the source stood after its last committed batch."""
        row = self._db.execute("SELECT value FROM position WHERE stream = ?", (stream,)).fetchone()
        return None if row is None else str(row[0])

    def keep_position(self, stream: str, value: str | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM position WHERE stream = ?", (stream,))
        else:
            self._db.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (stream, value))

    def applied(self, object_name: str, keys: Iterable[bytes]) -> dict[bytes, AppliedRevision]:
        """Last applied revisions of those of `keys` that were ever applied."""
        found: dict[bytes, AppliedRevision] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, revision, deleted, generation, own FROM applied WHERE object = ? AND key IN ({marks})"  # noqa: S608 - only question marks
            for key, revision, deleted, generation, own in self._db.execute(query, (object_name, *chunk)):
                names = frozenset(filter(None, str(own).split(",")))
                found[bytes(key)] = AppliedRevision(int(revision), bool(deleted), str(generation), names)
        return found

    def keep_applied(self, rows: Iterable[tuple[str, bytes, AppliedRevision]]) -> None:
        """Record what was applied last of (object, key); a revision never falls.  # I4: guard of sinks without
        their own.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO applied VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (object, key) DO UPDATE"
                " SET revision = excluded.revision, deleted = excluded.deleted, generation = excluded.generation,"
                " own = excluded.own WHERE excluded.revision >= applied.revision",
                (
                    (name, key, done.revision, done.deleted, done.generation, ",".join(sorted(done.own)))
                    for name, key, done in rows
                ),
            )

    def shelf(self, drawer: str) -> Shelf:
        return Shelf(self._db, drawer)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def close(self) -> None:
        self._db.close()


class Shelf:
    """Small texts by name, for an adapter."""

    def __init__(self, db: sqlite3.Connection, drawer: str) -> None:
        self._db = db
        self._drawer = drawer

    def get(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that are there."""
        found: dict[str, str] = {}
        wanted = list(names)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT name, value FROM shelf WHERE drawer = ? AND name IN ({marks})"  # noqa: S608 - only question marks
            found.update(
                (str(name), str(value)) for name, value in self._db.execute(query, (self._drawer, *chunk))
            )
        return found

    def put(self, texts: Mapping[str, str]) -> None:
        """Keep all of these, or none."""
        with _Transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO shelf VALUES (?, ?, ?)",
                [(self._drawer, name, value) for name, value in texts.items()],
            )


class _Transaction:
    """All or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
