"""Parties read again, page by page, under the write dates that they have.

A party's version is its write date, so what was edited after it was read wins by itself. Two edits may share a date
while a transaction that began at it still runs: a party touched that lately is told as of the microsecond before,
and whatever the source says about it wins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sdk.backfill import Chunk, KeyRange, SourceNeverRan
from connectors.sdk.source import ChangeEvent
from connectors.tryton.ledger import Published, PublishedLedger
from connectors.tryton.parties import Image, Parties
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.source import event_of
from connectors.tryton.window import BEGINNING, ChangeWindow

_TICK = timedelta(microseconds=1)


class TrytonBackfill:
    """Reads the parties of one database again."""

    def __init__(
        self,
        object_name: str,
        parties: Parties,
        ledger: PublishedLedger,
        settings: TrytonSettings,
        *,
        complete: bool,
    ) -> None:
        self._object = object_name
        self._parties = parties
        self._ledger = ledger
        self._page = settings.page
        self._overlap = timedelta(seconds=settings.overlap_s)
        self._zone = ZoneInfo(settings.zone)
        self._fields = None if complete else frozenset(parties.mapping.fields)
        self._within: list[Any] = []

    async def open(self, object_name: str, keys: KeyRange) -> int | None:
        del object_name  # this connector carries one
        await self._parties.open()
        bounds = ((">=", keys.first), ("<=", keys.last))
        self._within = [["code", comparison, bound] for comparison, bound in bounds if bound is not None]
        return await self._parties.count(self._within)

    async def chunk(self, after: str | None) -> Chunk:
        # Asked first: "lately" must not be judged by a later date than the parties were read at.
        latest = await self._latest()
        images = await self._parties.after(int(after or 0), self._within)
        return self._chunk(images, latest, str(images[-1].id) if len(images) == self._page else None)

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        """Without ends: Tryton keeps no trace of deleted parties, and none is told as deleted here either."""
        latest = await self._latest()
        return self._chunk(await self._parties.told_among(keys), latest, None)

    async def _latest(self) -> datetime:
        return await ChangeWindow(self._parties, BEGINNING).latest()

    def _chunk(self, images: Sequence[Image], latest: datetime, after: str | None) -> Chunk:
        mark = max([latest, *(image.changed for image in images)])
        told = [image for image in images if image.code]
        known = self._ledger.published(image.code for image in told)
        events = [self._event(image, known.get(image.code), latest - self._overlap) for image in told]
        return Chunk(events, after, mark.isoformat())

    def _event(self, image: Image, last: Published | None, settled: datetime) -> ChangeEvent:
        return event_of(self._object, image, mark_of(image, last, settled), self._zone, self._fields)

    async def behind(self, mark: str, position: str | None) -> int:
        """In milliseconds of write dates."""
        if position is None:
            raise SourceNeverRan("Tryton: the connector has published nothing yet")
        since = datetime.fromisoformat(json.loads(position)["since"])
        lag = datetime.fromisoformat(mark) - since
        return max(0, -(-lag // timedelta(milliseconds=1)))

    async def close(self) -> None:
        await self._parties.client.close()


def mark_of(image: Image, last: Published | None, settled: datetime) -> str:
    """The version of a party that is read again.

    What the source published last with this very content keeps its version, so that it counts as told twice. Any
    other version the source may have written since the party was read is none of this image's.
    """
    mark = image.mark if last is None or last.digest != image.digest else max(image.mark, last.mark)
    changed = datetime.fromisoformat(mark)
    if changed < settled:
        return mark
    return (changed - _TICK).isoformat(timespec="microseconds")
