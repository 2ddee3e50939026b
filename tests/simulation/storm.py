"""A two-way storm: every system owns fields, reads all others, and sends half of what it was given back as a change.

The world, its log, gate, connectors and sinks are the simulation's; only who owns what and what happens is its own.
`python -m tests.simulation.storm` tells how many events the worst of many storms took until it was quiet.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.sdk.sink import Update
from schemas.authoritative import parse_authoritative
from schemas.keys import partition_of
from tests.gate_parts import FIELDS
from tests.oracle_words import Law
from tests.simulation.gate import PARTITIONS, SLOTS, Fault
from tests.simulation.laws import LIMIT, value_drawn
from tests.simulation.systems import AUTHORITATIVE, Said, System
from tests.simulation.world import WAITS_MS, World

OWNERS = {
    2: {"customer_id": "crm", "name": "crm", "email": "crm", "phone": "erp", LIMIT: "erp"},
    4: {"customer_id": "crm", "name": "crm", "email": "billing", "phone": "ghost", LIMIT: "erp"},
}
"""Number of systems to who owns what."""
KEYS = ("C-1", "C-2", "C-3")
ECHOES = 0.5
FOREIGN = 0.1
"""How many edits are of a field that is another system's."""
EDITS = 40
EDITED = 0.25
"""How often something is edited, while the storm lasts, instead of moved on."""


@dataclass
class Echoing(System):
    """A system whose source tells of half of what its own sink wrote, as others do who cannot tell the two apart."""

    echoed: int = 0

    def _change(self, key: str, update: Update) -> frozenset[str]:
        before = len(self.outbox[key])
        names = super()._change(key, update)
        if len(self.outbox[key]) > before:
            if self.rng.random() < ECHOES:
                self.echoed += 1
            else:
                self.outbox[key].pop()
        if not self.outbox[key]:
            del self.outbox[key]
        return names


@dataclass
class Edit:
    """A real edit by the owner of its field, and the event that tells of it."""

    said: Said
    name: str
    value: Any


@dataclass
class Calm:
    """How a storm ended."""

    in_flight: int
    """Changes said and not yet judged when the last edit was made, that edit among them."""
    undelivered: int
    """Revisions that a sink had not applied yet at that moment, counted once per sink."""
    events: int = 0
    """Change events that were published from then on."""


class Storm(World):
    """A world without faults in which everybody writes, applies and echoes at once."""

    def __init__(self, seed: int, count: int) -> None:
        super().__init__(seed)
        owners = OWNERS[count]
        self.names = tuple(dict.fromkeys(owners.values()))
        self.rng = random.Random(seed * 10 + count)
        self.laws = {1: _law(self.rng, owners, self.names)}
        self.systems = {
            name: Echoing(name, self.rng, self.flat, guards=name != "billing") for name in self.names
        }
        for name in ("crm", "erp", "billing", "ghost"):
            self.systems.setdefault(name, System(name, self.rng, self.flat, guards=False))
        self.edits: list[Edit] = []
        for slot in range(SLOTS):
            self.gate.open("w1", slot)

    def sinks(self) -> Iterator[System]:
        for name in self.names:
            yield self.systems[name]

    def edit(self) -> bool:
        """Somebody changes a row; now and then one that is not the system's own."""
        system = self.systems[self.rng.choice(self.names)]
        key = self.rng.choice(KEYS)
        foreign = self.rng.random() < FOREIGN
        names = [n for n in FIELDS[1:] if (self.law.owners[n] == system.name) is not foreign]
        name = self.rng.choice(names)
        if key not in system.rows:
            return False
        value = value_drawn(self.rng, name, flat=self.flat)
        said = system.write(key, {name: value}, image=self.rng.random() < 0.4)
        if said is not None and not foreign:
            self.edits.append(Edit(said, name, value))
        return said is not None

    def move(self) -> bool:
        """One step of something on its way: a change is published, judged, read or applied. False: nothing is left."""
        steps = [self._publish, self._judge, self._read, self._apply]
        self.rng.shuffle(steps)
        self.now_ms += self.rng.choice([1, 5, 20, 100, 400])
        return any(step() for step in steps)

    def _publish(self) -> bool:
        waiting = [(s, key) for s in self.sinks() for key in sorted(s.outbox) if s.outbox[key]]
        if waiting:
            self.deliver(*self.rng.choice(waiting))
        return bool(waiting)

    def _judge(self) -> bool:
        order = self.rng.sample(range(SLOTS), k=SLOTS)
        return any(
            self.gate.round(slot, lambda there: self.rng.randint(min(1, there), there), Fault.NONE)
            for slot in order
        )

    def _read(self) -> bool:
        order = [(sink, partition) for sink in self.sinks() for partition in range(PARTITIONS)]
        self.rng.shuffle(order)
        return any(sink.read(self.log, partition, self.rng.choice([1, 3])) for sink, partition in order)

    def _apply(self) -> bool:
        waiting = [(sink, key) for sink in self.sinks() for key in sorted(sink.pending)]
        if waiting:
            sink, key = self.rng.choice(waiting)
            sink.apply(key)
        return bool(waiting)

    def rest(self) -> None:
        """Until nothing is on its way, and time brings about nothing more."""
        for wait_ms in (0, *WAITS_MS):
            self.now_ms += wait_ms
            self.tick()
            while self.move():
                pass

    @property
    def published(self) -> int:
        return sum(len(system.published) for system in self.systems.values())

    def in_flight(self) -> int:
        judged = sum(
            session.cursor[place]
            for session in self.gate.sessions.values()
            for place in session.cursor
            if place[0].startswith("changes.")
        )
        ended = sum(
            self.log.end(place)
            for session in self.gate.sessions.values()
            for place in session.cursor
            if place[0].startswith("changes.")
        )
        return ended - judged + sum(len(said) for s in self.systems.values() for said in s.outbox.values())

    def undelivered(self) -> int:
        behind = 0
        for sink in self.sinks():
            behind += len(sink.pending)
            for partition in range(PARTITIONS):
                behind += self.log.end((AUTHORITATIVE, partition)) - sink.cursor.get(partition, 0)
        return behind

    def revisions(self) -> Mapping[str, list[tuple[str, str]]]:
        """Key to the causes of its revisions, in order."""
        found: dict[str, list[tuple[str, str]]] = {key: [] for key in KEYS}
        for key in KEYS:
            for entry in self.log.read((AUTHORITATIVE, partition_of(key.encode(), PARTITIONS))):
                if entry.key == key.encode():
                    found[key].append(parse_authoritative(entry.headers).causation)
        return found


def _law(rng: random.Random, owners: dict[str, str], names: tuple[str, ...]) -> Law:
    return Law(
        owners=owners,
        create="crm",
        delete="crm",
        policies={name: rng.choice(["quarantine", "reject", "propose"]) for name in names},
        readers=dict.fromkeys(names),
    )


def begun(seed: int, count: int) -> Storm:
    """A storm whose records exist everywhere, before anything is edited."""
    storm = Storm(seed, count)
    for key in KEYS:
        news = {name: value_drawn(storm.rng, name, flat=storm.flat) for name in ("name", "email")}
        storm.systems["crm"].write(
            key, {n: v for n, v in news.items() if storm.law.owners[n] == "crm"}, image=True
        )
    storm.rest()
    return storm


def blown(seed: int, count: int, edits: int = EDITS) -> tuple[Storm, Calm]:
    """A storm to its end: edits while everything is on its way, then none until it is quiet."""
    storm = begun(seed, count)
    for _ in range(edits):
        while not storm.edit():
            pass
        while storm.rng.random() > EDITED and storm.move():
            pass
    calm = Calm(storm.in_flight(), storm.undelivered())
    before = storm.published
    storm.rest()
    calm.events = storm.published - before
    return storm, calm


def bound(count: int, calm: Calm) -> int:
    """How many events there may be at most after the last edit.

    Only owners' edits change values, so values change at most `in_flight` times more. Each change judged, and each
    field owed to a system by the brake, is at most one revision, and a revision at most one echo per system; so is
    each revision not yet applied. An echo that arrives after its value was replaced is answered with one revision
    for its system alone, and that again with one echo, of a newer value: at most once per change of values and once
    more.
    """
    fields = len(FIELDS) - 1
    answers = count * calm.in_flight + calm.undelivered + count * fields * len(KEYS)
    return calm.in_flight + answers * (calm.in_flight + 1)


def main() -> int:
    for count in OWNERS:
        calms = [blown(seed, count)[1] for seed in range(200)]
        worst = max(calms, key=lambda calm: calm.events)
        sys.stdout.write(
            f"two-way storm, {count} systems: events until quiet at most {worst.events} {worst}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
