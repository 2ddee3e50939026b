"""Judges of how a world ended: judged again from the beginning, at rest, and the same everywhere.

What must be true once nothing fails any more; what must be true at every record stands in checkers.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from broker.lane.judge import Judge
from broker.lane.memory import SlotMemory
from broker.lane.order import in_order
from tests.simulation import checkers, gate
from tests.simulation.checkers import Checker, by_key
from tests.simulation.events import run
from tests.simulation.laws import KEY_FIELD
from tests.simulation.reading import Batch, Finding, Place, Revision, batches_of, case_id
from tests.simulation.systems import Said, System
from tests.simulation.world import World


def same_decisions_again(world: World) -> Iterator[Finding]:
    # I5: one judge that never failed or moved, fed what the ledger says was read, decides and writes the same
    for slot, batches in batches_of(world).items():
        otherwise = _otherwise(world, slot, batches)
        if otherwise is not None:
            yield Finding("I5", otherwise)


def _otherwise(world: World, slot: int, batches: list[Batch]) -> str | None:
    """The first batch that is judged otherwise now."""
    memory = SlotMemory(slot=slot, partitions={gate.OBJECT: gate.PARTITIONS})
    for batch in batches:
        judge = Judge(memory, batch.ledger["worker"])
        judged = judge.judge(world.rules(batch.ledger["map_version"]), in_order(batch.inputs.values()))
        where = f"slot {slot}, batch {batch.ledger['sequence']}"
        if judged.ledger["decisions_digest"] != batch.ledger["decisions_digest"]:
            return f"{where} is decided otherwise when it is judged again"
        again = sorted(
            (*gate.place_of(record, partition, slot), record.key, gate.value_of(record) or b"")
            for record, partition in judged.outgoing
        )
        before = sorted((e.topic, e.partition, e.key or b"", e.value or b"") for e in batch.outputs)
        if not batch.alone and again != before:
            return f"{where} brings about other records when it is judged again"
        judge.keep(judged)
    return None


def at_rest(world: World) -> Iterator[Finding]:
    """Liveness: without faults it comes to rest, and no worker that had lost its slot has committed."""
    if world.restless:
        yield Finding("liveness", world.restless)
    if world.gate.zombie_commits:
        yield Finding("I3", f"{world.gate.zombie_commits} batches were committed by a worker that was fenced")


def everywhere_the_same(world: World) -> Iterator[Finding]:
    """Liveness: every system shows the authoritative values of the fields that it reads of others."""
    for key, history in by_key(world).items():
        last = history[-1]
        for sink in world.sinks():
            row = sink.rows.get(key)
            # What became another's since the last revision comes with the next one: that names its owner.
            once_own = world.laws[last.map_version].owned_by(sink.name)
            shown = world.shown(sink.name, world.law) - once_own - {KEY_FIELD}
            if sink.name not in world.law.readers:
                continue
            if last.values is None:
                took = last.entry.compacted or sink.name == last.cause[0] or _took(sink, last)
                if row is not None and not took:
                    yield Finding("liveness", f"{sink.name} never took the end of {key}")
                continue
            for name in sorted(shown):
                if row is None or row[name] != last.values[name]:
                    shows = "nothing" if row is None else f"{name}={row[name]}"
                    yield Finding(
                        "liveness", f"{sink.name} shows {shows} of {key}, {name} is {last.values[name]}"
                    )


def _took(sink: System, last: Revision) -> bool:
    """Whether a sink took a record's end; what its system has written of it since is its own."""
    return any((done.key, done.revision) == (last.key, last.number) for done in sink.applied)


def owners_are_heard(world: World) -> Iterator[Finding]:
    """Liveness: the last thing that a field's owner said of it is authoritative, or somebody was told why not."""
    judged = _judged_under(world)
    told = _told_why_not(world)
    said_by = world.said_by()
    for key, history in by_key(world).items():
        values = history[-1].values
        if values is None:
            continue
        born = max((r.number for r in history if r.values is None), default=0)
        if born:  # what was said in a former life has no claim on this one
            continue
        for name, owner in world.law.owners.items():
            last = _last(said_by.get((owner, key), []), name)
            if last is None or name == KEY_FIELD:
                continue
            place, said = last
            terms = [law.owners[name] for version, law in world.laws.items() if version >= judged[place]]
            if set(terms) != {owner} or case_id(place) in told:
                continue
            if said.values.get(name) != values[name]:
                detail = (
                    f"{owner} said {key}.{name}={said.values.get(name)} ({said.event}), it is {values[name]}"
                )
                yield Finding("owner heard", detail)


def _last(said: list[tuple[Place, Said]], name: str) -> tuple[Place, Said] | None:
    """The newest that sets this field, where it stood first in the log."""
    about = [(place, one) for place, one in said if one.fault in ("", "unknown field") and name in one.sets]
    return max(about, key=lambda one: (one[1].event, -one[0][2]), default=None)


def _judged_under(world: World) -> dict[Place, int]:
    batches: list[Batch] = [batch for found in batches_of(world).values() for batch in found]
    return {
        (entry.topic, entry.partition, entry.offset): batch.ledger["map_version"]
        for batch in batches
        for entry in batch.changes
    }


def _told_why_not(world: World) -> set[str]:
    """Records about which there is a case or a refusal."""
    found = set()
    for prefix in ("quarantine", "refusals."):
        for topic in {place[0] for place in world.log.places(prefix)}:
            for entry in world.log.ever(topic):
                found.add(checkers.envelopes().codec.decode(entry.value or b"")["case_id"])
    return found


CHECKERS: dict[str, Checker] = {
    "I1": checkers.only_owners_values,
    "I2": checkers.one_outcome_each,
    "I3": checkers.moved_together,
    "I4": checkers.numbers_rise,
    "I5": same_decisions_again,
    "I6": checkers.originals_kept,
    "I7": checkers.nobody_else,
    "I11": checkers.own_fields_left_alone,
    "hidden": checkers.hidden_stays_hidden,
    "brake": checkers.brakes_hold,
    "rest": at_rest,
    "same": everywhere_the_same,
    "heard": owners_are_heard,
}


def findings_of(world: World) -> list[Finding]:
    """What every checker has to say about a finished world."""
    return [finding for checker in CHECKERS.values() for finding in checker(world)]


def found_by(seed: int) -> list[Finding]:
    """Run one seed and judge it."""
    return findings_of(run(seed))
