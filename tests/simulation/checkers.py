"""Judges of a finished world, one per invariant: they read the log and what writers said, never the gate's insides.

Each gives findings; none is what must be. I8 (hops) and I9 (what is shown) are of processes that this world does not
have; see docs/how-to/simulate.md.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.authoritative import parse_authoritative
from schemas.registry import envelopes
from tests.gate_parts import BESIDE_AN_OUTCOME, FIELDS
from tests.oracle_words import compare
from tests.simulation.gate import OBJECT
from tests.simulation.reading import (
    Batch,
    Finding,
    Place,
    Revision,
    batches_of,
    case_id,
    inputs_left,
    place_of,
    revision_of,
    revisions_of,
)
from tests.simulation.systems import Said
from tests.simulation.world import World

SECOND_MS, HOUR_MS = 1_000, 3_600_000


def by_key(world: World) -> dict[str, list[Revision]]:
    found: defaultdict[str, list[Revision]] = defaultdict(list)
    for revision in revisions_of(world):
        found[revision.key].append(revision)
    return found


def only_owners_values(world: World) -> Iterator[Finding]:
    # I1: a field that differs from the revision before was written so by its owner, under the map in the header
    told: defaultdict[tuple[str, str, str], list[Said]] = defaultdict(list)
    for said in world.said.values():
        if said.fault in ("", "unknown field"):
            told[said.system, said.event, said.key].append(said)
    for history in by_key(world).values():
        before: dict[str, Any] = {}
        for revision in history:
            where = f"{revision.key}@{revision.number}"
            yield from (Finding("I1", f"{where} {said}") for said in _foreign(world, told, revision, before))
            before = revision.values or {}


def _foreign(
    world: World, told: dict[tuple[str, str, str], list[Said]], revision: Revision, before: dict[str, Any]
) -> Iterator[str]:
    law, key = world.laws[revision.map_version], revision.key
    if revision.values is None:
        if revision.cause[0] != law.delete:
            yield f"was deleted by {revision.cause[0]}, who may not"
        if not any(said.deletes for said in told.get((*revision.cause, key), ())):
            yield "is deleted, and nobody said so"
        return
    for name, value in revision.values.items():
        if value == before.get(name):
            continue
        owner, event = revision.owners[name]
        if owner != law.owners[name]:
            yield f"has a new {name} by {owner}; {law.owners[name]} owns it"
        elif not any(
            name in said.sets and (name == law.key_field or said.values.get(name) == value)
            for said in told.get((owner, event, key), ())
        ):
            yield f"has {name}={value}, which {owner} {event} did not say"


def one_outcome_each(world: World) -> Iterator[Finding]:
    # I2: the account of every batch, counted again from what came out of it
    for slot, batches in batches_of(world).items():
        for batch in batches:
            counted, odd = _counted(world, batch)
            where = f"slot {slot}, batch {batch.ledger['sequence']}"
            yield from (Finding("I2", f"{where}: {said}") for said in odd)
            if +counted != batch.ledger["account"]:
                yield Finding(
                    "I2", f"{where} accounts for {batch.ledger['account']}, counted: {dict(counted)}"
                )
            if batch.ledger["received"] != len(batch.changes):
                yield Finding("I2", f"{where} says {batch.ledger['received']}, read {len(batch.changes)}")
    for place, count in inputs_left(world).items():
        yield Finding("I2", f"{count} records of {place[0]}/{place[1]} were never judged")


_KINDS = ("echo", "stale", "partly_accepted", "parked", "refused", "proposed")


@dataclass(slots=True)
class _Evidence:
    """What the records of one batch tell of its changes."""

    outcomes: defaultdict[Place, set[str]]
    revisions: Counter[tuple[str, str, str]]
    """(system, event, key) to new revisions that it caused."""


def _evidence(world: World, batch: Batch) -> _Evidence:
    found = _Evidence(defaultdict(set), Counter())
    ids = {case_id(place_of(entry)): place_of(entry) for entry in batch.changes}
    for entry in batch.outputs:
        if entry.topic == f"authoritative.{OBJECT}":
            revision = revision_of(entry, flat=world.flat)
            found.revisions[*revision.cause, revision.key] += (
                bool(revision.changed) or revision.values is None
            )
        elif not entry.topic.startswith("state."):
            _tell(found, ids, entry.topic, envelopes().codec.decode(entry.value or b""))
    return found


def _tell(found: _Evidence, ids: dict[str, Place], topic: str, body: dict[str, Any]) -> None:
    if topic == "trail":
        if body["kind"] in _KINDS:
            found.outcomes[body["topic"], body["partition"], body["offset"]].add(body["kind"])
    elif topic.startswith("proposals.") or body["reason"] in ("parked_expired", *BESIDE_AN_OUTCOME):
        return  # not the outcome of a change: that of a parked one was told when it came
    elif topic == "quarantine":
        found.outcomes[body["topic"], body["partition"], body["offset"]].add(body["outcome"])
    else:
        found.outcomes[ids.get(body["case_id"], ("?", 0, 0))].add(body["outcome"])


def _counted(world: World, batch: Batch) -> tuple[Counter[str], list[str]]:
    """Outcomes, and what does not fit: from cases, refusals, the trail and revisions.

    What nothing tells of is a duplicate.
    """
    found, counted, odd = _evidence(world, batch), Counter[str](), []
    # Of several copies of one event, that one made the revision of which something is told.
    changes = sorted(batch.changes, key=lambda e: place_of(e) not in found.outcomes)
    for entry in changes:
        place, what = place_of(entry), world.said[place_of(entry)]
        outcomes = found.outcomes.pop(place, set())
        cause = (what.system, what.event, what.key)
        if len(outcomes) > 1:
            odd.append(f"{place} has the outcomes {sorted(outcomes)}")
        if found.revisions[cause] > 0 and outcomes <= {"partly_accepted"}:
            found.revisions[cause] -= 1
            outcomes = outcomes or {"accepted"}
        counted[min(outcomes, default="duplicate")] += 1
    odd += [f"{place} has an outcome here, and was not read here" for place in found.outcomes]
    odd += [f"{count} revisions by {cause} too many" for cause, count in found.revisions.items() if count]
    return counted, odd


def moved_together(world: World) -> Iterator[Finding]:
    # I3: no output without its ledger record, no gap in the ledger, positions never back, every link of the chain
    owned = set()
    for slot, batches in batches_of(world).items():
        before: dict[str, Any] | None = None
        for batch in batches:
            yield from (
                Finding("I3", f"slot {slot}, batch {batch.ledger['sequence']}: {said}")
                for said in _unlinked(before, batch)
            )
            owned |= {id(entry) for entry in batch.outputs}
            before = batch.ledger
    for prefix in ("authoritative.", "state.", "quarantine", "refusals.", "proposals.", "trail"):
        for topic in {place[0] for place in world.log.places(prefix)}:
            for entry in world.log.ever(topic):
                if id(entry) not in owned:
                    yield Finding("I3", f"{place_of(entry)} is in no transaction with a ledger record")


def _unlinked(before: dict[str, Any] | None, batch: Batch) -> Iterator[str]:
    ledger = batch.ledger
    if batch.alone:
        yield "its ledger record is in no transaction"
    if ledger["sequence"] != (1 if before is None else before["sequence"] + 1):
        yield "it does not follow in sequence"
    if ledger["previous_chain"] != (b"" if before is None else before["chain"]):
        yield "it is not linked to the one before"
    spelled = {n: v.hex() if isinstance(v, bytes) else v for n, v in ledger.items() if n != "chain"}
    text = json.dumps(spelled, sort_keys=True, separators=(",", ":"))
    if hashlib.blake2b(text.encode(), digest_size=32).digest() != ledger["chain"]:
        yield "its chain does not fit its contents"
    if before is None:
        return
    if ledger["map_version"] < before["map_version"]:
        yield f"map {ledger['map_version']} after map {before['map_version']}"
    if ledger["gate_time_ms"] < before["gate_time_ms"]:
        yield "gate time goes back"
    for name, offset in before["positions"].items():
        if ledger["positions"].get(name, -1) < offset:
            yield f"the position of {name} goes back"


def numbers_rise(world: World) -> Iterator[Finding]:
    # I4: revisions +1; no version of an owner's field falls while it owns it; nobody is taken backwards
    for key, history in by_key(world).items():
        last: dict[str, tuple[str, str]] = {}
        for number, revision in enumerate(history, 1):
            if revision.number != number:
                yield Finding("I4", f"{key} has revision {revision.number} where {number} is next")
                break
            for name, (owner, event) in revision.owners.items():
                known, before = last.get(name, ("", ""))
                if event and before and known == owner and compare(event, before) == "older":
                    yield Finding("I4", f"{key}@{number}: {name} falls from {before} to {event}")
                if event or known != owner:
                    last[name] = (owner, event)
    for system in world.systems.values():
        for done in system.applied:
            if done.revision < done.before:
                yield Finding(
                    "I4", f"{system.name} is taken back from {done.key}@{done.before} to {done.revision}"
                )


def originals_kept(world: World) -> Iterator[Finding]:
    # I6: a case carries its record as it was; nothing unreadable is without one
    kept = set()
    for entry in world.log.ever("quarantine"):
        body = envelopes().codec.decode(entry.value or b"")
        if body["reason"] in BESIDE_AN_OUTCOME:
            continue  # about what went on for a while, not about one record
        place = (body["topic"], body["partition"], body["offset"])
        original = world.log._partitions[place[:2]][place[2]]
        kept.add(place)
        digest = hashlib.sha256(original.value).digest() if original.value is not None else b""
        if (body["value"], body["sha256"], entry.key) != (original.value, digest, original.key):
            yield Finding("I6", f"{body['case_id']} does not carry the bytes of {place}")
        if body["reason"] != "parked_expired" and body["headers"] != dict(original.headers):
            yield Finding("I6", f"{body['case_id']} does not carry the headers of {place}")
    for place, said in world.said.items():
        if said.fault not in ("", "unknown field") and place not in kept:
            yield Finding("I6", f"{place} ({said.fault}) has no case")


def nobody_else(world: World) -> Iterator[Finding]:
    # I7: who is not in the map, and what nobody owns, changes nothing
    for revision in revisions_of(world):
        law = world.laws[revision.map_version]
        writers = {*law.owners.values(), law.create, law.delete}
        if (revision.changed or revision.values is None) and revision.cause[0] not in writers:
            yield Finding("I7", f"{revision.key}@{revision.number} was changed by {revision.cause[0]}")
        if unknown := revision.changed - law.owners.keys():
            yield Finding(
                "I7", f"{revision.key}@{revision.number} changes {sorted(unknown)}, which nobody owns"
            )


def own_fields_left_alone(world: World) -> Iterator[Finding]:
    # I11: by the map version that the delivery was decided under
    for system in world.systems.values():
        for done in system.applied:
            for name in sorted(done.wrote & world.laws[done.map_version].owned_by(system.name)):
                yield Finding("I11", f"{done.key}@{done.revision} wrote {name} to {system.name}, its owner")


def hidden_stays_hidden(world: World) -> Iterator[Finding]:
    """Nothing that a restricted reader was given names a field that it may not see, or says what became of one."""
    for stream in (*world.deliveries.ended, *world.deliveries.streams.values()):
        for one in (delivery for made in stream.made.values() for delivery in made):
            told = parse_authoritative(one.headers)
            named = told.changed | {name for _, _, names in told.owners for name in names or FIELDS}
            named |= told.reassert[1] if told.reassert is not None else frozenset()
            where = f"a delivery of {(one.key or b'').decode()}@{told.revision} to {stream.projection.reading.system}"
            if one.values.keys() - stream.visible or named - stream.visible:
                shown = sorted(named.union(one.values) - stream.visible)
                yield Finding("hidden", f"{where} names {', '.join(shown)}")
            if any(event for _, event, _ in told.owners) or told.causation[1]:
                yield Finding("hidden", f"{where} tells of an event")


def brakes_hold(world: World) -> Iterator[Finding]:
    """Between two re-assertions of a field to a system lie 2 s, 4 s, 8 s ... of gate time, at most an hour."""
    times = _times_of_reassertions(world)
    for key, history in by_key(world).items():
        counts: dict[tuple[str, str], tuple[int, int]] = {}
        for revision in history:
            if revision.values is None:
                counts.clear()
            now = times.get((key, revision.number))
            if revision.reassert is None or now is None:
                continue
            for name in revision.reassert[1]:
                count, last = counts.get((revision.reassert[0], name), (0, 0))
                pause = min(2 * SECOND_MS << max(0, count - 1), HOUR_MS)
                if count and now - last < pause:
                    where = f"{key}@{revision.number}: {name} to {revision.reassert[0]}"
                    yield Finding("brake", f"{where} after {now - last} ms, the pause is {pause}")
                long_ago = count and now - last > 2 * HOUR_MS
                counts[revision.reassert[0], name] = (1 if long_ago else count + 1, now)


def _times_of_reassertions(world: World) -> dict[tuple[str, int], int]:
    """Gate time of each: the trail has it, or the record itself where time alone brought it about."""
    times = {}
    for entry in world.log.ever("trail"):
        body = envelopes().codec.decode(entry.value or b"")
        if body["kind"] == "reasserted":
            times[body["key"].decode(), body["revision"]] = body["gate_time_ms"]
    for revision in revisions_of(world):
        if revision.cause[0] == "solesource":
            at = datetime.fromisoformat(dict(revision.entry.headers)["ce_time"].decode())
            times[revision.key, revision.number] = round(at.timestamp() * 1000)
    return times


Checker = Callable[[World], Iterator[Finding]]
