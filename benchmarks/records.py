"""The records that everybody is given: the n-th is the same for the gate and for every peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from schemas.envelope import change_headers
from schemas.registry import FileRegistry

MAP = Path(__file__).parent / "map"
KEYS = 50_000
NOTES = 150
"""Length of the longest field: with it a value has about 300 bytes."""
NOTES_LARGE = 1900
"""With this one 2 KiB."""
FOREIGN = 10
"""Where foreign writes are wanted: one record in ten is written by a system that does not own it."""
NAMED = (("name",), ("phone", "street"), ("city",), ("email",))
"""Fields that are changed together."""
FIELDS_OF = {
    "crm": ("account_id", "name", "email", "notes"),
    "erp": ("phone", "street"),
    "shop": ("city", "postcode"),
}
"""Who owns what where a record has three owners."""


class Made(NamedTuple):
    """One record and who writes it."""

    system: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


Make = Callable[[int], Made]


class Maker:
    """Makes records of one object."""

    def __init__(
        self, registry: FileRegistry, object_name: str = "account", *, keys: int = KEYS, notes: int = NOTES
    ) -> None:
        self._registry = registry
        self._object = object_name
        self._keys = keys
        self._notes = notes

    def own(self, number: int) -> Made:
        """The owner's change of all fields."""
        return self._made("crm", number, number % self._keys, number)

    def named(self, number: int) -> Made:
        """The owner's change of a few of its fields, as a source tells it that knows what was changed."""
        fields = ("account_id", *NAMED[number % len(NAMED)])
        return self._made("crm", number, number % self._keys, number, fields)

    def own_or_foreign(self, number: int) -> Made:
        """One in ten is written by a system that owns nothing."""
        foreign = number % FOREIGN == FOREIGN - 1
        return self._made("shop" if foreign else "crm", number, number % self._keys, number)

    def half_echo(self, number: int) -> Made:
        """The owner's change of every other record, and of those between the value in force, sent back by the shop.

        `first_ones` must be there. No order between the two systems' topics is needed: an echo comes after its change
        in life, and would be a violation if the gate met it before.
        """
        which = number % self._keys
        if number % 2:
            return self._made("shop", number, which, which)
        return self._made("crm", number, which, number + self._keys)

    def first_of_three(self, number: int) -> Made:
        """The first change of every record where fields have three owners: who creates it sends what it owns."""
        return self._made("crm", number - self._keys, number, number, FIELDS_OF["crm"])

    def three_owners(self, number: int) -> Made:
        """Each owner's fields in turn, of the same record. `first_of_three` must be there."""
        system = tuple(FIELDS_OF)[number % 3]
        return self._made(system, number, number // 3 % self._keys, number, FIELDS_OF[system])

    def first_ones(self, number: int) -> Made:
        """The first change of every record, older than any other: numbers below `keys`."""
        return self._made("crm", number - self._keys, number, number)

    def _made(
        self, system: str, version: int, which: int, content: int, fields: Sequence[str] | None = None
    ) -> Made:
        key = f"account-{which:06d}"
        record = {
            "account_id": key,
            "name": f"Example Trading {content}",
            "email": f"office.{content}@example.com",
            "phone": f"+44 20 7946 {content:08d}",
            "street": f"{content} High Street",
            "city": f"Leeds {content % 97}",
            "postcode": "LS1 4AP",
            "notes": "x" * self._notes,
        }
        headers = change_headers(
            event_id=f"seq:0:{version + 10 * self._keys:016d}",
            system=system,
            object_name=self._object,
            time_ms=1_764_000_000_000,
            fields=fields,
        )
        codec = self._registry.codec
        return Made(
            system, key.encode(), codec.encode(self._registry.latest(self._object).schema_id, record), headers
        )


def write_map_of_three_owners(folder: Path) -> Path:
    """The benchmark's map with fields of three owners; returns the folder."""
    folder.mkdir(parents=True)
    for name in ("account.avsc", "registry.json"):
        (folder / name).write_text((MAP / name).read_text("utf-8"), "utf-8")
    document = yaml.safe_load((MAP / "account.yaml").read_text("utf-8"))
    document["fields"] = {
        name: {"system_of_record": system}
        for system, names in FIELDS_OF.items()
        for name in names
        if system != "crm"
    }
    document["systems"] = {system: {"read": "all", "on_violation": "quarantine"} for system in FIELDS_OF}
    (folder / "account.yaml").write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    systems = yaml.safe_load((MAP / "systems.yaml").read_text("utf-8"))
    systems["systems"]["erp"] = systems["systems"]["shop"] | {"title": "ERP"}
    (folder / "systems.yaml").write_text(yaml.safe_dump(systems, sort_keys=False), "utf-8")
    return folder
