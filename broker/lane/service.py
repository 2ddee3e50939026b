"""The lane: which slots this worker owns, what belongs to each, and that each one runs.

The consumer group balances nothing but the partitions of `slots`; data partitions are assigned by hand, so that all
inputs of a key meet in one slot and a new system or object needs no rebalance.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from broker import topics
from broker.access import KafkaAccess
from broker.ending import ended
from broker.lane import rocks
from broker.lane.boot import cluster, environment
from broker.lane.cycles import look_for_all_cycles
from broker.lane.disk import StatesOnDisk
from broker.lane.generations import Generations
from broker.lane.judged import Judged
from broker.lane.maps import MapFollower
from broker.lane.memory import Shelf
from broker.lane.projector import MaskKey, Projector
from broker.lane.replay import reader_of
from broker.lane.seat import Seats
from broker.lane.settle import Batch
from broker.lane.slot import Slot
from broker.lane.stable import StableOffsets, watched
from broker.lane.states import Room
from broker.lane.trim import TRIM_EVERY_S, trimming
from broker.lane.turns import Turns
from broker.lane.watchdog import LEAVE_STATUS, watch
from broker.lane.writings import Writings

GROUP = "gate"
SESSION_MS = 6000
REBALANCE_MS = 10_000
JOIN_MS = REBALANCE_MS + 5_000
"""A request to join the group is answered when all have joined, and must wait for that."""
REFRESH_S = 2.0
SOON_S = 0.1
ATTEMPTS_MAX = 3
NOT_FIT_STATUS = 78
"""EX_CONFIG: what is wrong does not mend itself."""
CALM_S = 60.0
log = structlog.get_logger()


class Lane(Service):
    """Owns slots and their transactions; hands batches to the gate's agent."""

    def __init__(
        self,
        access: KafkaAccess,
        slots: int,
        submit: Callable[[Batch], Awaitable[None]],
        committed: Callable[[int, Judged], None],
        mask_key: MaskKey,
        folder: Path,
        replicas: int,
        states_in_memory: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._mask_key = mask_key
        self._replicas = replicas
        self._group: AIOKafkaConsumer | None = None
        self._beat = time.monotonic()
        self._seats = Seats(folder, GROUP)
        self._states_folder = folder / "state"
        self._room = Room(states_in_memory)
        rocks.sized(states_in_memory)
        self._turns = Turns()
        self._access = access
        self._slot_count = slots
        self._submit = submit
        self._committed = committed
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.maps: MapFollower | None = None
        self.slots: dict[int, tuple[Slot, asyncio.Task[None]]] = {}
        self._projectors: dict[int, tuple[Projector, list[asyncio.Task[None]]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._inputs: dict[int, list[TopicPartition]] = {}
        self._partitions: dict[str, int] = {}
        self._existing: frozenset[str] = frozenset()

    @Service.task
    async def _follow_map(self) -> None:
        self.maps = MapFollower(self._access)
        await self.maps.follow()

    @Service.task
    async def _own_slots(self) -> None:
        watch(self._beats, partial(self._keepers, asyncio.current_task()))
        fit = False
        while not self.should_stop:
            self._beat = time.monotonic()
            try:
                fit = fit or await self._is_fit()
                if fit:
                    await self._balance()
            except (KafkaError, TimeoutError) as error:
                log.warning("lane.kafka_away", error=type(error).__name__)
                await self.sleep(1.0)

    @Service.task
    async def _hand_memory_back(self) -> None:
        hand_back = trimming()
        while hand_back is not None and not self.should_stop:
            await self.sleep(TRIM_EVERY_S)
            hand_back()

    def _beats(self) -> dict[str, float]:
        """Who must come round, and when each last did."""
        return {"lane": self._beat} | {f"slot {n}": slot.beat for n, (slot, _) in list(self.slots.items())}

    def _keepers(self, own: asyncio.Task[Any] | None) -> dict[str, asyncio.Task[Any]]:
        slots = {f"slot {n}": task for n, (_, task) in list(self.slots.items())}
        return slots if own is None else slots | {"lane": own}

    async def _is_fit(self) -> bool:
        """Look whether anything may be judged at all; leaves the process when not (I7). Raises KafkaError.

        False when it is stopped before there is a map.
        """
        while self.maps is None or self.maps.rules is None:
            if self.should_stop:  # from then on a sleep ends at once
                return False
            self._beat = time.monotonic()
            await self.sleep(SOON_S)
        partitions = 1  # of an object's topics, which each follow their own number
        plans = topics.plan(self.maps.rules.ownership_map, partitions=partitions, slots=self._slot_count)
        found, unknown = await cluster(self._access, plans, replicas=self._replicas)
        if unknown:
            log.warning("gate.settings_unknown", of=sorted(unknown)[:20])
        if findings := [*environment(), *found]:
            for finding in findings:
                log.error("gate.not_fit", what=finding.what, what_to_do=finding.what_to_do)
            os._exit(NOT_FIT_STATUS)
        return True

    async def _balance(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._access.client_options() | {"request_timeout_ms": JOIN_MS},
            group_id=GROUP,
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=1000,
            rebalance_timeout_ms=REBALANCE_MS,
            metadata_max_age_ms=30_000,
        )
        await consumer.start()
        try:
            await self._seats.give_back(consumer)
            consumer.subscribe(topics=[topics.SLOTS], listener=_Listener(self, consumer))
            self._group = consumer
            while not self.should_stop:
                await consumer.getmany(timeout_ms=500)
                self._beat = time.monotonic()
        finally:
            self._group = None
            await self.close(set(self.slots))
            await consumer.stop()
            self._seats.leave()

    @Service.task
    async def _discover(self) -> None:
        """Find the input partitions of every slot, now and again: a new system's topic is taken up by itself."""
        while not self.should_stop:
            try:
                consumer = reader_of(self._access)
                await consumer.start()
                try:
                    while not self.should_stop:
                        known = await self._refresh(consumer)
                        await self.sleep(REFRESH_S if known else SOON_S)
                finally:
                    await consumer.stop()
            except KafkaError as error:
                log.warning("lane.kafka_away", error=type(error).__name__)
                await self.sleep(1.0)

    @Service.task
    async def _watch_stable_offsets(self) -> None:
        await StableOffsets(self._access, self._outputs).run()

    def _outputs(self) -> set[TopicPartition]:
        return {
            place for number in self.slots for place in watched(number, self._shelves(number), self._existing)
        }

    async def _refresh(self, consumer: AIOKafkaConsumer) -> bool:
        """Look which topics there are; False = there is no map yet, which says what generation is in force."""
        if self.maps is None or self.maps.rules is None:
            return False
        inputs: dict[int, list[TopicPartition]] = {slot: [] for slot in range(self._slot_count)}
        partitions: dict[str, int] = {}
        await consumer._client.force_metadata_update()  # noqa: SLF001 - topics() answers from a cache of minutes
        self._existing = frozenset(await consumer.topics())
        found = in_force(self._existing, topics.streams_of(self.maps.rules.ownership_map))
        for topic, stream in found.items():
            count = len(consumer.partitions_for_topic(topic) or ())
            known = partitions.setdefault(stream, count)
            if count != known:
                # Two partition counts of one stream would take a key to two places: not judged until mended (I7).
                log.error("lane.partitions_differ", topic=topic, partitions=count, expected=known)
                continue
            for partition in range(count):
                slot = topics.slot_of(stream, partition, self._slot_count)
                inputs[slot].append(TopicPartition(topic, partition))
        self._inputs, self._partitions = inputs, partitions
        for number, (slot_, _) in self.slots.items():
            slot_.set_inputs(inputs[number], partitions)
            self._projectors[number][0].set_shelves(self._shelves(number), self._existing)
        return True

    def joined(self, consumer: AIOKafkaConsumer) -> None:
        """The group has answered: should this process be killed, the next one knows whose seat is empty."""
        self._seats.take(consumer)

    def open(self, numbers: Collection[int]) -> None:
        """Take over slots."""
        for number in numbers:
            assert self.maps is not None
            states = partial(StatesOnDisk, self._states_folder, number, self._room)
            slot = Slot(
                number,
                self._access,
                self.maps,
                self._submit,
                self.worker,
                self._committed,
                self._is_ours,
                states,
                self._turns,
            )
            slot.set_inputs(self._inputs.get(number, ()), self._partitions)
            self.slots[number] = (slot, asyncio.create_task(self._keep_open(slot)))
            projector = Projector(number, self._access, self.maps, self._mask_key)
            projector.set_shelves(self._shelves(number), self._existing)
            tasks = [asyncio.create_task(self._keep_projecting(projector, number))]
            if number == 0:
                tasks += [
                    asyncio.create_task(teller(self._access, self.maps).run())
                    for teller in (Generations, Writings)
                ]
            self._projectors[number] = projector, tasks

    async def _is_ours(self, number: int) -> bool:
        """Whether the group still says that a slot is this worker's. Asked before a producer fences anybody: one that
        was asleep, or opened slowly, must not take a slot back that others work on.

        A commit is what Kafka checks against the group's members. What is committed is for lag tools; nobody reads it.
        """
        place = TopicPartition(topics.SLOTS, number)
        if self._group is None or place not in self._group.assignment():
            return False
        try:
            await self._group.commit({place: (0, self.worker)})
        except KafkaError as error:
            log.info("slot.not_ours", slot=number, error=type(error).__name__)
            return False
        return True

    def _shelves(self, number: int) -> set[Shelf]:
        return {
            (stream, partition)
            for stream, count in self._partitions.items()
            for partition in range(count)
            if topics.slot_of(stream, partition, self._slot_count) == number
        }

    async def _keep_projecting(self, projector: Projector, number: int) -> None:
        """Run the projector of a slot until it is stopped; whatever breaks it, it begins again from the log."""
        failures = 0
        while not projector.stopping.is_set():
            try:
                await projector.run()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the gate goes on; readers see that they are late
                failures += 1
                log.warning("projector.failed", slot=number, attempt=failures, error=repr(error)[:300])
                await asyncio.sleep(min(0.2 * 2 ** min(failures, 6), 5.0))

    async def _keep_open(self, slot: Slot) -> None:
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            started = loop.time()
            slot.beat = time.monotonic()
            try:
                await slot.run()
                return
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever broke it, only the log can be believed now
                failures = failures + 1 if loop.time() - started < CALM_S else 1
                log.warning("slot.failed", slot=slot.number, attempt=failures, error=repr(error)[:300])
                if failures >= ATTEMPTS_MAX and not isinstance(error, KafkaError):
                    log.error("slot.given_up", slot=slot.number)  # noqa: TRY400 - the trace of the last try says it
                    os._exit(
                        LEAVE_STATUS
                    )  # nothing in this process is to be believed; the supervisor starts another
            await asyncio.sleep(min(0.2 * 2 ** min(failures, 6), 5.0))
            look_for_all_cycles()  # not before the error is forgotten, whose trace holds all of the slot

    async def close(self, numbers: Collection[int]) -> None:
        """Let go of slots after the batch each has in hand, and of what they held in memory."""
        if numbers:
            await self._end(numbers)
            look_for_all_cycles()

    async def _end(self, numbers: Collection[int]) -> None:
        leaving = [self.slots.pop(number) for number in numbers if number in self.slots]
        for slot, _ in leaving:
            slot.stop()
        tasks = [task for _, task in leaving]
        for number in numbers:
            if number in self._projectors:
                projector, own = self._projectors.pop(number)
                projector.stopping.set()
                tasks.append(own[0])
                self._end_beside(own[1:])
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=8.0)
            self._end_beside(late)

    def _end_beside(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Nobody waits for these: a slot is given back whether or not they hear it."""
        if tasks:
            ending = asyncio.create_task(ended(tasks))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


def in_force(existing: Collection[str], streams: Mapping[str, str]) -> dict[str, str]:
    """Input topic to its stream, of the inputs that are judged now; `streams`: what the map has in force.

    Of an object that the map does not have, the newest that there is: what comes there is held.
    """
    found = {topic: stream for topic in sorted(existing) if (stream := topics.stream_in(topic)) is not None}
    newest = dict[str, str]()
    for stream in sorted(set(found.values()), key=topics.generation_of):
        newest[topics.object_of(stream)] = stream
    judged = set((newest | dict(streams)).values())
    return {topic: stream for topic, stream in found.items() if stream in judged}


class _Listener(ConsumerRebalanceListener):
    """Turns what the group decides into slots opened and closed."""

    def __init__(self, lane: Lane, consumer: AIOKafkaConsumer) -> None:
        self._lane = lane
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._lane.close({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._lane.joined(self._consumer)
        self._lane.open({place.partition for place in assigned})
