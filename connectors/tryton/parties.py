"""Reading parties as images: the mapped values, the latest write date among their parts, and what a write
needs.

Knows Tryton's models; knows neither Kafka nor what may be written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.tryton.client import TrytonClient
from connectors.tryton.settings import CONTACT, CREDIT_LIMIT, PartyMapping, TrytonSettings

PARTY = "party.party"
MECHANISM = "party.contact_mechanism"
_LIMITS = "credit_limit_amounts"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """The contact mechanism behind a field."""

    id: int
    timestamp: str


@dataclass(slots=True)
class Image:
    """A party as it is now."""

    id: int
    code: str
    active: bool
    timestamp: str
    """What Tryton compares in a write's `_timestamp`."""
    changed: datetime
    """Latest write date among the party, its mechanisms and its credit limits."""
    values: dict[str, Any]
    mechanisms: dict[str, Mechanism] = field(default_factory=dict)
    """By field of the contract."""

    @property
    def mark(self) -> str:
        return self.changed.isoformat(timespec="microseconds")

    @property
    def digest(self) -> str:
        return digest_of(self.values)

    @property
    def parts(self) -> dict[str, str]:
        """Digest per field."""
        return {name: digest_of({name: value}) for name, value in self.values.items()}


def digest_of(values: Mapping[str, Any]) -> str:
    """Equal for equal contents; 1.5 and 1.50 are equal."""
    plain = {
        name: format(value.normalize(), "f") if isinstance(value, Decimal) else value
        for name, value in values.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Parties:
    """The parties of one database, through one client."""

    def __init__(self, client: TrytonClient, mapping: PartyMapping, settings: TrytonSettings) -> None:
        self.client = client
        self.mapping = mapping
        self.settings = settings
        self._company: int | None = settings.company
        self._plain = {
            name: part
            for name, part in mapping.fields.items()
            if not part.startswith(CONTACT) and part != CREDIT_LIMIT
        }
        self.contacts = {
            name: part.removeprefix(CONTACT)
            for name, part in mapping.fields.items()
            if part.startswith(CONTACT)
        }
        self._limit = next((name for name, part in mapping.fields.items() if part == CREDIT_LIMIT), None)

    async def open(self) -> None:
        """Sign in, and find out the user's company. Raises ConnectionLost."""
        await self.client.open()
        if self._company is None and self._limit is not None:
            preferences = await self.client.call("model.res.user.get_preferences", True, {})
            self._company = preferences.get("company")

    @property
    def context(self) -> dict[str, Any]:
        """Tryton's context of every call: the company, and parties that are not active too."""
        company = {} if self._company is None else {"company": self._company}
        return {"active_test": False, **company}

    async def search(
        self, model: str, domain: Sequence[Any], names: Sequence[str], *, limit: int | None = None,
        order: Sequence[Any] | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        found = await self.client.call(
            f"model.{model}.search_read", list(domain), 0, limit, order, list(names), self.context
        )
        return list(found)

    async def after(self, party_id: int, within: Sequence[Any] = ()) -> list[Image]:
        """The next page of parties above that id, in that domain: for a snapshot or a backfill."""
        return await self._images([["id", ">", party_id], *within])

    async def count(self, within: Sequence[Any]) -> int:
        """How many parties are told, in that domain."""
        domain = [*within, *self.mapping.only]
        return int(await self.client.call(f"model.{PARTY}.search_count", domain, self.context))

    async def by_ids(self, ids: Iterable[int]) -> list[Image]:
        return await self._images([["id", "in", sorted(ids)]])

    async def told_among(self, codes: Iterable[str]) -> list[Image]:
        """Those of these parties that `only` lets be told."""
        return await self._images([["code", "in", sorted(codes)]], limit=None)

    async def by_codes(self, codes: Iterable[str]) -> dict[str, Image]:
        """Whatever `only` says: a code is taken even if its party is not told."""
        found = await self._images([["code", "in", sorted(codes)]], everyone=True, limit=None)
        return {image.code: image for image in found}

    async def _images(
        self, domain: Sequence[Any], *, everyone: bool = False, limit: int | None = -1
    ) -> list[Image]:
        names = [*set(self._plain.values()), "code", "active", "write_date", "create_date", "_timestamp"]
        if self._limit is not None:
            names += [CREDIT_LIMIT, f"{_LIMITS}.write_date", f"{_LIMITS}.create_date"]
        rows = await self.search(
            PARTY,
            domain if everyone else [*domain, *self.mapping.only],
            names,
            limit=self.settings.page if limit == -1 else limit,
            order=[["id", "ASC"]],
        )
        images = {row["id"]: self._image(row) for row in rows}
        if self.contacts and images:
            await self._add_contacts(images)
        return list(images.values())

    def _image(self, row: Mapping[str, Any]) -> Image:
        values = {name: row[part] for name, part in self._plain.items()}
        if self._limit is not None:
            values[self._limit] = row[CREDIT_LIMIT]
        changed = max(_changed(part) for part in (row, *(row.get(f"{_LIMITS}.") or ())))
        code = "" if row["code"] is None else str(row["code"])
        return Image(row["id"], code, row["active"], row["_timestamp"], changed, values)

    async def _add_contacts(self, images: Mapping[int, Image]) -> None:
        rows = await self.search(
            MECHANISM,
            [
                ["party", "in", list(images)],
                ["type", "in", sorted(set(self.contacts.values()))],
                ["active", "=", True],
            ],
            ["party", "type", "value", "write_date", "create_date", "_timestamp"],
            order=[["party", "ASC"], ["sequence", "ASC NULLS FIRST"], ["id", "ASC"]],
        )
        fields = {kind: name for name, kind in self.contacts.items()}
        for image in images.values():
            image.values.update(dict.fromkeys(self.contacts))
        for row in rows:
            image, name = images[row["party"]], fields[row["type"]]
            image.changed = max(image.changed, _changed(row))
            if name not in image.mechanisms:
                image.values[name] = row["value"]
                image.mechanisms[name] = Mechanism(row["id"], row["_timestamp"])


def _changed(row: Mapping[str, Any]) -> datetime:
    found = row["write_date"] or row["create_date"]
    assert isinstance(found, datetime)
    return found
