"""What the gate's workers, the clocks, the log and the map do, faults included.

What systems and people do stands in system_events.py; how an event is chosen, in events.py.
"""

from __future__ import annotations

from broker import topics
from tests.simulation.gate import OBJECT, SLOTS, Fault
from tests.simulation.laws import LIMIT, draw_next_law
from tests.simulation.world import HOUR_MS, MINUTE_MS, World

COMPACTED = (topics.authoritative(OBJECT), topics.state(OBJECT))
SETTABLE = ("name", "email", "phone", LIMIT)


class Judge:
    """A slot takes a batch, opened first if nobody has it; now and then its worker fails or pauses on the way."""

    weight = 26

    def happen(self, world: World) -> str | None:
        rng, gate = world.rng, world.gate
        slot = rng.randrange(SLOTS)
        session = gate.sessions.get(slot)
        said = ""
        if session is not None and session.stalled is not None:
            return None
        if session is None:
            session = gate.open(rng.choice(sorted(gate.known)), slot)
            said = f"{session.worker} opens slot {slot}; "
        fault = rng.choice(list(Fault)) if rng.random() < 0.12 else Fault.NONE
        pauses = rng.random() < 0.5
        some = rng.random() < 0.5
        taken = gate.round(slot, lambda there: rng.randint(0, there) if some else there, fault, pauses=pauses)
        if not taken:
            return said or None
        said += f"slot {slot} ({session.worker}, map {gate.known[session.worker]}) judges {taken} records"
        if fault is not Fault.NONE:
            said += f", and {'pauses' if session.stalled is not None else 'ends'} {fault.value}"
        return said


class Move:
    """A slot goes to another worker, whose former one may be paused and wake up later."""

    weight = 2

    def happen(self, world: World) -> str | None:
        slot = world.rng.randrange(SLOTS)
        session = world.gate.open(world.rng.choice(sorted(world.gate.known)), slot)
        return f"slot {slot} moves to {session.worker}"


class Wake:
    """A paused worker goes on, whether its slot is still its own or not."""

    weight = 4

    def happen(self, world: World) -> str | None:
        paused = [s for s in (*world.gate.sessions.values(), *world.gate.zombies) if s.stalled is not None]
        if not paused:
            return None
        session = world.rng.choice(paused)
        return f"{session.worker} wakes up in slot {session.slot} and {world.gate.wake(session)}"


class Pass:
    """Time passes: a moment that matters to a brake, to what is remembered, to what is parked."""

    weight = 5
    moments = (700, 2_500, 5_000, 70_000, 10 * MINUTE_MS, 40 * MINUTE_MS, 62 * MINUTE_MS, 25 * HOUR_MS)

    def happen(self, world: World) -> str | None:
        world.now_ms += world.rng.choice(self.moments)
        if world.rng.random() < 0.6:
            world.tick()
            return "control ticks"
        return "time passes"


class Step:
    """A broker's clock steps, back or forth."""

    weight = 1

    def happen(self, world: World) -> str | None:
        broker = world.rng.randrange(len(world.log.skew_ms))
        world.log.skew_ms[broker] = world.rng.choice([-900, -200, 0, 0, 150, 800])
        return f"the clock of broker {broker} steps to {world.log.skew_ms[broker]:+d} ms"


class Compact:
    """The log forgets what it may forget."""

    weight = 2

    def happen(self, world: World) -> str | None:
        removed = sum(world.log.compact(topic) for topic in COMPACTED)
        return f"compaction removes {removed} records" if removed else None


class PublishMap:
    """Somebody changes the map."""

    weight = 1

    def happen(self, world: World) -> str | None:
        if len(world.laws) >= 4:
            return None
        law = draw_next_law(world.rng, world.law)
        version = world.publish_map(law)
        owners = ", ".join(f"{name}: {law.owners[name]}" for name in SETTABLE)
        return (
            f"map {version}: {owners}; {law.policies}; billing reads {law.readers.get('billing', 'nothing')}"
        )


class ReadMap:
    """A worker learns of the newest map, between two batches."""

    weight = 2

    def happen(self, world: World) -> str | None:
        worker = world.rng.choice(sorted(world.gate.known))
        if world.gate.known[worker] == max(world.laws):
            return None
        world.gate.known[worker] = max(world.laws)
        return f"{worker} reads map {max(world.laws)}"
