"""How much is owned: the share of contract fields, and of what was sent of them, for which the map names an owner.

Pure. Judged by one map, also where it was another when something was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ownership.inference import Traffic
from ownership.inferred import share
from ownership.map import OwnershipMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Of one object, or of all: how many fields and writes there are, and how many are owned."""

    object: str
    mapped: bool
    """It is in the map."""
    fields: int = 0
    unowned: tuple[str, ...] = ()
    """Fields that nobody owns."""
    changes: int = 0
    writes: int = 0
    """Writes of fields, by anybody; a change sets several fields."""
    by_owner: int = 0
    foreign: int = 0
    """By others than the owner, saying a value of their own."""
    repeated: int = 0
    """By others than the owner, repeating a value that was there."""
    unreadable: int = 0
    """Changes that could not be read; their writes are not known, and not counted."""
    lacking: Mapping[str, int]
    """Field that the contract lacks to how often it was sent; counted as writes that nobody owns."""

    @property
    def owned(self) -> int:
        """Fields with an owner."""
        return self.fields - len(self.unowned)

    @property
    def owned_writes(self) -> int:
        """Writes of fields with an owner."""
        return self.by_owner + self.foreign + self.repeated


def coverage(
    ownership_map: OwnershipMap, contracts: Mapping[str, Iterable[str]], traffic: Mapping[str, Traffic]
) -> list[Covered]:
    """Each object that has a contract. contracts: object to its fields; traffic: object to what was sent of it."""
    return [
        _covered(ownership_map, name, tuple(contracts[name]), traffic.get(name, Traffic(name)))
        for name in sorted(contracts)
    ]


def _covered(ownership_map: OwnershipMap, name: str, fields: Collection[str], traffic: Traffic) -> Covered:
    entry = ownership_map.objects.get(name)
    owners = {one: entry.owner_of(one) if entry else None for one in fields}
    writes = by_owner = foreign = repeated = 0
    for one, systems in traffic.fields.items():
        for system, said in systems.items():
            writes += said.said
            if (owner := owners.get(one)) is None:
                continue
            if owner == system:
                by_owner += said.said
            else:
                foreign += said.changed + said.first
                repeated += said.echoed + said.unchanged
    lacking = _by_field(traffic)
    return Covered(
        object=name,
        mapped=entry is not None,
        fields=len(owners),
        unowned=tuple(one for one, owner in owners.items() if owner is None),
        changes=sum(traffic.changes.values()),
        writes=writes + sum(lacking.values()),
        by_owner=by_owner,
        foreign=foreign,
        repeated=repeated,
        unreadable=sum(traffic.unreadable.values()),
        lacking=lacking,
    )


def _by_field(traffic: Traffic) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, name), count in sorted(traffic.lacking.items()):
        found[name] = found.get(name, 0) + count
    return found


def in_all(covered: Iterable[Covered]) -> Covered:
    """The sum over objects."""
    every = list(covered)
    lacking = {f"{one.object}.{name}": count for one in every for name, count in one.lacking.items()}
    return Covered(
        object="in all",
        mapped=all(one.mapped for one in every),
        fields=sum(one.fields for one in every),
        unowned=tuple(f"{one.object}.{name}" for one in every for name in one.unowned),
        changes=sum(one.changes for one in every),
        writes=sum(one.writes for one in every),
        by_owner=sum(one.by_owner for one in every),
        foreign=sum(one.foreign for one in every),
        repeated=sum(one.repeated for one in every),
        unreadable=sum(one.unreadable for one in every),
        lacking=lacking,
    )


def sentence(whole: Covered, since: str) -> str:
    """What it comes to, for whoever reads one sentence."""
    fields = f"{share(whole.owned, whole.fields)} of {whole.fields:,} fields have an owner"
    if not whole.writes:
        return f"{fields}; nothing was sent since {since}."
    others = whole.foreign + whole.repeated
    return (
        f"{fields}, and {share(whole.owned_writes, whole.writes)} of {whole.writes:,} field writes since {since} were "
        f"to a field that has one: {whole.by_owner:,} by the owner itself, {others:,} by others, of which "
        f"{whole.repeated:,} only repeat what was there."
    )


def as_json(one: Covered) -> dict[str, Any]:
    """For programs; shares are 0 to 1, null where there is nothing to share."""
    return {
        "object": one.object,
        "mapped": one.mapped,
        "fields": one.fields,
        "fields_owned": one.owned,
        "fields_share": _ratio(one.owned, one.fields),
        "unowned": list(one.unowned),
        "changes": one.changes,
        "writes": one.writes,
        "writes_owned": one.owned_writes,
        "writes_share": _ratio(one.owned_writes, one.writes),
        "by_owner": one.by_owner,
        "foreign": one.foreign,
        "repeated": one.repeated,
        "unreadable": one.unreadable,
        "lacking": dict(one.lacking),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
