"""What observed traffic says about ownership: an owner where one system clearly is, else a place left open.

Pure. Nothing is guessed: below a share, or of too few values, it stays open, with the evidence beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ownership.inference import Traffic, Writes
from ownership.lines import OPEN

CLEAR_PERCENT = 90
"""An owner is who set at least this share of a field's values."""
COUNT_MIN = 10
"""Of fewer nothing is concluded."""
CHANGED, FIRST = "changed", "first"
_DAY = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """What was seen of one field, and who owns it by that."""

    name: str
    owner: str
    """`?` where nobody clearly does."""
    basis: str
    """What was counted: `changed` values; where hardly any were, `first` ones as well; empty = none at all."""
    writes: Mapping[str, Writes]
    """System to what it said of it."""

    def counted(self, system: str) -> int:
        """The values of a system that count as its own."""
        writes = self.writes[system]
        return writes.changed + (writes.first if self.basis == FIRST else 0)

    @property
    def total(self) -> int:
        """The values that were counted."""
        return sum(map(self.counted, self.writes))

    @property
    def words(self) -> str:
        """`crm 98% of 1,204 values, last 2026-11-20; erp 24, of which 3 overwrote crm`."""
        order = sorted(self.writes, key=lambda system: (-self.counted(system), system))
        own = [system for system in order if self.counted(system)]
        said = [self._own(system, leads=system == own[0]) for system in own] or ["nobody set it"]
        return "; ".join([*said, *(self._echoes(s) for s in order if self.writes[s].echoed)])

    def _echoes(self, system: str) -> str:
        writes = self.writes[system]
        before = [f"{number:,} it had before {other}" for other, number in sorted(writes.earlier.items())]
        return ", of which ".join(
            [f"{system} repeats {writes.echoed:,}", *([" and ".join(before)] if before else [])]
        )

    def _own(self, system: str, *, leads: bool) -> str:
        writes, count = self.writes[system], self.counted(system)
        kind = " first" if self.basis == FIRST else ""
        day = _day(writes.last_ms)
        text = (
            f"{system} {share(count, self.total)} of {self.total:,}{kind} values, last {day}"
            if leads
            else f"{system} {count:,}"
        )
        over = [f"{number:,} overwrote {other}" for other, number in sorted(writes.overwrote.items())]
        return f"{text}, of which {' and '.join(over)}" if over else text


@dataclass(frozen=True, slots=True)
class Authority:
    """Who creates, or who deletes."""

    system: str
    """`?` where nobody clearly does."""
    counts: Mapping[str, int]
    """System to how often it did."""

    def words(self, deed: str, nobody: str) -> str:
        """`crm 100% of 24 records named first`."""
        total = sum(self.counts.values())
        order = sorted(self.counts, key=lambda system: (-self.counts[system], system))
        said = (
            [f"{order[0]} {share(self.counts[order[0]], total)} of {total:,} {deed}"] if order else [nobody]
        )
        return "; ".join([*said, *(f"{system} {self.counts[system]:,}" for system in order[1:])])


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the map of an object could say, by what was seen."""

    object: str
    key: str
    """`?` where it is not clear which field names a record."""
    system_of_record: str
    """Owns the most fields; `?` where two own as many."""
    create: Authority
    delete: Authority
    fields: tuple[FieldEvidence, ...]
    """In the contract's order."""
    readers: Mapping[str, tuple[str, ...]]
    """System that owns nothing to the fields that it receives, by what it repeats; none: it only sends."""

    @property
    def owned(self) -> tuple[FieldEvidence, ...]:
        """The fields that are owned one by one: all but the key, which belongs to who creates."""
        return tuple(one for one in self.fields if one.name != self.key)


def inferred_from(traffic: Traffic, fields: Iterable[str], key: str = "") -> Inferred:
    """A map for an object's traffic. fields: of its contract, in order; key: where it is known."""
    named = key or _key(traffic)
    evidence = tuple(_field(name, traffic.fields.get(name, {})) for name in fields)
    owners = Counter(one.owner for one in evidence if one.owner != OPEN and one.name != named)
    create, delete = _authority(traffic.created), _authority(traffic.deleted)
    own = {*owners, create.system}
    readers = {
        system: tuple(
            one.name
            for one in evidence
            if one.name != named and system in one.writes and one.writes[system].echoed >= COUNT_MIN
        )
        for system in sorted(traffic.changes)
        if system not in own
    }
    return Inferred(traffic.object, named, _most(owners), create, delete, evidence, readers)


def _key(traffic: Traffic) -> str:
    candidates = traffic.named_by or frozenset()
    return next(iter(candidates)) if len(candidates) == 1 else OPEN


def _field(name: str, writes: Mapping[str, Writes]) -> FieldEvidence:
    found = _counted(name, writes)
    if found.owner == OPEN:
        return found
    # Who is quick to tell is not where values come from: what it told may have come to it from a slower one.
    before = sum(one.earlier[found.owner] for one in writes.values())
    counted = found.counted(found.owner)
    return found if _clear(counted - before, counted) else replace(found, owner=OPEN)


def _counted(name: str, writes: Mapping[str, Writes]) -> FieldEvidence:
    changed = {system: one.changed for system, one in writes.items() if one.changed}
    if sum(changed.values()) >= COUNT_MIN:
        return FieldEvidence(name, clear(changed), CHANGED, writes)
    # An order is written once: then who says a value first is what there is. Who changed one must not contradict it.
    first = {system: one.changed + one.first for system, one in writes.items() if one.changed + one.first}
    owner = clear(first)
    if owner != OPEN and changed and clear(changed, count_min=1) != owner:
        owner = OPEN
    return FieldEvidence(name, owner, FIRST if first else "", writes)


def _authority(counts: Mapping[str, int]) -> Authority:
    return Authority(clear(counts), dict(counts))


def clear(counts: Mapping[str, int], count_min: int = COUNT_MIN) -> str:
    """The system with a clear majority, else `?`."""
    total = sum(counts.values())
    for system, count in counts.items():
        if total >= count_min and _clear(count, total):
            return system
    return OPEN


def _clear(part: int, whole: int) -> bool:
    return 100 * part >= CLEAR_PERCENT * whole


def _most(owners: Counter[str]) -> str:
    first, second = (*owners.most_common(2), ("", 0), ("", 0))[:2]
    return first[0] if first[1] > second[1] else OPEN


def share(part: int, whole: int) -> str:
    """`98%`, rounded down, so that 100% is all of it."""
    return f"{100 * part // whole}%" if whole else "none"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(_DAY)


def as_json(inferred: Inferred, in_force: Mapping[str, str | None]) -> dict[str, Any]:
    """What was inferred and its evidence, for programs. in_force: field to its owner in the map in force."""
    return {
        "object": inferred.object,
        "key": inferred.key,
        "system_of_record": inferred.system_of_record,
        "create": {"inferred": inferred.create.system, "records": dict(inferred.create.counts)},
        "delete": {"inferred": inferred.delete.system, "records": dict(inferred.delete.counts)},
        "readers": {system: list(fields) for system, fields in inferred.readers.items()},
        "fields": [_field_json(one, in_force.get(one.name)) for one in inferred.owned],
    }


def _field_json(one: FieldEvidence, owner: str | None) -> dict[str, Any]:
    return {
        "field": one.name,
        "inferred": one.owner,
        "in_force": owner,
        "counted": one.basis,
        "values": one.total,
        "systems": {system: _writes_json(one, system) for system in sorted(one.writes)},
    }


def _writes_json(one: FieldEvidence, system: str) -> dict[str, Any]:
    writes = one.writes[system]
    return {
        "share": round(one.counted(system) / one.total, 4) if one.total else 0.0,
        "changed": writes.changed,
        "first": writes.first,
        "echoed": writes.echoed,
        "unchanged": writes.unchanged,
        "records": writes.records,
        "last_ms": writes.last_ms or None,
        "overwrote": {
            other: {"values": number, "sample": writes.samples[other]}
            for other, number in sorted(writes.overwrote.items())
        },
        "earlier": dict(writes.earlier),
        "overwritten": sum(other.overwrote[system] for other in one.writes.values()),
    }
