"""Which parties changed: the write dates of three models, asked from where the last answer ended, and looked
over again.

A write date is the start of its transaction, so a later commit may show an earlier date. New dates are asked
for each time; the last `overlap_s` seconds are looked over every few seconds, and what was seen there already
is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.sdk.clock import ticks_ms
from connectors.tryton.parties import MECHANISM, PARTY, Parties
from connectors.tryton.settings import CREDIT_LIMIT

BEGINNING = datetime(1970, 1, 1)  # noqa: DTZ001 - Tryton's dates are naive
_LOOK_OVER_MS = 5_000
_LIMITS = "credit_limit_amounts"


class ChangeWindow:
    """The moving window over write dates."""

    def __init__(self, parties: Parties, since: datetime) -> None:
        self._parties = parties
        self._overlap = timedelta(seconds=parties.settings.overlap_s)
        self.since = since
        """Latest write date seen."""
        self._seen: dict[tuple[str, int], datetime] = {}
        self._moved_ms = ticks_ms()
        self._looked_over_ms: int | None = None

    async def changed(self) -> list[int]:
        """Ids of parties with write dates not seen before, in rising order."""
        now = ticks_ms()
        start = self.since
        quiet = now - self._moved_ms > self._overlap.total_seconds() * 1000
        if self._looked_over_ms is None or (not quiet and now - self._looked_over_ms > _LOOK_OVER_MS):
            self._looked_over_ms = now
            start = max(BEGINNING, self.since - self._overlap)
        found: set[int] = set()
        for model, party, field in _models(self._parties):
            domain = ["OR", [f"{field}write_date", ">", start], [f"{field}create_date", ">", start]]
            names = [f"{field}write_date", f"{field}create_date", *([party] if party != "id" else [])]
            for row in await self._parties.search(model, [domain], names):
                if self._is_new(model + field, row, field):
                    found.add(row[party])
        self._seen = {name: at for name, at in self._seen.items() if at >= self.since - self._overlap}
        return sorted(found)

    def _is_new(self, model: str, row: Mapping[str, Any], field: str) -> bool:
        parts = row[field] or () if field else (row,)
        at = max((part["write_date"] or part["create_date"] for part in parts), default=BEGINNING)
        name = (model, row["id"])
        if self._seen.get(name) == at:
            return False
        self._seen[name] = at
        if at > self.since:
            self.since = at
            self._moved_ms = ticks_ms()
        return True

    async def latest(self) -> datetime:
        """The latest write date of all: where the window begins after a snapshot."""
        found = BEGINNING
        for model, _, field in _models(self._parties):
            if field:
                continue  # its dates are never later than a look over the overlap finds
            for name in ("write_date", "create_date"):
                rows = await self._parties.search(
                    model, [], [name], limit=1, order=[[name, "DESC NULLS LAST"]]
                )
                found = max([found, *(row[name] for row in rows if row[name] is not None)])
        return found


def _models(parties: Parties) -> list[tuple[str, str, str]]:
    """(model, its attribute with the party's id, prefix of the dates): the three places where a party
    changes.
    """
    models = [(PARTY, "id", "")]
    if parties.contacts:
        models.append((MECHANISM, "party", ""))
    if CREDIT_LIMIT in parties.mapping.fields.values():
        # Tryton does not offer this model by itself: it is asked through the party.
        models.append((PARTY, "id", f"{_LIMITS}."))
    return models
