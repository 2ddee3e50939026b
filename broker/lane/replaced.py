"""Replaced values of a slot on disk, apart from its states: written once, read when somebody looks so far back.

What one write finds new of one record is an entry, which names the record's entry before it. Entries are numbered in
the order of gate time, so that they are written one behind the other, and those that nobody may look at any more are
let go of all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from broker.gate.state import RECENT_MS, RecordState, Replaced
from broker.lane import rocks
from broker.lane.states import StatesUnusable
from broker.lane.stored import NOWHERE, entry_bytes, entry_of

TRIM_MS = RECENT_MS // 12
PER_MS_BITS = 20
"""Room for so many bits of entries within one millisecond."""


class Older:
    """A record's replaced values on disk, newest first: those of an entry and of the ones before it."""

    __slots__ = ("_read", "number")

    def __init__(self, number: int, read: Callable[[int], Iterator[Replaced]]) -> None:
        self.number = number
        self._read = read

    def __iter__(self) -> Iterator[Replaced]:
        return self._read(self.number)


class ReplacedOnDisk:
    """The entries of one slot, beside its states in the same database."""

    def __init__(self, failed: Callable[[Exception], StatesUnusable]) -> None:
        self._failed = failed
        self._family: Any = None
        self._handle: Any = None
        self._number = NOWHERE
        self._trimmed_ms = 0

    def attach(self, database: Any) -> None:
        """Work with a database that was opened. Raises what its library raises."""
        self._family, self._handle = rocks.replaced(database)
        self._number = max(self._number, int.from_bytes(rocks.last_key(self._family) or b""))

    def detach(self) -> None:
        """Let go of the database, which is closed next: it stays locked while anybody holds a part of it."""
        self._family = self._handle = None

    def older(self, number: int) -> Older | tuple[()]:
        """The values of an entry and of those before it."""
        return () if number == NOWHERE else Older(number, self._values)

    def put(self, batch: Any, state: RecordState, gate_time_ms: int) -> int:
        """Write what is not on disk yet; the number under which all of the state's replaced values are found."""
        known = state.older.number if isinstance(state.older, Older) else NOWHERE
        if not state.recent:
            return known
        if gate_time_ms - state.recent[-1][0] >= RECENT_MS:
            return NOWHERE  # the newest of them is too old: nobody looks at any
        # Another slot may have judged the record before, and have been ahead.
        newest_ms = max(gate_time_ms, state.recent[-1][0])
        self._number = max(self._number + 1, newest_ms << PER_MS_BITS)
        batch.put(_key(self._number), entry_bytes(known, state.recent), self._handle)
        return self._number

    def trim(self, batch: Any, gate_time_ms: int) -> None:
        """Let go of entries that hold nothing that is young enough, now and then."""
        if gate_time_ms - self._trimmed_ms >= TRIM_MS:
            self._trimmed_ms = gate_time_ms
            end = max(0, gate_time_ms - RECENT_MS) << PER_MS_BITS
            batch.delete_range(_key(NOWHERE), _key(end), self._handle)

    def _values(self, number: int) -> Iterator[Replaced]:
        while number != NOWHERE:
            try:
                stored = self._family.get(_key(number))
                number, values = entry_of(stored) if stored is not None else (NOWHERE, ())
            except Exception as error:
                raise self._failed(error) from error
            yield from reversed(values)


def _key(number: int) -> bytes:
    return number.to_bytes(8)
