"""From a backfill to Kafka: a chunk is read, the source passes what it shows, it is published slowly, and looked at
once more.

One order of steps carries the guarantees. The mark is taken after the rows were read and awaited before they are
published, so no older change of the source can follow them. The second look finds what the gate could do nothing
with while it did not know the record yet: a change that came between reading and publishing. Keys are kept before
they are published and the position after the second look, so a kill repeats records and never leaves one out.
Nothing here knows a system.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from connectors.sdk.adapter import Connector, find_connector
from connectors.sdk.backfill import (
    Backfill,
    BackfillNotOffered,
    Chunk,
    KeyRange,
    ObjectUnknown,
    OtherUnderWay,
    SourceStands,
)
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.errors import KeyUnusable
from connectors.sdk.pacing import pause
from connectors.sdk.publish import Outgoing, Publisher, change_record
from connectors.sdk.source import ChangeEvent
from connectors.sdk.source_loop import STREAM
from connectors.sdk.wiring import Wiring, wire
from schemas.version import SourceVersion

RATE = 500
"""Records per second at most, unless told otherwise."""
PATIENCE_S = 60
"""How long a source may stand still before a backfill gives up waiting for it."""
_SLICES_PER_S = 5
_LOOK_MS = 100
_SAY_EVERY_MS = 1_000

Say = Callable[[dict[str, Any]], None]
"""Takes one step of progress: a small document, without values of records."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to read again, and how gently."""

    object: str
    keys: KeyRange = field(default_factory=KeyRange)
    fields: frozenset[str] | None = None
    """Fields to tell; None = all that the connector reads."""
    rate: int = RATE
    patience_s: int = PATIENCE_S
    again: bool = False


@dataclass(slots=True)
class Progress:
    """Where a backfill stands; what is kept of it is enough to go on."""

    after: str | None = None
    done: int = 0
    """Records that Kafka has, earlier runs of this backfill included."""
    unusable: int = 0
    """Records whose key cannot be published."""
    telling: Sequence[str] = ()
    """Keys that an earlier run may have published without the second look."""
    published: int = 0
    """Records that Kafka has from this run."""
    mended: int = 0
    """Records told once more because they changed between reading and publishing."""
    waited_ms: int = 0
    finished: bool = False


async def run_backfill(
    config: ConnectorConfig, order: Order, stop: asyncio.Event, say: Say, connector: Connector | None = None
) -> Progress:
    """Publish every record that the order names until the end or `stop`. Raises ConnectorError."""
    chosen = find_connector(config.adapter) if connector is None else connector
    if order.object not in config.objects:
        msg = f"connector of {config.system}: no object {order.object}"
        raise ObjectUnknown(msg)
    wiring = wire(config)
    try:
        unknown = sorted((order.fields or frozenset()) - set(wiring.contracts[order.object].fields))
        if unknown:
            msg = f"{order.object}: no field {', '.join(unknown)}"
            raise ObjectUnknown(msg)
        backfill = chosen.build(wiring.context()).backfill
        if backfill is None:
            msg = f"adapter {chosen.name} offers no backfill"
            raise BackfillNotOffered(msg)
        await wiring.precheck.look()
        wiring.precheck.writing(order.object)  # of what is not this system's to send nothing is read either
        return await BackfillRun(wiring, backfill, order, Publisher(wiring.access), stop, say).run()
    finally:
        await wiring.precheck.close()
        wiring.store.close()


class BackfillRun:
    """One run of a backfill."""

    def __init__(
        self,
        wiring: Wiring,
        backfill: Backfill,
        order: Order,
        publisher: Publisher,
        stop: asyncio.Event,
        say: Say,
    ) -> None:
        self._wiring = wiring
        self._backfill = backfill
        self._order = order
        self._stop = stop
        self._say = say
        self._publisher = publisher
        self._stream = f"backfill:{order.object}"
        self._progress = Progress()

    async def run(self) -> Progress:
        self._go_on()
        begun = ticks_ms()
        try:
            about = await self._backfill.open(self._order.object, self._order.keys)
            self._say({"step": "begun", "about": about, "done": self._progress.done})
            await self._chunks()
        finally:
            await self._backfill.close()
            await self._publisher.close()
        self._say({"step": "ended", "seconds": round((ticks_ms() - begun) / 1000, 1), **self._summary()})
        return self._progress

    async def _chunks(self) -> None:
        progress = self._progress
        if progress.telling and not await self._look_again(dict.fromkeys(progress.telling)):
            return
        chunk: Chunk | None = await self._backfill.chunk(progress.after)
        while chunk is not None:
            if not await self._passed(chunk.mark):
                return
            # Read ahead: the source passes the next chunk's mark while this one is published.
            following = None if chunk.after is None else await self._backfill.chunk(chunk.after)
            self._keep(progress.after, [event.key for event in chunk.events])
            if not await self._publish(chunk.events, self._count):
                return
            if not await self._look_again({event.key: event for event in chunk.events}):
                return
            self._keep(chunk.after)
            chunk = following
        progress.finished = True

    async def _look_again(self, told: Mapping[str, ChangeEvent | None]) -> bool:
        """Tell what is no longer as it was told; False when stopped before that.

        `told` without an event: an earlier run may have told it, and this one will if it is still there.
        """
        if not told:
            return True
        seen = await self._backfill.look_again(list(told))
        now = {event.key: event for event in seen.events}
        late = [now[key] for key, event in told.items() if event and key in now and differ(event, now[key])]
        if seen.version is not None:
            late += [_end_of(self._order.object, key, seen.version) for key in told if key not in now]
        if not late:
            return True
        self._progress.mended += len(late)
        return await self._passed(seen.mark) and await self._publish(late)

    def _summary(self) -> dict[str, Any]:
        progress = self._progress
        return {
            "system": self._wiring.config.system,
            "object": self._order.object,
            "finished": progress.finished,
            "done": progress.done,
            "published": progress.published,
            "mended": progress.mended,
            "unusable": progress.unusable,
            "waited_s": round(progress.waited_ms / 1000, 1),
        }

    def _go_on(self) -> None:
        """Where an earlier run of the same backfill was stopped. Raises OtherUnderWay."""
        kept = self._wiring.store.position(self._stream)
        if kept is None:
            return
        document = json.loads(kept)
        # Also a run that begins anew owes what was told last its second look.
        self._progress.telling = document["telling"]
        if self._order.again:
            return
        if document["order"] != self._bounds():
            msg = f"{self._order.object}: another backfill stands at {document['done']} records"
            raise OtherUnderWay(msg)
        self._progress.after, self._progress.done = document["after"], document["done"]
        self._progress.unusable = document["unusable"]

    def _bounds(self) -> dict[str, Any]:
        fields = self._order.fields
        return {**asdict(self._order.keys), "fields": None if fields is None else sorted(fields)}

    def _keep(self, after: str | None, telling: Sequence[str] = ()) -> None:
        """Kafka has everything before `after`, and perhaps some of `telling`. At the end nothing is kept."""
        progress = self._progress
        progress.after, progress.telling = after, telling
        kept = {"after": after, "done": progress.done, "unusable": progress.unusable, "telling": telling}
        ended = after is None and not telling
        text = None if ended else json.dumps({**kept, "order": self._bounds()}, sort_keys=True)
        self._wiring.store.keep_position(self._stream, text)

    async def _passed(self, mark: str) -> bool:
        """Wait until the source has published all that is shown before `mark`; False when stopped before that.

        Raises SourceStands when nothing moves for as long as the order's patience.
        """
        begun = moved = said = ticks_ms()
        before: int | None = None
        while not self._stop.is_set():
            behind = await self._backfill.behind(mark, self._wiring.store.position(STREAM))
            now = ticks_ms()
            if behind == 0:
                self._progress.waited_ms += now - begun
                return True
            if behind != before:
                before, moved = behind, now
            if now - moved > self._order.patience_s * 1000:
                msg = (
                    f"the source of {self._wiring.config.system} has not moved for {self._order.patience_s} s"
                )
                raise SourceStands(msg)
            if now - said > _SAY_EVERY_MS:
                said = now
                self._say({"step": "waiting", "seconds": (now - begun) // 1000, "behind": behind})
            await pause(_LOOK_MS, self._stop)
        return False

    async def _publish(
        self, events: Sequence[ChangeEvent], count: Callable[[int], None] | None = None
    ) -> bool:
        """True once Kafka has them all; no faster than the order's rate."""
        records = list(self._records(events))
        size = max(1, self._order.rate // _SLICES_PER_S)
        for start in range(0, len(records), size):
            begun, some = ticks_ms(), records[start : start + size]
            if not await self._publisher.publish(some, self._stop):
                return False
            if count is not None:
                count(len(some))
            await pause(max(0, begun + len(some) * 1000 // self._order.rate - ticks_ms()), self._stop)
        return True

    def _count(self, published: int) -> None:
        self._progress.done += published
        self._progress.published += published
        self._say({"step": "published", "done": self._progress.done})

    def _records(self, events: Sequence[ChangeEvent]) -> Iterator[Outgoing]:
        config, contract = self._wiring.config, self._wiring.contracts[self._order.object]
        for event in events:
            try:
                yield change_record(
                    told(event, self._order.fields), config.system, contract, self._wiring.registry.codec
                )
            except KeyUnusable:
                # The source waits at such a record in the open. A backfill says how many there are: the others
                # are not less worth reading again.
                self._progress.unusable += 1


def differ(told: ChangeEvent, seen: ChangeEvent) -> bool:
    """Whether a record is no longer as it was told."""
    return told.values != seen.values or told.unavailable != seen.unavailable


def told(event: ChangeEvent, fields: frozenset[str] | None) -> ChangeEvent:
    """The event with those fields only."""
    if fields is None or event.deletes:
        return event
    read = frozenset(event.values) if event.fields is None else event.fields
    return replace(event, fields=read & fields)


def _end_of(object_name: str, key: str, version: SourceVersion) -> ChangeEvent:
    """The end of a record that was told and is gone."""
    return ChangeEvent(object_name, key, version, now_ms(), {}, rest=key, deletes=True)
