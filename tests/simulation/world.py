"""One simulated world: a clock, a log, the gate, three systems and the people around them, all from one seed.

First safety: everything may fail. Then liveness: nothing fails any more, and it runs until it is quiet.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from broker import topics
from broker.commands import command_value
from broker.rules import Rules
from schemas.envelope import change_headers
from schemas.keys import partition_of
from tests.gate_parts import SYSTEMS, T0
from tests.oracle_words import Law
from tests.simulation.gate import OBJECT, PARTITIONS, SLOTS, Fault, Gate
from tests.simulation.laws import KEY_FIELD, Rulebook, draw_law, encoded
from tests.simulation.log import BROKERS, Log
from tests.simulation.projected import Deliveries
from tests.simulation.systems import Said, System

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LENGTH = 200
WAITS_MS = (61_000, 10 * MINUTE_MS, 61 * MINUTE_MS, 122 * MINUTE_MS, 25 * HOUR_MS, 8 * 24 * HOUR_MS)
"""How long the quiet phase waits between ticks: every pause, parking and question has ended after these."""
ROUNDS_MAX = 40
"""Rounds in which a world without faults must come to rest."""
RULEBOOK = Rulebook()


class World:
    """Everything there is. Events act on it; checkers read `log`, `said`, `laws` and what sinks applied."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now_ms = T0
        self.flat = self.rng.random() < 0.5
        self.log = Log(lambda: self.now_ms, [self.rng.choice([0, 0, -30, 45]) for _ in range(BROKERS)])
        self.laws: dict[int, Law] = {1: draw_law(self.rng)}
        self.gate = Gate(self.log, self.rules, lambda: max(self.laws))
        self.systems = {name: System(name, self.rng, self.flat, guards=name != "billing") for name in SYSTEMS}
        self.systems["ghost"] = System("ghost", self.rng, self.flat, guards=False)
        # A right takes force for readers when every worker has read the map that says so.
        self.deliveries = Deliveries(lambda: self.rules(min(self.gate.known.values())))
        for system in self.systems.values():
            system.deliveries = self.deliveries
        self.said: dict[tuple[str, int, int], Said] = {}
        """Position in the log to what its writer said there."""
        self.commands = 0
        self.lines: list[str] = []
        self.restless = ""
        """Why the world did not come to rest."""

    # -- what is said into the log

    @property
    def law(self) -> Law:
        return self.laws[max(self.laws)]

    def rules(self, version: int) -> Rules:
        return RULEBOOK.of(self.laws[version], version, flat=self.flat)

    def note(self, text: str) -> None:
        at = datetime.fromtimestamp(self.now_ms / 1000, UTC).strftime("%d %H:%M:%S.%f")[:-3]
        self.lines.append(f"{len(self.lines) + 1:4} {at}  {text}")

    def deliver(self, system: System, key: str) -> Said:
        """The connector publishes the next change of a record."""
        said = system.outbox[key].popleft()
        if not system.outbox[key]:
            del system.outbox[key]
        system.published.append(said)
        self.publish(said)
        return said

    def publish(self, said: Said) -> None:
        """Write a change into its ingress topic."""
        place, key, value, headers = self._record(said)
        if self.rng.random() < 0.05:  # somebody's transaction: a marker takes an offset
            self.log.append(place, None, None, marker=True)
        entry = self.log.append(place, key, value, headers)
        self.said[entry.topic, entry.partition, entry.offset] = said

    def _record(self, said: Said) -> tuple[tuple[str, int], bytes, bytes | None, Sequence[tuple[str, bytes]]]:
        key = said.key.encode()
        values = dict(said.values) | ({KEY_FIELD: "other"} if said.fault == "another key" else {})
        value = None if said.deletes else encoded({KEY_FIELD: said.key} | values, flat=self.flat)
        headers: list[tuple[str, bytes]] = change_headers(
            event_id=said.event,
            system="erp" if said.fault == "forged" else said.system,
            object_name=OBJECT,
            time_ms=self.now_ms - 200,
            fields=None if said.deletes else said.fields,
            deletes=said.deletes,
            unavailable=said.unavailable,
        )
        if said.fault == "truncated" and value is not None:
            value = value[:-1]
        elif said.fault == "unknown schema" and value is not None:
            value = b"\0\0\0\0\x09" + value[5:]
        elif said.fault == "no headers":
            headers = headers[:2]
        elif said.fault == "no key":
            key = b"\xff\xfe"
        partition = partition_of(said.key.encode(), PARTITIONS) if said.partition is None else said.partition
        return (topics.changes(said.system, OBJECT), partition), key, value, headers

    def command(self, partition: int, key: bytes, **said: Any) -> None:
        """Write a command, as control and the console do."""
        self.commands += 1
        given = {"command_id": f"K-{self.commands}", "by": "control", "issued_ms": self.now_ms} | said
        value = command_value(given.pop("command"), **given)
        self.log.append((topics.commands(OBJECT), partition), key, value)

    def tick(self) -> None:
        for partition in range(PARTITIONS):
            self.command(partition, b"", command="tick")

    def publish_map(self, law: Law) -> int:
        version = max(self.laws) + 1
        self.laws[version] = law
        self.log.append((topics.OWNERSHIP_MAP, 0), b"map", b"%d" % version)
        return version

    # -- the quiet phase

    def settle(self) -> None:
        """Nothing fails any more: run until nothing happens, wait, and again; `restless` says if that never ends."""
        self.note("-- no faults from here on")
        if self.rng.random() < 0.5:  # the last map lets billing read whole records
            self.publish_map(replace(self.law, readers=self.law.readers | {"billing": None}))
        self._heal()
        self._run_until_quiet()
        for system in self._newly_readers():
            system.start_new_generation()
            self.note(f"{system.name}'s sink starts a new generation: what it reads has changed")
        self._run_until_quiet()
        for wait_ms in WAITS_MS:
            self.now_ms += wait_ms
            self.tick()
            self._run_until_quiet()
        before = self.written
        self.tick()
        self._run_until_quiet()
        if self.written != before and not self.restless:
            self.restless = "time alone goes on to bring about records"
        self.note("-- quiet" if not self.restless else f"-- {self.restless}")

    @property
    def written(self) -> int:
        """Records of the gate but for ledgers."""
        prefixes = ("authoritative.", "state.", "quarantine", "refusals.", "proposals.", "trail")
        return sum(self.log.end(place) for prefix in prefixes for place in self.log.places(prefix))

    def _heal(self) -> None:
        for session in [*self.gate.zombies, *self.gate.sessions.values()]:
            if session.stalled is not None:
                self.gate.wake(session)
        for slot in range(SLOTS):
            self.gate.open(self.rng.choice(["w1", "w2"]), slot)
        self.gate.known = dict.fromkeys(self.gate.known, max(self.laws))
        for system in self.systems.values():
            system.stubborn.clear()

    def _run_until_quiet(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self._everybody_works():
                return
            self.now_ms += 10
        self.restless = (
            self.restless or f"{ROUNDS_MAX} rounds without faults, and there is still something to do"
        )

    def _everybody_works(self) -> int:
        """Everything that can be done now without waiting; how much that was."""
        done = 0
        for system in self.systems.values():
            for key in list(system.outbox):
                while system.outbox.get(key):
                    self.deliver(system, key)
                    done += 1
        for slot in range(SLOTS):
            done += self.gate.round(slot, lambda there: there, Fault.NONE)
        for system in self.sinks():
            for partition in range(PARTITIONS):
                done += system.read(self.log, partition, 1_000)
            for key in list(system.pending):
                system.apply(key)
                done += 1
        return done

    def sinks(self) -> Iterator[System]:
        """Systems that read records: all that the map ever let read any."""
        for name in SYSTEMS:
            if any(name in law.readers for law in self.laws.values()):
                yield self.systems[name]

    def _newly_readers(self) -> Iterator[System]:
        for system in self.sinks():
            if len({law.readers.get(system.name, frozenset()) for law in self.laws.values()}) > 1:
                continue  # other rights are other deliveries: it reads them without being told
            now = self.shown(system.name, self.law)
            if any(now - self.shown(system.name, law) for law in self.laws.values()):
                yield system

    @staticmethod
    def shown(system: str, law: Law) -> frozenset[str]:
        """The fields that a system reads of others."""
        visible = law.readers.get(system, frozenset())
        return frozenset(law.owners if visible is None else visible) - law.owned_by(system)

    # -- what checkers ask

    def last_rows(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        return {name: system.rows for name, system in self.systems.items()}

    def said_by(self) -> Mapping[tuple[str, str], list[tuple[tuple[str, int, int], Said]]]:
        """(system, key) to what it said, in the order of its log."""
        found: defaultdict[tuple[str, str], list[tuple[tuple[str, int, int], Said]]] = defaultdict(list)
        for place, said in sorted(self.said.items()):
            found[said.system, said.key].append((place, said))
        return found
