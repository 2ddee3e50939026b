"""The second lane: deliveries for restricted readers, made from authoritative records, slot by slot (decision 0011).

Keeps nothing but how far it has read; that stands in `projections`, and moves with the deliveries in one transaction
(I3). A reading that has no position is filled first: the newest revision of every record, then what comes after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from broker import topics
from broker.access import KafkaAccess
from broker.gate.project import SEQUENCE, Projection, Revision, project
from broker.lane.maps import MapFollower
from broker.lane.memory import Shelf
from broker.lane.replay import TO_THE_END, last_records, read_all, reader_of, reading
from broker.lane.transaction import Transactions, transactional_id
from broker.settings import SettingsRefused
from schemas.registry import envelopes

POLL_MS = 200
RECORDS_MAX = 2000
LOOK_S = 1.0
"""How often the map and the topics are looked at for readings that came or went."""
log = structlog.get_logger()
MaskKey = Callable[[int], bytes]
"""Number of a mask key to the key. Raises SettingsRefused when there is none."""


@dataclass(frozen=True, slots=True)
class Filled:
    """How far one partition of a reading's deliveries is."""

    next_offset: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One partition of one reading's deliveries."""

    projection: Projection
    partition: int
    mask_key: bytes

    @property
    def place(self) -> tuple[str, int]:
        """Where its deliveries go."""
        return topics.deliveries_of(self.projection.reading), self.partition

    @property
    def source(self) -> TopicPartition:
        """Where its revisions come from."""
        return TopicPartition(
            topics.authoritative(topics.stream_read(self.projection.reading)), self.partition
        )


class Projector:
    """Projects the partitions of one slot."""

    def __init__(self, slot: int, access: KafkaAccess, maps: MapFollower, mask_key: MaskKey) -> None:
        self._slot = slot
        self._access = access
        self._maps = maps
        self._mask_key = mask_key
        self._shelves: Collection[Shelf] = ()
        self._existing: Collection[str] = ()
        self._positions: dict[tuple[str, int], Filled] = {}
        self._refused: set[str] = set()
        self._followed: set[tuple[str, int]] = set()
        self.stopping = asyncio.Event()

    def set_shelves(self, shelves: Collection[Shelf], existing: Collection[str]) -> None:
        """Tell which partitions of which objects belong to this slot now, and which topics there are."""
        self._shelves, self._existing = shelves, existing

    async def run(self) -> None:
        """Project until `stopping`. Raises whatever broke it; the lane starts it again from the log."""
        while not self._streams():  # without restricted readers it costs nothing
            if await self._stopped(LOOK_S):
                return
        writer = Transactions(self._access, transactional_id(self._slot, "projector"))
        await writer.start()  # I3: fences the former worker before its positions are read
        consumer = reader_of(self._access, fetch_max_wait_ms=POLL_MS)
        try:
            await consumer.start()
            known = await writer.mark([(topics.PROJECTIONS, self._slot)])
            self._positions, self._followed = await self._read_positions(consumer, known), set()
            while not self.stopping.is_set():
                streams = await self._ready(writer)
                await self._follow(consumer, writer, streams)
        finally:
            await consumer.stop()
            await writer.stop()

    async def _stopped(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # -- which streams there are

    def _streams(self) -> list[Stream]:
        rules = self._maps.rules
        if rules is None:
            return []
        found = []
        for stream, partition in sorted(self._shelves):
            for projection in rules.projections.get(topics.object_of(stream), ()):
                # A moment long the map may be newer than the shelves: another slot's would be filled from here, too.
                ours = topics.stream_read(projection.reading) == stream
                key = self._key_of(projection) if ours else None
                if key is not None:
                    found.append(Stream(projection, partition, key))
        return found

    def _key_of(self, projection: Projection) -> bytes | None:
        """The mask key of a reading, b"" where nothing is masked; None = it is not served (I7)."""
        reading = projection.reading
        if not reading.mask_key:
            return b""
        try:
            return self._mask_key(reading.mask_key)
        except SettingsRefused as refused:
            if reading.generation not in self._refused:
                self._refused.add(reading.generation)
                said = str(refused)
                log.error("projector.no_mask_key", system=reading.system, object=reading.object, error=said)  # noqa: TRY400
            return None

    async def _ready(self, writer: Transactions) -> list[Stream]:
        """The streams that can be followed, filled where they are new; positions of those that are gone are dropped."""
        streams = [s for s in self._streams() if {s.place[0], s.source.topic} <= set(self._existing)]
        wanted = {stream.place for stream in streams}
        if gone := [place for place in self._positions if place not in wanted]:
            await self._drop(writer, gone)
        await self._begin(writer, [s for s in streams if s.place not in self._followed])
        self._followed = wanted
        return streams

    async def _begin(self, writer: Transactions, streams: Collection[Stream]) -> None:
        """Fill what has no position, or a topic that was made anew since; else go on behind the last delivery there.

        The position may say otherwise: Kafka may have kept one of them and taken back the other (decision 0022).
        """
        begun = [stream.place for stream in streams if stream.place in self._positions]
        try:
            last = await self._last_deliveries(writer, begun)
        except TopicAuthorizationFailedError:
            log.warning(
                "projector.not_readable", what_to_do="Give the gate its rights: `solesource prepare`."
            )
            last, streams = {}, [stream for stream in streams if stream.place not in begun]
        for stream in streams:
            place, filled = stream.place, self._positions.get(stream.place)
            delivery = last.get(place)
            if filled is None or (filled.delivered and delivery is None):
                await self._fill(writer, stream)
            elif delivery is not None:
                behind = int(dict(delivery.headers)[SEQUENCE]) + 1
                # A position further on is usual after filling; then there is nothing in between.
                self._positions[place] = replace(filled, next_offset=behind)
                if behind > filled.next_offset:
                    log.error("projector.batch_torn", topic=place[0], partition=place[1], next_offset=behind)
                    await self._keep(writer, {place: self._positions[place]})

    async def _last_deliveries(
        self, writer: Transactions, places: Collection[tuple[str, int]]
    ) -> dict[tuple[str, int], Any]:
        """The last delivery of each place that has one."""
        if not places:
            return {}
        found, known = dict[tuple[str, int], Any](), await writer.mark(places)
        async with reading(self._access) as consumer:
            for place in places:
                for record in await last_records(consumer, TopicPartition(*place), known):
                    found[place] = record
        return found

    # -- the work

    async def _fill(self, writer: Transactions, stream: Stream) -> None:
        """Write the newest revision of every record, and then where to go on from."""
        reader, newest = reader_of(self._access, **TO_THE_END), dict[bytes, Revision]()
        await reader.start()
        try:
            end = (await reader.end_offsets([stream.source]))[stream.source]
            async for record in read_all(reader, [stream.source]):
                newest.pop(record.key, None)  # so that the order is that of the last revisions
                newest[record.key] = _revision(record)
                end = max(end, record.offset + 1)
        finally:
            await reader.stop()
        revisions = list(newest.values())
        for start in range(0, len(revisions), RECORDS_MAX):
            batches = writer.batches()
            for revision in revisions[start : start + RECORDS_MAX]:
                value, headers = project(stream.projection, revision, stream.mask_key, begins=True)
                batches.put(stream.place, revision.key, value, headers)
            await writer.send(batches)
        await self._keep(writer, {stream.place: Filled(end, len(revisions))})
        topic, partition = stream.place
        log.info("projector.filled", topic=topic, partition=partition, records=len(revisions))

    async def _follow(
        self, consumer: AIOKafkaConsumer, writer: Transactions, streams: Collection[Stream]
    ) -> None:
        """Deliver what comes, until it is time to look again for readings that came or went."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LOOK_S
        begins: dict[TopicPartition, int] = {}
        for stream in streams:
            offset = self._positions[stream.place].next_offset
            begins[stream.source] = min(offset, begins.get(stream.source, offset))
        if not begins:
            await self._stopped(LOOK_S)
            return
        if consumer.assignment() != begins.keys():  # else it goes on, with what it has fetched already
            consumer.assign(list(begins))
            for place, offset in begins.items():
                consumer.seek(place, offset)
        while loop.time() < until and not self.stopping.is_set():
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
            if fetched:
                await self._deliver(writer, streams, fetched)

    async def _deliver(
        self, writer: Transactions, streams: Iterable[Stream], fetched: Mapping[TopicPartition, Any]
    ) -> None:
        batches, moved = writer.batches(), {}
        for stream in streams:
            records, filled = fetched.get(stream.source, ()), self._positions[stream.place]
            revisions = [_revision(record) for record in records if record.offset >= filled.next_offset]
            for revision in revisions:
                value, headers = project(stream.projection, revision, stream.mask_key)
                batches.put(stream.place, revision.key, value, headers)
            if revisions:
                moved[stream.place] = replace(
                    filled, next_offset=revisions[-1].offset + 1, delivered=filled.delivered + len(revisions)
                )
        if moved:
            await self._keep(writer, moved, batches)

    async def _keep(
        self, writer: Transactions, moved: Mapping[tuple[str, int], Filled], batches: Any = None
    ) -> None:
        """Write deliveries and how far they are in one transaction."""
        batches = writer.batches() if batches is None else batches
        rules, codec = self._maps.rules, envelopes().codec
        for (topic, partition), filled in moved.items():
            said = {
                "topic": topic,
                "partition": partition,
                "next_offset": filled.next_offset,
                "delivered": filled.delivered,
                "map_version": rules.ownership_map.version if rules else 0,
            }
            value = codec.encode(envelopes().id_of("projection"), said)
            batches.put((topics.PROJECTIONS, self._slot), f"{topic}/{partition}".encode(), value, ())
        await writer.send(batches)
        self._positions.update(moved)

    async def _drop(self, writer: Transactions, gone: Iterable[tuple[str, int]]) -> None:
        batches = writer.batches()
        for topic, partition in gone:
            batches.put((topics.PROJECTIONS, self._slot), f"{topic}/{partition}".encode(), None, ())
        await writer.send(batches)
        for place in list(gone):
            del self._positions[place]

    async def _read_positions(
        self, consumer: AIOKafkaConsumer, known: Mapping[tuple[str, int], int]
    ) -> dict[tuple[str, int], Filled]:
        found: dict[tuple[str, int], Filled] = {}
        place = TopicPartition(topics.PROJECTIONS, self._slot)
        async for record in read_all(consumer, [place], at_least=known):
            topic, _, partition = record.key.decode().rpartition("/")
            if record.value is None:
                found.pop((topic, int(partition)), None)
                continue
            said = envelopes().codec.decode(record.value, envelopes().ids("solesource.projection"))
            found[topic, int(partition)] = Filled(said["next_offset"], said["delivered"])
        return found


def _revision(record: Any) -> Revision:
    return Revision(record.key, record.value, record.headers, record.offset, record.timestamp)
