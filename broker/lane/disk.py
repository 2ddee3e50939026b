"""States of a slot in RocksDB on this machine, and the checkpoint that says up to where of the log they go.

A copy, never the truth: what cannot be believed is thrown away and read from the log again. Only committed batches are
written: all that is dirty, and the checkpoint, in one step, so that the disk always shows the end of some batch (I3).
That step holds Python's lock whatever thread it runs in; so it is kept small, and what leads to it is done in slices,
while the slot and its neighbours go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from broker import topics
from broker.clock import now_ms
from broker.gate.state import NO_MEMORY, RecordState
from broker.lane import rocks
from broker.lane.checkpoint import Changelogs, Checkpoint, checkpoint_of, doubt
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.places import Place
from broker.lane.replaced import ReplacedOnDisk
from broker.lane.states import CachedStates, Room, StatesUnusable
from broker.lane.stored import connections_bytes, connections_in, state_bytes, state_of

GOLDEN = 0.618
WRITE_S, PATIENCE_S, MUCH = 2.0, 5.0, 2_000
"""So often a checkpoint is written where batches are committed: little at a time, since all slots stand still for some
of it. Where much was changed since it waits longer: many of those records will have changed again by then."""
UNWRITTEN = 16_000
"""Or when so many changes of a slot are not on disk; one of a large value counts as several (broker/lane/states.py)."""
UNWRITTEN_MAX = 3 * UNWRITTEN
"""When so many have come, the slot waits for what is being written."""
DIRTY_STATES_MAX = 50_000
"""More are not kept when they cannot be written: then the slot fails."""
SLICE = 100
COMPLAIN_S = 60.0
_CHECKPOINT, _CONNECTIONS, _STATE, _WAITS = b"!", b"c", b"s", b"w"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """What one write brings to disk, as it was at the end of a batch."""

    states: Mapping[Shelf, Mapping[bytes, RecordState]]
    connections: Mapping[bytes, bytes]
    """By shelf, as it is named on disk."""
    gate_time_ms: int
    checkpoint: Checkpoint | None
    """None = while a log is read: there is no end of a batch yet."""


class StatesOnDisk:
    """The states of one slot from its opening to its closing."""

    def __init__(self, folder: Path, slot: int, room: Room) -> None:
        self._folder = folder
        self._slot = slot
        self._room = room
        self._own = folder / f"slot-{slot}"
        self._path = self._own
        self._database: Any = None
        self._replaced = ReplacedOnDisk(self._damaged)
        self._memory = SlotMemory(slot=slot)
        self._shelves: dict[Shelf, CachedStates] = {}
        self._found = Checkpoint(0, b"", 0, 0, {}, {})
        self._ids: dict[str, str] = {}
        self._offsets: dict[Place, int] = {}
        self._marked: set[bytes] = set()
        """Keys of which the disk says that they wait."""
        self._told: dict[bytes, bytes] = {}
        """Connections as they were at the checkpoint."""
        self._whole = False
        """Whether what is in memory is the end of a batch."""
        self._damage = ""
        self._writing: asyncio.Task[None] | None = None
        self._due_s = 0.0
        self._complained_s = -COMPLAIN_S
        self._failing = False

    # -- opening

    async def take(
        self, memory: SlotMemory, shelves: Collection[Shelf], changelogs: Changelogs
    ) -> Mapping[Place, int]:
        """Put states for `shelves` into `memory`; from where they must be read on, where not from the beginning.

        Whoever calls this reads the changelogs to their ends, and then says `loaded`. Raises StatesUnusable when
        nothing can be kept below the folder at all.
        """
        self._whole, self._memory = False, memory
        if self._database is None:
            reason = await asyncio.to_thread(self._open)
            self._believe(reason, changelogs)
            self._forget_older(shelves)
        since: dict[Place, int] = {}
        for shelf in shelves:
            places = _places(shelf)
            if shelf in self._shelves or not any(place in changelogs.end for place in places):
                continue
            name = _name(shelf)
            self._shelves[shelf] = CachedStates(partial(self._read, _STATE + name), self._room)
            memory.states[shelf] = self._shelves[shelf]
            if all(place in self._found.offsets for place in places):
                since |= {place: self._found.offsets[place] for place in places}
                self._recall(shelf, name)
            else:
                self._forget(name)
        return since

    async def spare(self) -> None:
        """Called now and again while the log is read: what is read must not all stay in memory.

        What is written on the way is not the end of a batch, so there is no checkpoint until the end is reached.
        """
        await asyncio.sleep(0)  # other slots are at work
        if self._unwritten >= UNWRITTEN:
            await self._write(self._taken(whole=False))

    async def loaded(self, changelogs: Changelogs) -> None:
        """The changelogs were read to their ends: from here on the slot is at the end of a batch, again and again."""
        self._ids |= changelogs.ids
        self._offsets |= changelogs.end
        self._whole = True
        await self._write(self._taken(whole=True))
        self._due_s += WRITE_S * (self._slot * GOLDEN % 1)  # slots do not all write in the same moment

    def _open(self) -> str:
        """Open the slot's folder, or a fresh one; why there cannot be a checkpoint in it, "" = there may be one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds records
        for left in self._folder.glob(f"slot-{self._slot}.*"):
            rocks.remove(left)  # what is in use stays
        reason = ""
        try:
            self._open_at(self._own, rocks.LEAVING_S)
            return ""
        except Exception as error:  # noqa: BLE001 - the library has no kinds of errors
            reason = f"it cannot be opened: {error!s:.200}"
        try:
            if rocks.remove(self._own):
                self._open_at(self._own)
            else:  # another process works with it, perhaps one that does not know yet that it lost the slot
                self._fresh()
        except Exception as error:
            msg = f"no states can be kept below {self._folder}: {error!s:.200} [states.unusable]"
            raise StatesUnusable(msg) from error
        return reason

    def _fresh(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix=f"slot-{self._slot}.", dir=self._folder))
        self._open_at(self._path)

    def _open_at(self, path: Path, wait_s: float = 0.0) -> None:
        self._database = rocks.opened(path, wait_s)
        self._replaced.attach(self._database)

    def _let_go(self) -> None:
        self._replaced.detach()
        self._database.close()

    def _believe(self, reason: str, changelogs: Changelogs) -> None:
        """Take up the checkpoint that is there, or begin with nothing."""
        found = stored = None
        try:
            stored = self._database.get(_CHECKPOINT)
            if stored is not None:
                found = checkpoint_of(stored)
                reason = "it is of another format"
            self._marked = {key for key, _ in self._under(_WAITS)}
            self._told = dict(self._under(_CONNECTIONS))
            reason = self._doubt(found, changelogs) if found else reason or "there is none"
        except Exception as error:  # noqa: BLE001 - the library has no kinds of errors
            reason = f"it cannot be read: {error!s:.200}"
        if found is not None and not reason:
            self._found = found
            return
        if self._memory.sequence or stored is not None:
            log.warning("slot.state_rebuilt", slot=self._slot, reason=reason)
        self._marked, self._told = set(), {}
        self._let_go()
        if rocks.remove(self._path):
            self._open_at(self._path)
        else:
            self._fresh()

    def _doubt(self, found: Checkpoint, changelogs: Changelogs) -> str:
        if found.waiting != len(self._marked):
            return "what waits is damaged"  # an iterator may end early and say nothing
        return doubt(found, self._memory, changelogs, now_ms())

    def _under(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is kept of one kind."""
        for key, value in self._database.items(from_key=kind):
            if not key.startswith(kind):
                return
            yield key, value

    def _recall(self, shelf: Shelf, name: bytes) -> None:
        """What waits, and the connections, as they were at the checkpoint."""
        begin = _WAITS + name
        waiting = (marked[len(begin) :] for marked in self._marked if marked.startswith(begin))
        self._memory.waiting.setdefault(shelf, set()).update(waiting)
        connections = self._told.get(_CONNECTIONS + name)
        if connections is not None:
            self._memory.connections[shelf] = connections_in(connections)

    def _forget(self, name: bytes) -> None:
        """Nothing is believed of a shelf that the checkpoint does not know."""
        for kind in (_CONNECTIONS, _STATE, _WAITS):
            self._database.delete_range(kind + name, kind + name[:-1] + b"\1")
        self._marked = {marked for marked in self._marked if not marked.startswith(_WAITS + name)}

    def _forget_older(self, shelves: Collection[Shelf]) -> None:
        """What was kept of older generations of these objects' topics is of no more use to anybody."""
        now = {topics.object_of(stream): stream for stream, _ in shelves}
        for topic, partition in list(self._found.offsets):
            stream = topic.partition(".")[2]
            if now.get(topics.object_of(stream), stream) != stream:
                self._forget(_name((stream, partition)))

    # -- at work

    async def committed(self, moved: Mapping[Place, int]) -> None:
        """A batch was committed and kept; `moved`: the next offset of each partition that it wrote, -1 = not known.

        Writes when it is time, while the slot goes on: what is written is the end of this batch. Raises StatesUnusable
        when more is dirty than may be, and cannot be written.
        """
        if self._database is None:
            return  # an object without topics of its own: there is nothing to keep
        for place, offset in moved.items():
            if place in self._offsets:
                if offset < 0:
                    self._whole = False
                    msg = f"Kafka did not say where records of {place[0]} are [states.unusable]"
                    raise StatesUnusable(msg)
                self._offsets[place] = offset
        dirty = self._dirty
        if self._writing is not None:
            few = dirty <= DIRTY_STATES_MAX and self._unwritten <= UNWRITTEN_MAX
            if few and not self._writing.done():
                return
            await self._ended()
        many = dirty > DIRTY_STATES_MAX if self._failing else self._unwritten > UNWRITTEN
        late_s = asyncio.get_running_loop().time() - self._due_s
        if many or late_s >= (PATIENCE_S if self._unwritten > MUCH else 0):
            if self._failing:
                self._open_again()
            self._writing = asyncio.create_task(self._write(self._taken(whole=True)))
            if dirty <= SLICE:
                await self._ended()

    async def _ended(self) -> None:
        """Wait for what is being written. Raises what writing raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    async def close(self) -> None:
        """Write what is dirty and let go of the folder. Raises nothing: the log has it all."""
        if self._database is None:
            return
        try:
            await self._ended()
            if self._whole and not self._damage:
                await self._write(self._taken(whole=True))
        except Exception as error:  # noqa: BLE001 - the producer behind this must be let go of, too
            log.warning("slot.state_not_written", slot=self._slot, error=f"{error!s:.200}")
        finally:
            for states in self._shelves.values():
                self._room.leave(states)
            with contextlib.suppress(Exception):
                self._let_go()
            if self._damage or self._path != self._own:
                rocks.remove(self._path)

    @property
    def _dirty(self) -> int:
        return sum(len(states.dirty) + len(states.under_way) for states in self._shelves.values())

    @property
    def _unwritten(self) -> int:
        return sum(states.unwritten for states in self._shelves.values())

    def _read(self, prefix: bytes, key: bytes) -> RecordState | None:
        try:
            stored = self._database.get(prefix + key)
            return None if stored is None else state_of(stored, self._replaced.older)
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StatesUnusable:
        self._damage = f"{error!s:.200}"  # the next opening must not find it
        return StatesUnusable(f"a state cannot be read: {self._damage} [states.unusable]")

    def _taken(self, *, whole: bool) -> Taken:
        """What is to be written: all that is dirty now, with a checkpoint or without."""
        memory, checkpoint = self._memory, None
        if whole:
            checkpoint = Checkpoint(
                memory.sequence, memory.chain, now_ms(), 0, dict(self._ids), dict(self._offsets)
            )
        return Taken(
            states={shelf: states.taken() for shelf, states in self._shelves.items()},
            connections={
                _name(shelf): connections_bytes(memory.connections[shelf])
                for shelf in self._shelves
                if shelf in memory.connections
            },
            gate_time_ms=memory.gate_time_ms,
            checkpoint=checkpoint,
        )

    async def _write(self, taken: Taken) -> None:
        """Write it in one step, made in slices. The slot may go on meanwhile: nothing of it changes any more."""
        batch, marked, done = rocks.batch(), set(self._marked), 0
        apart: dict[Shelf, dict[bytes, RecordState]] = {shelf: {} for shelf in taken.states}
        for shelf, states in taken.states.items():
            name, its = _name(shelf), apart[shelf]
            for key, state in states.items():
                number = self._replaced.put(batch, state, taken.gate_time_ms)
                _put(batch, marked, name + key, state, number)
                if state.recent:
                    value, revision, owners, _, memory, _ = state  # `_replace` takes three times as long
                    its[key] = RecordState(value, revision, owners, (), memory, self._replaced.older(number))
                done += 1
                if done % SLICE == 0:
                    await asyncio.sleep(0)
        for name, connections in taken.connections.items():
            batch[_CONNECTIONS + name] = connections
        if taken.checkpoint is not None:
            batch[_CHECKPOINT] = replace(taken.checkpoint, waiting=len(marked)).encode()
            self._replaced.trim(batch, taken.gate_time_ms)
        else:
            del batch[_CHECKPOINT]
        now_s = asyncio.get_running_loop().time()
        self._due_s = now_s + WRITE_S
        try:
            self._database.write(batch)  # I3: states and where they come from, or neither
        except Exception as error:  # noqa: BLE001 - the library has no kinds of errors
            for cached in self._shelves.values():
                cached.not_written()
            self._not_written(error, now_s)
            return
        self._marked, self._failing = marked, False
        for shelf, cached in self._shelves.items():
            cached.written(apart.get(shelf, {}))

    def _open_again(self) -> None:
        """After a write that failed RocksDB takes no other one; opened again it does, once the disk has room."""
        probe = self._folder / f"room-{self._slot}"
        try:
            probe.write_bytes(bytes(rocks.WRITE_BUFFER_BYTES))
        except OSError:
            return
        finally:
            probe.unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            self._let_go()
        try:
            self._open_at(self._path)
        except Exception as error:
            msg = f"states cannot be opened again: {error!s:.200} [states.unusable]"
            raise StatesUnusable(msg) from error

    def _not_written(self, error: Exception, now_s: float) -> None:
        """Nothing is lost, the log has it: go on without, as long as memory lasts."""
        self._failing = True
        if now_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = now_s
            log.error("slot.state_not_written", slot=self._slot, error=f"{error!s:.200}", dirty=self._dirty)
        if self._dirty > DIRTY_STATES_MAX:
            msg = f"{self._dirty} states cannot be written below {self._folder}: {error!s:.200} [states.unusable]"
            raise StatesUnusable(msg) from error


def _put(batch: Any, marked: set[bytes], place: bytes, state: RecordState, replaced: int) -> None:
    batch[_STATE + place] = state_bytes(state, replaced)
    if state.memory is not NO_MEMORY and state.memory.waits:
        batch[_WAITS + place] = b""
        marked.add(_WAITS + place)
    elif _WAITS + place in marked:
        del batch[_WAITS + place]
        marked.discard(_WAITS + place)


def _name(shelf: Shelf) -> bytes:
    return f"{shelf[0]}/{shelf[1]}".encode() + b"\0"


def _places(shelf: Shelf) -> tuple[Place, Place]:
    return (topics.authoritative(shelf[0]), shelf[1]), (topics.state(shelf[0]), shelf[1])
