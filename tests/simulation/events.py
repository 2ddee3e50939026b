"""What may happen next: one small class each. An event says in words what it did, or None if it could not happen.

A new kind of event is a class with a weight in system_events.py or gate_events.py, and its place in `EVENTS`.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from tests.simulation.gate_events import Compact, Judge, Move, Pass, PublishMap, ReadMap, Step, Wake
from tests.simulation.system_events import (
    Answer,
    Apply,
    Create,
    Decide,
    Deliver,
    Edit,
    Insist,
    Misbehave,
    Read,
    Remove,
    Resend,
    Restart,
    Struggle,
)
from tests.simulation.world import LENGTH, World


class Event(Protocol):
    """Something that happens. `weight`: how often, beside the others."""

    weight: ClassVar[int]

    def happen(self, world: World) -> str | None: ...


EVENTS: tuple[Event, ...] = (
    Create(), Edit(), Remove(), Deliver(), Resend(), Misbehave(), Insist(), Struggle(), Judge(), Move(), Wake(),
    Read(), Apply(), Restart(), Pass(), Step(), Compact(), PublishMap(), ReadMap(), Decide(), Answer(),
)  # fmt: skip
_WEIGHTS = tuple(event.weight for event in EVENTS)


def run(seed: int, length: int = LENGTH) -> World:
    """The whole history of one seed: first with faults, then without, until it is quiet."""
    world = World(seed)
    for _ in range(length):
        world.now_ms += world.rng.choice([1, 5, 20, 100, 400])
        event = world.rng.choices(EVENTS, _WEIGHTS)[0]
        said = event.happen(world)
        if said is not None:
            world.note(said)
    world.settle()
    return world
