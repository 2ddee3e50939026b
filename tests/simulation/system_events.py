"""What systems, their connectors and their people do: edits, deliveries, echoes, mischief, decisions and answers.

What workers, clocks and the log do stands in gate_events.py; how an event is chosen, in events.py.
"""

from __future__ import annotations

import json
from typing import Any

from broker import topics
from schemas.keys import partition_of
from schemas.registry import envelopes
from tests.gate_parts import SYSTEMS, money
from tests.simulation.gate import PARTITIONS, SLOTS, Fault, slot_of
from tests.simulation.laws import LIMIT, value_drawn
from tests.simulation.systems import System
from tests.simulation.world import World

KEYS = ("C-1", "C-2", "C-3", "C-4")
SETTABLE = ("name", "email", "phone", LIMIT)


def writer(world: World) -> System:
    return world.systems[world.rng.choice(["crm", "crm", "erp", "erp", "billing"])]


class Create:
    """The CRM makes a record; now and then somebody else does, who may not."""

    weight = 5

    def happen(self, world: World) -> str | None:
        system = world.systems[world.rng.choice(["crm", "crm", "crm", "erp", "billing"])]
        key = world.rng.choice(KEYS)
        if key in system.rows:
            return None
        news = {name: value_drawn(world.rng, name, flat=world.flat) for name in SETTABLE}
        return f"{system.write(key, news, image=True)}"


class Edit:
    """Somebody changes a row, whether the field is the system's own or not."""

    weight = 14

    def happen(self, world: World) -> str | None:
        system = writer(world)
        if not system.rows:
            return None
        key = world.rng.choice(sorted(system.rows))
        own = sorted(world.law.owned_by(system.name) & set(SETTABLE))
        names = own if own and world.rng.random() < 0.7 else SETTABLE
        news = {
            name: value_drawn(world.rng, name, flat=world.flat)
            for name in world.rng.sample(names, k=min(len(names), world.rng.choice([1, 1, 2])))
        }
        said = system.write(key, news, image=world.rng.random() < 0.4)
        return None if said is None else str(said)


class Remove:
    """Somebody deletes a row, whether the system may delete records or not."""

    weight = 2

    def happen(self, world: World) -> str | None:
        system = world.systems[world.law.delete] if world.rng.random() < 0.7 else writer(world)
        if not system.rows:
            return None
        return str(system.remove(world.rng.choice(sorted(system.rows))))


class Deliver:
    """A connector publishes the next changes of one record; others wait meanwhile."""

    weight = 22

    def happen(self, world: World) -> str | None:
        waiting = [(s, key) for s in world.systems.values() for key in sorted(s.outbox)]
        if not waiting:
            return None
        system, key = world.rng.choice(waiting)
        count = min(len(system.outbox[key]), world.rng.choice([1, 1, 3]))
        events = [world.deliver(system, key).event for _ in range(count)]
        return f"{system.name}'s connector publishes {key}: {', '.join(events)}"


class Resend:
    """A connector has forgotten where it was, and publishes again what it published lately."""

    weight = 4

    def happen(self, world: World) -> str | None:
        system = writer(world)
        if not system.published:
            return None
        key = world.rng.choice(system.published).key
        again = [said for said in system.published if said.key == key][-world.rng.randint(1, 4) :]
        for said in again:
            world.publish(said)
        return f"{system.name}'s connector publishes {key} again: {', '.join(said.event for said in again)}"


class Misbehave:
    """A record that is forged, unreadable, misplaced, or of a system that has no part in it."""

    weight = 3
    faults = (
        "forged", "truncated", "unknown schema", "no headers", "no key", "another key", "misrouted", "unknown field",
    )  # fmt: skip

    def happen(self, world: World) -> str | None:
        rng = world.rng
        system = world.systems[rng.choice(["crm", "crm", "billing", "ghost"])]
        key = rng.choice(KEYS)
        values = {name: value_drawn(rng, name, flat=world.flat) for name in SETTABLE}
        fault = rng.choice(self.faults)
        if fault == "unknown field":
            said = system.odd(key, fault, values=values, fields=frozenset({"name", "nonsense"}))
            system.outbox[key].append(
                said
            )  # its name may be accepted, so it keeps its place among the others
            return f"wrong on purpose: {said}"
        if fault == "misrouted":
            key = f"M-{system.counter}"
            wrong = (partition_of(key.encode(), PARTITIONS) + 1) % PARTITIONS
            said = system.odd(key, fault, values=values, partition=wrong)
        else:
            said = system.odd(key, fault, values=values)
        world.publish(said)
        return f"wrong on purpose: {said}"


class Insist:
    """A job in a system writes a foreign field again whenever it is overwritten: a write war."""

    weight = 1

    def happen(self, world: World) -> str | None:
        system = world.systems[world.rng.choice(["erp", "billing"])]
        foreign = sorted(world.shown(system.name, world.law) & set(SETTABLE))
        if not system.rows or not foreign:
            return None
        key, name = world.rng.choice(sorted(system.rows)), world.rng.choice(foreign)
        value = value_drawn(world.rng, name, flat=world.flat)
        system.stubborn[key, name] = value
        said = system.write(key, {name: value}, image=False)
        return f"a job in {system.name} insists on {key} {name}={value}{'' if said is None else f' ({said})'}"


class Struggle:
    """Somebody writes a foreign field, gets it written back, and writes it again, all within a second."""

    weight = 3

    def happen(self, world: World) -> str | None:
        system = world.systems[world.rng.choice(["erp", "billing", "crm"])]
        foreign = sorted(world.shown(system.name, world.law) & set(SETTABLE))
        if not system.rows or not foreign or system not in world.sinks():
            return None
        key, name = world.rng.choice(sorted(system.rows)), world.rng.choice(foreign)
        partition = partition_of(key.encode(), PARTITIONS)
        session = world.gate.sessions.get(slot_of(partition))
        for _ in range(world.rng.choice([2, 3])):
            if key in system.rows:
                system.write(key, {name: value_drawn(world.rng, name, flat=world.flat)}, image=False)
            while system.outbox.get(key):
                world.deliver(system, key)
            if session is not None and session.stalled is None:
                world.gate.round(session.slot, lambda there: there, Fault.NONE)
            system.read(world.log, partition, 100)
            if key in system.pending and world.rng.random() < 0.8:
                system.apply(key)
            world.now_ms += 20
        return f"{system.name} and the owner struggle for {key}.{name}"


class Read:
    """A sink takes new authoritative records in."""

    weight = 12

    def happen(self, world: World) -> str | None:
        sink = world.rng.choice(list(world.sinks()))
        count = world.rng.choice([1, 1, 2, 100])
        taken = sink.read(world.log, world.rng.randrange(PARTITIONS), count)
        return f"{sink.name}'s sink reads {taken} records" if taken else None


class Apply:
    """A sink writes pending updates into its system; now and then its connector ends before or just after."""

    weight = 14

    def happen(self, world: World) -> str | None:
        waiting = [sink for sink in world.sinks() if sink.pending]
        if not waiting:
            return None
        sink, said = world.rng.choice(waiting), []
        keys = sorted(sink.pending)
        ends = world.rng.random() < 0.1
        for key in world.rng.sample(keys, k=world.rng.randint(1, len(keys))):
            if (done := sink.apply(key, forgets=ends)) is not None:
                what = "deleted" if done.deleted else ", ".join(sorted(done.wrote))
                said.append(f"{key}@{done.revision} ({what})")
        if ends:
            sink.crash()
            said.append("and its connector ends before it has noted that")
        return f"{sink.name}'s sink applies {'; '.join(said) or 'nothing that has to be written'}"


class Restart:
    """A connector ends and begins again: what it had read and not applied is read again, now and then one by one."""

    weight = 4

    def happen(self, world: World) -> str | None:
        sink = world.rng.choice(list(world.sinks()))
        sink.crash()
        partition, slowly = world.rng.randrange(PARTITIONS), world.rng.choice([0, 0, 2, 4])
        for _ in range(slowly):
            sink.read(world.log, partition, 1)
            for key in sorted(sink.pending):
                sink.apply(key)
        return f"{sink.name}'s connector ends, and begins again{' one by one' if slowly else ''}"


class Decide:
    """A steward decides about a case: keep the owner's value, or ask the owner."""

    weight = 3

    def happen(self, world: World) -> str | None:
        cases = [e for slot in range(SLOTS) for e in world.log.read((topics.QUARANTINE, slot))]
        if not cases:
            return None
        case = _body(world.rng.choice(cases))
        command = world.rng.choice(["keep", "ask_owner", "ask_owner"])
        world.command(
            case["partition"],
            case["key"],
            command=command,
            case_id=case["case_id"],
            fields=[v["field"] for v in case["verdicts"]][:3],
            value=case["value"],
            system=case["system"],
            by="ada",
        )
        return f"a steward decides {command} about {case['case_id']}"


class Answer:
    """The owner's people take a suggested value over, or write another."""

    weight = 2

    def happen(self, world: World) -> str | None:
        asked = [
            (name, entry)
            for name in SYSTEMS
            for slot in range(SLOTS)
            for entry in world.log.read((topics.proposals(name), slot))
        ]
        if not asked:
            return None
        name, entry = world.rng.choice(asked)
        question = _body(entry)["fields"][0]
        key, system = (entry.key or b"").decode(), world.systems[name]
        if key not in system.rows or question["field"] not in SETTABLE:
            return None
        value = _value(question, flat=world.flat)
        if world.rng.random() < 0.4:
            value = value_drawn(world.rng, question["field"], flat=world.flat)
        said = system.write(key, {question["field"]: value}, image=False)
        return None if said is None else f"{name}'s people answer a question: {said}"


def _body(entry: Any) -> dict[str, Any]:
    return envelopes().codec.decode(entry.value or b"")


def _value(question: dict[str, Any], *, flat: bool) -> Any:
    value = json.loads(question["proposed"])
    return money(value) if question["field"] == LIMIT and not flat and value is not None else value
