"""The log as a checker reads it: batches as the ledger tells them, what went in, what came out, and in what order.

Written against the formats of design sections 4 and 5, not against the product's readers; only Avro itself is shared.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.gate import OBJECT, PARTITIONS, ledger_of
from tests.simulation.laws import decoded
from tests.simulation.log import Entry
from tests.simulation.world import World

AUTHORITATIVE = f"authoritative.{OBJECT}"
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. `checker` names the invariant."""

    checker: str
    detail: str

    def __str__(self) -> str:
        return f"{self.checker}: {self.detail}"


@dataclass(slots=True)
class Batch:
    """One ledger record, with the records that it says were read, and those that stand in its transaction."""

    ledger: dict[str, Any]
    alone: bool
    """The ledger record is in no transaction."""
    inputs: dict[tuple[str, int], list[Entry]] = field(default_factory=dict)
    outputs: list[Entry] = field(default_factory=list)

    @property
    def changes(self) -> list[Entry]:
        return [e for (topic, _), found in self.inputs.items() if topic.startswith("changes.") for e in found]


@dataclass(frozen=True, slots=True)
class Revision:
    """One authoritative record."""

    key: str
    number: int
    values: dict[str, Any] | None
    cause: tuple[str, str]
    changed: frozenset[str]
    owners: dict[str, tuple[str, str]]
    """Field to (owner, event id), as its headers say."""
    map_version: int
    reassert: tuple[str, frozenset[str]] | None
    entry: Entry


def batches_of(world: World) -> dict[int, list[Batch]]:
    """The batches of each slot in the order of its ledger."""
    found: defaultdict[int, list[Batch]] = defaultdict(list)
    positions: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for entry in world.log.ever("ledger"):
        ledger, before = ledger_of(entry), positions[entry.partition]
        transaction = entry.transaction
        batch = Batch(ledger, alone=transaction is None)
        if transaction is not None:
            batch.outputs = [one for one in transaction.entries if one is not entry]
        for name, offset in ledger["positions"].items():
            topic, _, partition = name.rpartition("/")
            place = (topic, int(partition))
            span = world.log._partitions[place][before.get(name, 0) : offset]
            batch.inputs[place] = [one for one in span if one.committed]
        positions[entry.partition] = ledger["positions"]
        found[entry.partition].append(batch)
    return found


def revisions_of(world: World) -> Iterator[Revision]:
    """Every authoritative record, partition by partition, in the order of the log."""
    for entry in world.log.ever(AUTHORITATIVE):
        yield revision_of(entry, flat=world.flat)


def revision_of(entry: Entry, *, flat: bool) -> Revision:
    said = dict(entry.headers)
    values = None if entry.value is None else dict(decoded(entry.value, flat=flat))
    system, _, event = said["ce_causationid"].decode().partition("/")
    target, _, again = said.get("ce_reassert", b"").decode().partition(":")
    return Revision(
        key=(entry.key or b"").decode(),
        number=int(said["ce_revision"]),
        values=values,
        cause=(system, event),
        changed=frozenset(filter(None, said["ce_changed"].decode().split(","))),
        owners=_owners(said["ce_owners"].decode()),
        map_version=int(said["ce_decision"].split(b":")[0]),
        reassert=(target, frozenset(again.split(","))) if target else None,
        entry=entry,
    )


def _owners(text: str) -> dict[str, tuple[str, str]]:
    from tests.gate_parts import FIELDS

    rest, named = ("", ""), {}
    for part in filter(None, text.split(";")):
        owner, _, more = part.partition("@")
        event, listed, names = more.partition("=")
        if listed:
            named.update(dict.fromkeys(names.split(","), (owner, event)))
        else:
            rest = (owner, event)
    return {name: named.get(name, rest) for name in FIELDS}


def place_of(entry: Entry) -> Place:
    return entry.topic, entry.partition, entry.offset


def case_id(place: Place) -> str:
    """The name that cases, refusals and questions about a record bear."""
    digest = hashlib.blake2b("/".join(map(str, place)).encode(), digest_size=8).digest()
    return "Q-" + base64.b32encode(digest).decode().rstrip("=")


def inputs_left(world: World) -> dict[tuple[str, int], int]:
    """Input partitions to the number of records that no ledger says were read."""
    read: dict[tuple[str, int], int] = {}
    for batches in batches_of(world).values():
        for batch in batches:
            for place, found in batch.inputs.items():
                read[place] = read.get(place, 0) + len(found)
    left = {}
    for prefix in ("changes.", "commands."):
        for place in world.log.places(prefix):
            count = sum(1 for _ in world.log.read(place)) - read.get(place, 0)
            if count and place[1] < PARTITIONS:
                left[place] = count
    return left
