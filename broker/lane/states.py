"""States of one shelf as the judge looks them up: a plain dict where all of them fit into memory, or this.

Pure: where states are read from is handed in. What changed stays in memory until it is written (`dirty`); of the others
as many as there is room for, those that were used last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from broker.gate.state import NO_MEMORY, Memory, RecordState


class StatesUnusable(Exception):
    """States cannot be read or written here; the slot opens again, and reads from the log what it cannot find."""

    code = "states.unusable"


_VALUE_BITS = 9
"""A value of 512 bytes counts as one, of less as well; a larger one as several."""


def _each(state: RecordState) -> int:
    """What a value of this record counts as; replaced ones are taken to be as large as the present one."""
    return 1 + (len(state.value or b"") >> _VALUE_BITS)


def _taken_by(state: RecordState) -> int:
    """What a state takes of the room: one, its values, and what is remembered beside them."""
    return 1 + _each(state) * (1 + len(state.recent)) + _remembered(state.memory)


def _remembered(memory: Memory) -> int:
    """What is remembered of a record, in values: half a KiB for it and for each of its parts."""
    if memory is NO_MEMORY:
        return 0
    parked = sum(1 + (len(entry.value) >> _VALUE_BITS) for entry in memory.parked)
    return 1 + len(memory.held) + parked + len(memory.reassertions) + len(memory.proposals)


class States(Protocol):
    """States of a shelf by key. A dict is one: simulation, tests and judging again use that."""

    def get(self, key: bytes, /) -> RecordState | None:
        """The state of a key; None = nothing is known of it."""
        ...

    def update(self, states: Mapping[bytes, RecordState], /) -> None:
        """Take over what a committed batch, or the log, left behind."""
        ...


class Room:
    """How much all slots of one worker keep in memory of what can be read again.

    Counted in values of up to 512 bytes: a state is one, its value and each replaced one that it brings along one each,
    larger ones several, and so is each thing that is remembered of it (held changes, brakes, questions). States have
    two ages: when half of the room is taken, the young become old and the old are let go of; whatever is used becomes
    young again. That is nearly the order of use, and costs no step per look-up.
    """

    def __init__(self, values_max: int) -> None:
        self._half = max(1, values_max // 2)
        self._taken = 0
        self._guests: set[CachedStates] = set()

    def enter(self, guest: CachedStates) -> None:
        """From now on its states count."""
        self._guests.add(guest)

    def leave(self, guest: CachedStates) -> None:
        """Its slot is closed."""
        self._guests.discard(guest)

    def take(self, values: int) -> None:
        """Count more young values, or fewer; all guests age when half of the room is taken."""
        self._taken = max(0, self._taken + values)
        if self._taken > self._half:
            self._taken = 0
            for guest in self._guests:
                guest.age()


class CachedStates:
    """States of one shelf on disk, with the dirty and the lately used ones in memory."""

    __slots__ = ("_being_written", "_old", "_read", "_room", "_young", "dirty", "under_way", "unwritten")

    def __init__(self, read: Callable[[bytes], RecordState | None], room: Room) -> None:
        self._read = read
        self._room = room
        self._young: dict[bytes, RecordState] = {}
        self._old: dict[bytes, RecordState] = {}
        self.dirty: dict[bytes, RecordState] = {}
        """What is newer than on disk."""
        self.under_way: dict[bytes, RecordState] = {}
        """What is being written to disk; what of it changes meanwhile is dirty again."""
        self.unwritten = 0
        """What has changed and is not on disk, in values; each change of a record counts."""
        self._being_written = 0
        room.enter(self)

    def get(self, key: bytes, /) -> RecordState | None:
        """The state of a key; None = nothing is known of it. Raises what reading raises."""
        state = self._young.get(key)
        return state if state is not None else self._found(key)

    def update(self, states: Mapping[bytes, RecordState], /) -> None:
        """Newer states; they stay in memory until `written`."""
        young, more, changed = self._young, 0, 0
        for key, state in states.items():
            known, each = young.get(key), _each(state)
            changed += each
            if known is None:
                more += _taken_by(state)
                continue
            more += each * (len(state.recent) - len(known.recent))
            if state.memory is not known.memory:
                more += _remembered(state.memory) - _remembered(known.memory)
        young.update(states)
        self.dirty.update(states)
        self.unwritten += changed
        self._room.take(more)

    def taken(self) -> Mapping[bytes, RecordState]:
        """All that is dirty, to be written; then `written` or `not_written` is said."""
        self.under_way, self.dirty = self.dirty, {}
        self._being_written = self.unwritten
        return self.under_way

    def written(self, apart: Mapping[bytes, RecordState] = MappingProxyType({})) -> None:
        """What was under way is on disk now.

        `apart`: those of it whose replaced values are looked up there from now on, and not kept in memory.
        """
        young, old, fewer = self._young, self._old, 0
        for key, state in apart.items():
            before = self.under_way[key]
            if young.get(key) is before:  # otherwise it changed meanwhile, and brings them along again
                young[key] = state
                fewer += _each(before) * len(before.recent)
            elif old.get(key) is before:
                old[key] = state
        self._room.take(-fewer)
        self.unwritten -= self._being_written
        self.under_way, self._being_written = {}, 0

    def not_written(self) -> None:
        """What was under way is as dirty as before."""
        self.under_way, self.dirty = {}, {**self.under_way, **self.dirty}
        self._being_written = 0

    def age(self) -> None:
        """Let go of what was not used lately; what is dirty stays."""
        self._young, self._old = {}, self._young

    def _found(self, key: bytes) -> RecordState | None:
        state = self._old.get(key) or self.dirty.get(key) or self.under_way.get(key) or self._read(key)
        if state is not None:
            self._young[key] = state
            self._room.take(_taken_by(state))
        return state
