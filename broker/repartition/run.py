"""The steps: look, make, drain, copy, switch, and see that the gate goes on. Each may be cut, and is taken again.

Until the map is published everything is as before once writers may write again; from then on the new topics are in
force, and a run that is given again does what is left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced, TopicAuthorizationFailedError
from confluent_kafka.admin import AdminClient

from broker import topics
from broker.access import KafkaAccess
from broker.agents.orders import send_everywhere
from broker.agents.ticks import tick_value
from broker.clock import now_ms
from broker.kafka.admin import TIMEOUT_S, close_topics, make_acls, make_topics, open_topics, remake_topics
from broker.kafka.estate import newest_map, publish_map
from broker.lane.copying import Copying
from broker.lane.draining import Draining, Input
from broker.repartition.plan import Plan, RepartitionRefused, inputs_of, plan_of, to_make, topics_of

LOOK_S = 0.5
CALM_S = 2.0
"""So long nothing may have come to closed topics: brokers learn one after the other that they are closed."""
ANSWER_S = 60.0
"""So long the gate has to judge a tick: a slot may be about to open."""
Say = Callable[[dict[str, Any]], None]
"""Takes one step of progress: a small document, without keys or values of records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what a run works."""

    admin: AdminClient
    gate: KafkaAccess
    control: KafkaAccess
    files: Mapping[str, str]
    """The map's files as they are."""
    write: Callable[[str, str], None]
    """Writes one of them (name, text)."""
    partitions: int
    """The cluster's default."""
    slots: int
    replicas: int
    wait_s: float
    """How long draining may take; after that writers may write again."""
    by: str
    say: Say


@dataclass(slots=True)
class Done:
    """What a run did."""

    object: str
    partitions: int
    generation: int
    map_version: int
    records: int = 0
    """Copied by this run."""
    misplaced: int = 0
    """Left behind: never at their key's place, so nothing that is judged ever looked there."""
    closed_s: float = 0.0
    """How long nobody could write, in this run."""
    answered: bool = True
    """Whether the gate judged a tick in every new partition."""
    not_judged: list[str] = field(default_factory=list)
    """Old inputs to which something came after all, past a rule of Kafka's that had not reached every broker."""
    old_topics: list[str] = field(default_factory=list)
    """Topics of older generations that are still there."""


async def repartition(means: Means, object_name: str, wanted: int) -> Done:
    """Give an object so many partitions. Raises RepartitionRefused, KafkaRefused, CopyDiffers, KafkaError."""
    published = await asyncio.to_thread(newest_map, means.control)
    counts = counts_of(means.admin)
    plan = plan_of(object_name, wanted, published=published.documents, files=means.files, counts=counts)
    done = Done(object_name, wanted, topics.generation_of(plan.new.stream), published.version)
    if not plan.in_force:
        await Move(means, plan, done).run()
    if done.generation > 1:
        await _finish(means, plan, done)
    return done


def counts_of(admin: AdminClient) -> dict[str, int]:
    """Every topic that there is, and its partitions."""
    return {
        name: len(found.partitions) for name, found in admin.list_topics(timeout=TIMEOUT_S).topics.items()
    }


class Move:
    """From one generation to the next, up to the map's publication."""

    def __init__(self, means: Means, plan: Plan, done: Done) -> None:
        self._means, self._plan, self._done = means, plan, done
        self._draining = Draining(means.gate, means.slots)
        existing = counts_of(means.admin)
        self._inputs = inputs_of(plan.old.stream, existing)
        self._places = [TopicPartition(name, n) for name in self._inputs for n in range(existing[name])]
        kept = [topics.state(plan.old.stream), topics.authoritative(plan.old.stream)]
        self._outputs = [TopicPartition(name, n) for name in kept for n in range(existing[name])]

    async def run(self) -> None:
        """Take all steps; cut before the last one, writers may write again. Raises as `repartition` does."""
        means, began, published = self._means, time.monotonic(), False
        await self._draining.start()
        try:
            await self._look()
            self._make()
            began = time.monotonic()
            close_topics(means.admin, self._inputs)
            ends = await self._drain()
            await self._copy()
            if await self._draining.left(self._places) or await self._draining.ends(self._places) != ends:
                _refuse("something was written while nobody may", "Give the command again.")
            if (await asyncio.to_thread(newest_map, means.control)).version != self._done.map_version:
                _refuse("another map was published meanwhile", "Give the command again.")
            published = True  # from here on it may be in force, whatever is heard of it
            means.write(self._plan.file, self._plan.documents[self._plan.file])
            self._done.map_version = publish_map(
                means.control, self._plan.documents, means.by, repartitioned=self._plan.object
            )
            self._say("switched", map_version=self._done.map_version)
        except ProducerFenced:
            published = True  # another run copies now: what is closed is its to open
            raise
        finally:
            if not published:
                open_topics(means.admin, self._inputs)
            self._done.closed_s = round(time.monotonic() - began, 1)
            await self._draining.stop()

    def _say(self, step: str, **facts: Any) -> None:
        self._means.say({"step": step, **facts})

    async def _look(self) -> None:
        """Nothing is begun without a gate. Closed topics take no tick: a run that was cut had looked."""
        try:
            sent = await send_ticks(self._means.control, self._plan.object)
        except TopicAuthorizationFailedError:
            return
        if not await answered(self._draining, sent, ANSWER_S):
            _refuse("the gate did not judge a tick", "Start it, and look whether all its slots run.")
        self._say("looked", partitions=self._plan.old.partitions, generation=self._done.generation - 1)

    def _make(self) -> None:
        means = self._means
        plans = list(to_make(self._plan, partitions=means.partitions, slots=means.slots))
        existing = counts_of(means.admin)
        if any(existing.get(plan.name, plan.partitions) != plan.partitions for plan in plans):
            remake_topics(means.admin, plans, replicas=means.replicas)  # an earlier run wanted another number
        made = make_topics(means.admin, plans, replicas=means.replicas)
        self._say("made", topics=len(plans), new=len(made))

    async def _drain(self) -> Mapping[TopicPartition, int]:
        """Wait until all that was written is judged; where the inputs end. Raises RepartitionRefused."""
        until, ends, since = time.monotonic() + self._means.wait_s, dict[TopicPartition, int](), 0.0
        while True:
            left, now = await self._draining.left(self._places), await self._draining.ends(self._places)
            left += await self._draining.unsettled(self._outputs)
            if now != ends:
                ends, since = dict(now), time.monotonic()
            self._say("draining", inputs=len(left), records=sum(one.records for one in left))
            if not left and time.monotonic() - since >= CALM_S:
                return ends
            if time.monotonic() > until or any(one.lost for one in left):
                _refuse_to_wait(left)
            await asyncio.sleep(LOOK_S)

    async def _copy(self) -> None:
        means, plan = self._means, self._plan
        kinds = (topics.state(plan.new.stream), topics.authoritative(plan.new.stream))
        places = [TopicPartition(kind, n) for kind in kinds for n in range(plan.new.partitions)]
        copying = Copying(means.gate, plan.old, plan.new)
        try:
            await copying.start()
            if any((await self._draining.ends(places)).values()):
                if await copying.is_whole():
                    self._say("found")
                    return
                plans = to_make(plan, partitions=means.partitions, slots=means.slots)
                anew = [one for one in plans if one.name in kinds]
                remake_topics(means.admin, anew, replicas=means.replicas)
            self._done.records = await copying.run(lambda records: self._say("copying", records=records))
        finally:
            await copying.stop()
        self._done.misplaced = copying.misplaced
        self._say("copied", records=self._done.records)


async def _finish(means: Means, plan: Plan, done: Done) -> None:
    """Rights, and the proof that the gate goes on. Does again what an earlier run may have done."""
    if means.files.get(plan.file) != plan.documents[plan.file]:
        means.write(plan.file, plan.documents[plan.file])
    make_topics(
        means.admin, to_make(plan, partitions=means.partitions, slots=means.slots), replicas=means.replicas
    )
    make_acls(means.admin, plan.ownership_map)
    existing = counts_of(means.admin)
    olds = [topics.stream_of(plan.object, number) for number in range(1, done.generation)]
    done.old_topics = [name for old in olds for name in topics_of(old, existing)]
    inputs = [name for old in olds for name in inputs_of(old, existing)]
    if inputs:
        close_topics(means.admin, inputs)
    draining = Draining(means.gate, means.slots)
    await draining.start()
    try:
        sent = await send_ticks(means.control, plan.object)
        done.answered = await answered(draining, sent, ANSWER_S)
        left = await draining.left(
            [TopicPartition(name, n) for name in inputs for n in range(existing[name])]
        )
        done.not_judged = [f"{one.topic}/{one.partition}" for one in left]
    finally:
        await draining.stop()


async def send_ticks(control: KafkaAccess, object_name: str) -> list[tuple[str, int, int]]:
    """A tick to every partition in force; (topic, partition, offset) of each. Raises KafkaError, TimeoutError."""
    issued_ms = now_ms()
    return await send_everywhere(control, [object_name], lambda name, n: tick_value(name, n, issued_ms))


async def answered(draining: Draining, sent: Collection[tuple[str, int, int]], within_s: float) -> bool:
    """Whether the gate has judged these records in time."""
    until = time.monotonic() + within_s
    while True:
        positions = await draining.positions()
        if all(positions.get(f"{topic}/{partition}", 0) > offset for topic, partition, offset in sent):
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_S)


def _refuse(what: str, remedy: str) -> None:
    msg = f"{what} [repartition.refused] Writers may write as before. {remedy}"
    raise RepartitionRefused(msg)


def _refuse_to_wait(left: Collection[Input]) -> None:
    lost = [one for one in left if one.lost]
    names = ", ".join(
        f"{one.topic}/{one.partition}" for one in sorted(lost or left, key=lambda i: (i.topic, i.partition))
    )
    if lost:
        _refuse(f"changes were lost before they were judged: {names}", "Publish them again, then reset.")
    remedy = "Is a system paused (`solesource resume`), does an input stand still? Or give it longer: --wait."
    _refuse(f"not all was judged in time: {names or 'writers still write'}", remedy)
