"""Who writes which field: observed changes folded into counts, so that a map can be inferred with its evidence.

Pure. Of a value only a digest is kept, and of records only so many: what is let go of is counted. What follows from the
counts is said in `ownership.inferred` and `ownership.coverage`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

VALUES_MAX = 500_000
"""Values remembered at a time, at half a kB each with their share of the record; of records beyond that nothing is."""
LATE_MS = 3_600_000
"""So long after it was replaced another system's value may still arrive as an echo, as at the gate."""
RECENT_MAX = 4
"""Replaced values remembered of a field of a record."""
_NULL = 0


class Sent(NamedTuple):
    """One change, as a system sent it."""

    system: str
    key: bytes
    time_ms: int
    """When Kafka appended it."""
    place: str
    """`topic/partition/offset`."""
    event_id: str
    happened_ms: int
    """When it happened, by the system's own clock."""
    values: Mapping[str, Any] | None
    """The fields that it sets; None = it deletes the record."""
    whole: bool = False
    """A full image: it repeats what the system knows of others' fields, perhaps of old."""
    complete: bool = False
    """It sets everything without which a record cannot exist: it may be what created it."""
    named_by: frozenset[str] = frozenset()
    """Fields whose value is the record's key."""


@dataclass(slots=True)
class Writes:
    """What one system said of one field. Every value counts once: as changed, first, echoed or unchanged."""

    changed: int = 0
    """Values that differ from the one in force, and that no other system said before: it is where they come from."""
    first: int = 0
    """Values of which none was seen before of that record: new ones, or ones that were there before anybody looked."""
    echoed: int = 0
    """Values of other systems, said after them: it receives the field."""
    unchanged: int = 0
    """Its own value once more, or null where nothing was."""
    records: int = 0
    """Records of which it changed or first said the value."""
    last_ms: int = 0
    """When it last changed or first said one."""
    overwrote: Counter[str] = field(default_factory=Counter)
    """System to how many values that it had changed were replaced: conflicts between the two."""
    samples: dict[str, str] = field(default_factory=dict)
    """System to where one of these stands, `topic/partition/offset`."""
    earlier: Counter[str] = field(default_factory=Counter)
    """System to how many of its values this one had before, if their clocks are right: it was only later to tell."""

    @property
    def said(self) -> int:
        """Writes of the field in all."""
        return self.changed + self.first + self.echoed + self.unchanged

    def add(self, other: Writes) -> None:
        """Take in what was counted of other records."""
        self.changed += other.changed
        self.first += other.first
        self.echoed += other.echoed
        self.unchanged += other.unchanged
        self.records += other.records
        self.last_ms = max(self.last_ms, other.last_ms)
        self.overwrote += other.overwrote
        self.samples = {**other.samples, **self.samples}
        self.earlier += other.earlier


@dataclass(slots=True)
class Traffic:
    """What was counted of one object's changes."""

    object: str
    changes: Counter[str] = field(default_factory=Counter)
    """System to its changes that could be read."""
    fields: dict[str, dict[str, Writes]] = field(default_factory=dict)
    """Field to what each system said of it."""
    created: Counter[str] = field(default_factory=Counter)
    """System to how many records it was the first to name, with everything that a record needs."""
    deleted: Counter[str] = field(default_factory=Counter)
    """System to how many records it was the first to delete."""
    sent_again: int = 0
    """Changes that came twice in a row, under one id: counted once."""
    let_go: int = 0
    """Records of which nothing was remembered any more: seen again, they begin anew."""
    unreadable: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(system, reason) to changes of which nothing could be read."""
    lacking: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(system, field) to writes of what the contract does not have."""
    named_by: frozenset[str] | None = None
    """Fields whose value has always been the record's key; None = no full image was seen."""

    def of(self, name: str, system: str) -> Writes:
        """What a system said of a field; counted into."""
        return self.fields.setdefault(name, {}).setdefault(system, Writes())

    def add(self, other: Traffic) -> None:
        """Take in what was counted of other records of the object: with disjoint keys this is exact."""
        for name, systems in other.fields.items():
            for system, writes in systems.items():
                self.of(name, system).add(writes)
        self.changes += other.changes
        self.created += other.created
        self.deleted += other.deleted
        self.sent_again += other.sent_again
        self.let_go += other.let_go
        self.unreadable += other.unreadable
        self.lacking += other.lacking
        self.narrow(other.named_by)

    def narrow(self, named_by: frozenset[str] | None) -> None:
        """Only what has always been the key may be it."""
        if named_by is not None:
            self.named_by = named_by if self.named_by is None else self.named_by & named_by


@dataclass(slots=True)
class _Value:
    """The value in force of one field of one record."""

    digest: int
    system: str
    """Who said it first."""
    happened_ms: int
    set_here: bool
    """It was seen to be changed; otherwise it may have been there before."""
    said: dict[str, int] = field(default_factory=dict)
    """System to what it last said."""
    recent: tuple[tuple[int, str, int], ...] = ()
    """(digest, system, when it was replaced in ms), the latest last."""
    told_by: tuple[str, ...] = ()
    """Systems whose own values of it were counted."""


@dataclass(slots=True)
class _Record:
    values: dict[str, _Value] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)
    """System to the id of its last change."""
    named: bool = False
    ended: bool = False


class TrafficFold:
    """Changes of one object, in the order of their append times, folded into counts."""

    def __init__(self, object_name: str, values_max: int = VALUES_MAX) -> None:
        self.traffic = Traffic(object_name)
        self._values_max = values_max
        self._records: OrderedDict[bytes, _Record] = OrderedDict()
        self._held = 0

    def take(self, sent: Sent) -> None:
        """Count one change."""
        traffic = self.traffic
        traffic.changes[sent.system] += 1
        record = self._recalled(sent.key)
        if record.heard.get(sent.system) == sent.event_id:
            traffic.sent_again += 1
            return
        record.heard[sent.system] = sent.event_id
        before = len(record.values)
        if sent.values is None:
            self._ended(record, sent.system)
        else:
            self._named(record, sent)
            for name, value in sent.values.items():
                self._said(record, name, value, sent)
        self._held += len(record.values) - before
        self._let_go()

    def _recalled(self, key: bytes) -> _Record:
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record()
            self._held += 1  # a record without values takes room as well
        else:
            self._records.move_to_end(key)
        return record

    def _let_go(self) -> None:
        while self._held > self._values_max and len(self._records) > 1:
            _, gone = self._records.popitem(last=False)
            self._held -= 1 + len(gone.values)
            self.traffic.let_go += 1

    def _ended(self, record: _Record, system: str) -> None:
        if not record.ended:
            self.traffic.deleted[system] += 1
        record.values.clear()
        record.named, record.ended = False, True

    def _named(self, record: _Record, sent: Sent) -> None:
        if not record.named and sent.complete:
            self.traffic.created[sent.system] += 1
        record.named, record.ended = True, False
        if sent.whole:
            self.traffic.narrow(sent.named_by)

    def _said(self, record: _Record, name: str, value: Any, sent: Sent) -> None:
        digest, system = digest_of(value), sent.system
        writes = self.traffic.of(name, system)
        known = record.values.get(name)
        if known is None:
            known = record.values[name] = _Value(digest, system, sent.happened_ms, set_here=False)
            if digest == _NULL:
                writes.unchanged += 1  # nobody says where null comes from
            else:
                writes.first += 1
                _own(writes, known, sent)
        elif digest == known.digest:
            _repeated(writes, known, sent)
        elif sent.whole and known.said.get(system) == digest:
            writes.unchanged += 1  # an old value in a full image: the system has not heard of the new one
        elif _is_late(known, digest, sent):
            writes.echoed += 1
        else:
            _changed(writes, known, digest, sent)
        known.said[system] = digest


def _repeated(writes: Writes, known: _Value, sent: Sent) -> None:
    if known.system == sent.system or known.digest == _NULL:
        writes.unchanged += 1
        return
    writes.echoed += 1
    if sent.happened_ms < known.happened_ms:
        writes.earlier[known.system] += 1


def _is_late(known: _Value, digest: int, sent: Sent) -> bool:
    """Whether this is another system's value that was replaced meanwhile, on its way back."""
    since_ms = 0 if sent.whole else sent.time_ms - LATE_MS
    return any(
        digest == old != _NULL and system != sent.system and replaced_ms >= since_ms
        for old, system, replaced_ms in known.recent
    )


def _changed(writes: Writes, known: _Value, digest: int, sent: Sent) -> None:
    system = sent.system
    writes.changed += 1
    if known.set_here and known.system != system:
        writes.overwrote[known.system] += 1
        writes.samples.setdefault(known.system, sent.place)
    replaced = (known.digest, known.system, sent.time_ms)
    known.recent = (*known.recent, replaced)[-RECENT_MAX:]
    known.digest, known.system, known.set_here = digest, system, True
    known.happened_ms = sent.happened_ms
    _own(writes, known, sent)


def _own(writes: Writes, known: _Value, sent: Sent) -> None:
    writes.last_ms = max(writes.last_ms, sent.time_ms)
    if sent.system not in known.told_by:
        known.told_by += (sent.system,)
        writes.records += 1


def digest_of(value: Any) -> int:
    """Eight bytes for a value: equal ones are equal, and nothing of it can be read; 0 for null."""
    if value is None:
        return _NULL
    return int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=8).digest(), "big") or 1
