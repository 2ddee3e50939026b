"""The messages of PostgreSQL's pgoutput plug-in, protocol version 1, read from their bytes.

Pure. Formats: PostgreSQL manual, "Logical Replication Message Formats". Values stay texts; what they mean is
`values`'.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from connectors.sdk.errors import ConnectorError

_EPOCH_MS = 946_684_800_000
"""2000-01-01, from which PostgreSQL counts microseconds."""


class UnknownMessage(ConnectorError):
    """Bytes that are not a pgoutput message of protocol version 1."""

    code = "postgres.unknown_message"
    remedy = "Check that the slot's plug-in is pgoutput; report the server's version."


class Unchanged(Enum):
    """The value of a large column that the change did not touch and the log does not hold."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
Cell = str | None | Unchanged
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction starts."""

    commit_lsn: int
    commit_ms: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction ends; `end_lsn` is where the log goes on after it."""

    commit_lsn: int
    end_lsn: int
    commit_ms: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A table's name and columns; sent before its first change."""

    oid: int
    schema: str
    table: str
    columns: tuple[str, ...]
    key: frozenset[str]
    """Columns of the replica identity."""
    tells_old: bool = False
    """REPLICA IDENTITY FULL: an update carries the whole old row."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """An insert (old None), an update (old None unless the key changed), or a delete (new None)."""

    oid: int
    old: Row | None
    new: Row | None


@dataclass(frozen=True, slots=True)
class Truncate:
    """Tables were emptied."""

    oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message without changes: origin, type or logical message."""

    kind: str


Message = Begin | Commit | Relation | RowChange | Truncate | Ignored


class _Reader:
    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self._at = 0

    def take(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize(form)
        found = struct.unpack_from(form, self._buffer, self._at)
        self._at += size
        return found

    def byte(self) -> str:
        (number,) = self.take("!B")
        return chr(number)

    def name(self) -> str:
        end = self._buffer.index(0, self._at)
        text = self._buffer[self._at : end].decode()
        self._at = end + 1
        return text

    def text(self) -> str:
        (length,) = self.take("!I")
        if self._at + length > len(self._buffer):
            msg = "a value ends beyond its message"
            raise ValueError(msg)
        text = self._buffer[self._at : self._at + length].decode()
        self._at += length
        return text

    def row(self) -> Row:
        (count,) = self.take("!H")
        cells: list[Cell] = []
        for _ in range(count):
            kind = self.byte()
            if kind == "t":
                cells.append(self.text())
            elif kind in "nu":
                cells.append(None if kind == "n" else UNCHANGED)
            else:
                msg = f"a value of kind {kind!r}"
                raise ValueError(msg)
        return tuple(cells)


def parse_message(buffer: bytes) -> Message:
    """One message. Raises UnknownMessage."""
    try:
        reader = _Reader(buffer)
        kind = reader.byte()
        reading = _KINDS.get(kind)
        if reading is not None:
            return reading(reader)
        if kind in "OYM":
            return Ignored(kind)
    except (struct.error, ValueError, IndexError) as error:
        msg = f"a pgoutput message of {len(buffer)} bytes cannot be read: {type(error).__name__}"
        raise UnknownMessage(msg) from error
    msg = f"a pgoutput message of kind {kind!r}"
    raise UnknownMessage(msg)


def _begin(reader: _Reader) -> Begin:
    lsn, micros, _xid = reader.take("!QqI")
    return Begin(lsn, _EPOCH_MS + micros // 1000)


def _commit(reader: _Reader) -> Commit:
    _flags, lsn, end, micros = reader.take("!BQQq")
    return Commit(lsn, end, _EPOCH_MS + micros // 1000)


def _relation(reader: _Reader) -> Relation:
    (oid,) = reader.take("!I")
    schema, table = reader.name(), reader.name()
    identity, count = reader.take("!BH")
    columns, key = [], set()
    for _ in range(count):
        (flags,) = reader.take("!B")
        columns.append(reader.name())
        reader.take("!Ii")
        if flags & 1:
            key.add(columns[-1])
    return Relation(oid, schema or "pg_catalog", table, tuple(columns), frozenset(key), identity == ord("f"))


def _insert(reader: _Reader) -> RowChange:
    (oid,) = reader.take("!I")
    _expect(reader.byte(), "N")
    return RowChange(oid, None, reader.row())


def _update(reader: _Reader) -> RowChange:
    (oid,) = reader.take("!I")
    kind = reader.byte()
    old = None
    if kind in "KO":
        old = reader.row()
        kind = reader.byte()
    _expect(kind, "N")
    return RowChange(oid, old, reader.row())


def _delete(reader: _Reader) -> RowChange:
    (oid,) = reader.take("!I")
    _expect(reader.byte(), "KO")
    return RowChange(oid, reader.row(), None)


def _truncate(reader: _Reader) -> Truncate:
    count, _flags = reader.take("!IB")
    return Truncate(reader.take(f"!{count}I"))


def _expect(found: str, wanted: str) -> None:
    if found not in wanted:
        msg = f"{found!r} where one of {wanted!r} is expected"
        raise ValueError(msg)


_KINDS: Mapping[str, Callable[[_Reader], Message]] = {
    "B": _begin,
    "C": _commit,
    "R": _relation,
    "I": _insert,
    "U": _update,
    "D": _delete,
    "T": _truncate,
}
