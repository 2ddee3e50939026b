"""From a backfill to Kafka: a chunk is read, the source passes what it shows, then it is published, slowly.

One order of steps carries the guarantees. The mark is taken after the rows were read and awaited before they are
published, so no older change of the source can follow them; the position is kept once Kafka has the chunk, so a
kill repeats records and never leaves one out. Nothing here knows a system.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
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
from connectors.sdk.clock import ticks_ms
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.errors import KeyUnusable
from connectors.sdk.pacing import pause
from connectors.sdk.publish import Outgoing, Publisher, change_record
from connectors.sdk.source import ChangeEvent
from connectors.sdk.source_loop import STREAM
from connectors.sdk.wiring import Wiring, wire

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
    published: int = 0
    """Records that Kafka has from this run."""
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
        return await _Run(wiring, backfill, order, stop, say).run()
    finally:
        wiring.store.close()


class _Run:
    """One run of a backfill."""

    def __init__(
        self, wiring: Wiring, backfill: Backfill, order: Order, stop: asyncio.Event, say: Say
    ) -> None:
        self._wiring = wiring
        self._backfill = backfill
        self._order = order
        self._stop = stop
        self._say = say
        self._publisher = Publisher(wiring.access)
        self._stream = f"backfill:{order.object}"
        self._progress = Progress()

    async def run(self) -> Progress:
        self._go_on()
        progress = self._progress
        begun = ticks_ms()
        try:
            about = await self._backfill.open(self._order.object, self._order.keys)
            self._say({"step": "begun", "about": about, "done": progress.done})
            chunk: Chunk | None = await self._backfill.chunk(progress.after)
            while chunk is not None and await self._passed(chunk.mark):
                # Read ahead: the source passes the next chunk's mark while this one is published.
                following = None if chunk.after is None else await self._backfill.chunk(chunk.after)
                if not await self._publish(chunk.events):
                    break
                self._keep(chunk.after)
                chunk = following
            progress.finished = chunk is None
        finally:
            await self._backfill.close()
            await self._publisher.close()
        self._say({"step": "ended", "seconds": round((ticks_ms() - begun) / 1000, 1), **self._summary()})
        return progress

    def _summary(self) -> dict[str, Any]:
        progress = self._progress
        return {
            "system": self._wiring.config.system,
            "object": self._order.object,
            "finished": progress.finished,
            "done": progress.done,
            "published": progress.published,
            "unusable": progress.unusable,
            "waited_s": round(progress.waited_ms / 1000, 1),
        }

    def _go_on(self) -> None:
        """Where an earlier run of the same backfill was stopped. Raises OtherUnderWay."""
        kept = self._wiring.store.position(self._stream)
        if kept is None or self._order.again:
            self._wiring.store.keep_position(self._stream, None)
            return
        document = json.loads(kept)
        if document["order"] != self._bounds():
            msg = f"{self._order.object}: another backfill stands at {document['done']} records"
            raise OtherUnderWay(msg)
        self._progress.after, self._progress.done = document["after"], document["done"]
        self._progress.unusable = document["unusable"]

    def _bounds(self) -> dict[str, Any]:
        fields = self._order.fields
        return {**asdict(self._order.keys), "fields": None if fields is None else sorted(fields)}

    def _keep(self, after: str | None) -> None:
        """Kafka has everything before `after`. At the end there is nothing to go on with."""
        progress = self._progress
        progress.after = after
        document = {"after": after, "done": progress.done, "unusable": progress.unusable}
        text = None if after is None else json.dumps({**document, "order": self._bounds()}, sort_keys=True)
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

    async def _publish(self, events: Sequence[ChangeEvent]) -> bool:
        """True once Kafka has them all; no faster than the order's rate."""
        records = list(self._records(events))
        size = max(1, self._order.rate // _SLICES_PER_S)
        for start in range(0, len(records), size):
            begun, some = ticks_ms(), records[start : start + size]
            if not await self._publisher.publish(some, self._stop):
                return False
            self._progress.done += len(some)
            self._progress.published += len(some)
            self._say({"step": "published", "done": self._progress.done})
            await pause(max(0, begun + len(some) * 1000 // self._order.rate - ticks_ms()), self._stop)
        return True

    def _records(self, events: Sequence[ChangeEvent]) -> Iterator[Outgoing]:
        config, contract = self._wiring.config, self._wiring.contracts[self._order.object]
        for event in events:
            try:
                yield change_record(
                    _told(event, self._order.fields), config.system, contract, self._wiring.registry.codec
                )
            except KeyUnusable:
                # The source waits at such a record in the open. A backfill says how many there are: the others
                # are not less worth reading again.
                self._progress.unusable += 1


def _told(event: ChangeEvent, fields: frozenset[str] | None) -> ChangeEvent:
    """The event with those fields only."""
    if fields is None:
        return event
    read = frozenset(event.values) if event.fields is None else event.fields
    return replace(event, fields=read & fields)
