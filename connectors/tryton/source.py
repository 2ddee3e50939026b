"""Changes of a Tryton database: a paged snapshot of the parties, then polling by write date; each
event sets what differs from the one before.

What was published is known by digest, so a touched but unchanged party says nothing, and the sink's own
writes come back once, as the echo that acknowledges them. Deletes leave no trace in Tryton and are not told.
"""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from connectors.sdk.source import ChangeEvent, ReadBatch
from connectors.tryton.ledger import Published, PublishedLedger
from connectors.tryton.parties import Image, Parties
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.window import ChangeWindow
from schemas.version import SourceVersion, VersionKind

log = structlog.get_logger("connectors.tryton")


class TrytonSource:
    """The source of one database."""

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
        self._zone = ZoneInfo(settings.zone)
        self._fields = None if complete else frozenset(parties.mapping.fields)
        self._window = ChangeWindow(parties, datetime.min)  # noqa: DTZ901 - replaced by `open`
        self._snapshot_after: int | None = None
        self._queue: list[int] = []
        self._read: dict[str, Published] = {}

    async def open(self, position: str | None) -> None:
        await self._parties.open()
        self._queue, self._read = [], {}
        if position is None:
            since = await ChangeWindow(self._parties, datetime.min).latest()  # noqa: DTZ901 - only asked
            self._snapshot_after = 0
            log.info("tryton.snapshot_begun")
        else:
            document = json.loads(position)
            since = datetime.fromisoformat(document["since"])
            self._snapshot_after = document["snapshot_after"]
        self._window = ChangeWindow(self._parties, since)
        self._since = since

    async def read(self) -> ReadBatch:
        if self._snapshot_after is not None:
            images = await self._parties.after(self._snapshot_after)
            done = len(images) < self._page
            self._snapshot_after = None if done else images[-1].id
            if done:
                log.info("tryton.snapshot_ended")
            return ReadBatch(self._events(images), self._position())
        if not self._queue:
            self._queue = await self._window.changed()
        page, self._queue = self._queue[: self._page], self._queue[self._page :]
        events = self._events(await self._parties.by_ids(page)) if page else []
        if not self._queue:
            self._since = self._window.since
        return ReadBatch(events, self._position())

    def _position(self) -> str:
        # While parties are still queued, the position stays before them: after a crash they are found again.
        return json.dumps({"since": self._since.isoformat(), "snapshot_after": self._snapshot_after})

    def _events(self, images: list[Image]) -> list[ChangeEvent]:
        """Events of those whose content was not published, in the order of their write dates."""
        told = [image for image in images if image.code]
        known = self._ledger.published(image.code for image in told)
        events = []
        for image in sorted(told, key=lambda image: (image.changed, image.id)):
            last = known.get(image.code)
            if last is not None and last.digest == image.digest:
                continue
            # A removed part takes its date with it; the version must not fall.
            mark = image.mark if last is None else max(image.mark, last.mark)
            self._read[image.code] = Published(image.digest, mark, image.parts)
            fields = self._set_fields(image, last)
            events.append(event_of(self._object, image, mark, self._zone, fields))
        return events

    def _set_fields(self, image: Image, last: Published | None) -> frozenset[str] | None:
        """The fields that differ from what was last published; others' fields that are merely there are not told."""
        if last is None or not last.parts:
            return self._fields
        parts = image.parts
        return frozenset(name for name in parts if parts[name] != last.parts.get(name)) or self._fields

    async def commit(self, position: str | None) -> None:
        del position  # the runner keeps it; what was published is the ledger's
        self._ledger.keep_published(self._read)
        self._read = {}

    async def close(self) -> None:
        await self._parties.client.close()


def event_of(
    object_name: str, image: Image, mark: str, zone: ZoneInfo, fields: frozenset[str] | None
) -> ChangeEvent:
    """The event of a party as it is; `mark` is its version."""
    changed = datetime.fromisoformat(mark).replace(tzinfo=zone)
    return ChangeEvent(
        object=object_name,
        key=image.code,
        version=SourceVersion(VersionKind.COARSE, 0, mark),
        time_ms=round(changed.timestamp() * 1000),
        values=image.values,
        # Two contents may share a write date; the same one never gets two ids.
        rest=f"{image.code}~{image.digest}",
        fields=fields,
    )
