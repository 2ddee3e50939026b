"""The decision: map + state + change + gate time in, `Decision` out. Everything that decides a change lives here.

Pure (I5). `decide` looks at the record as a whole; `broker.gate.fields` judges one field at a time.
A refused change leaves the very same state object behind, except for what must be remembered of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.gate.change import Change, Values
from broker.gate.conclude import Decode, Encode, conclude, judged_fields, own_set, refuse, violated
from broker.gate.decision import Decision, FieldVerdict, Outcome, Verdict
from broker.gate.fields import Earlier, Judged, judge_field, same, stopped
from broker.gate.reason import UNREADABLE_REASONS, Reason
from broker.gate.state import PARKED_MS, Grave, Memory, Owners, Parked, RecordState, remembered
from ownership.map import ObjectMap
from schemas.version import version_of


def decide(
    entry: ObjectMap | None,
    map_version: int,
    state: RecordState,
    change: Change,
    gate_time_ms: int,
    *,
    decode: Decode,
    encode: Encode,
) -> Decision:
    """Decide one change; no clock, no randomness, no I/O.

    `decode` and `encode` are the object's contract as functions. Total: every change gets exactly one outcome (I2).
    """
    if change.fault is not None or entry is None:
        reason = change.fault.reason if change.fault else Reason.UNKNOWN_OBJECT
        # I7: what cannot be read or has no place in the map is held, whoever sent it. Its id is not remembered:
        # the same event sent again, readable, must be judged.
        outcome = Outcome.UNREADABLE if reason in UNREADABLE_REASONS else Outcome.QUARANTINED
        detail = change.fault.detail if change.fault else ""
        return Decision(outcome=outcome, reason=reason, detail=detail, map_version=map_version, state=state)
    if change.pass_through and entry.sole_owner == change.system and state.value is not None:
        whole = _decide_whole(map_version, state, change, gate_time_ms, decode)
        if whole is not None:
            return whole
    if _judged_before(state.memory, change):
        return Decision(
            outcome=Outcome.DUPLICATE, reason=Reason.DUPLICATE, map_version=map_version, state=state
        )
    if change.deletes:
        return _decide_delete(entry, map_version, state, change, gate_time_ms)
    if state.value is None:
        return _decide_missing(entry, map_version, state, change, gate_time_ms, decode, encode)
    return _decide_upsert(entry, map_version, state, change, gate_time_ms, decode, encode)


def _decide_whole(
    map_version: int, state: RecordState, change: Change, gate_time_ms: int, decode: Decode
) -> Decision | None:
    """The short way for most changes: the one owner of everything sends a newer full image. None: take the long way.

    Must give what the long way gives, but for the verdicts (a property test compares them).
    """
    owners = state.owners
    if (
        len(owners) != 1
        or owners[0][2] is not None
        or owners[0][0] != change.system
        or state.memory.proposals
        or change.system in state.memory.held
        or state.value is None
        or change.values is None
        or owners[0][1] == change.event_id
        or version_of(change.event_id).older_than(version_of(owners[0][1]))
    ):
        return None
    current, attempted = decode(state.value), change.values
    if current == attempted:
        return None
    changed = frozenset(name for name, value in attempted.items() if not same(current.get(name), value))
    if not changed:
        return None
    after = RecordState(
        value=change.value,  # I1: the only owner's own bytes
        revision=state.revision + 1,  # I4
        owners=((change.system, change.event_id, None),),
        recent=remembered(state.recent, state.value, gate_time_ms),
        memory=state.memory,
    )
    return Decision(Outcome.ACCEPTED, None, map_version, after, writes=True, changed=changed)


def _judged_before(memory: Memory, change: Change) -> bool:
    return memory.held.get(change.system) == change.event_id or any(
        parked.system == change.system and parked.event_id == change.event_id for parked in memory.parked
    )


def _decide_upsert(
    entry: ObjectMap,
    map_version: int,
    state: RecordState,
    change: Change,
    gate_time_ms: int,
    decode: Decode,
    encode: Encode,
) -> Decision:
    assert state.value is not None
    current = decode(state.value)
    attempted = change.values or {}
    earlier = Earlier(state.recent, decode)
    judged = Judged(entry=entry, system=change.system, event_id=change.event_id, state=state)
    verdicts = tuple(
        judge_field(judged, name, current.get(name), attempted.get(name), earlier)
        for name in judged_fields(entry, change)
    )
    if (
        verdicts
        and all(verdict.reason is Reason.DUPLICATE for verdict in verdicts if verdict.owner == change.system)
        and any(verdict.owner == change.system for verdict in verdicts)
        and not violated(verdicts)
    ):
        return Decision(
            outcome=Outcome.DUPLICATE, reason=Reason.DUPLICATE, map_version=map_version, state=state
        )
    return conclude(entry, map_version, state, change, gate_time_ms, verdicts, current, decode, encode)


def _decide_missing(
    entry: ObjectMap,
    map_version: int,
    state: RecordState,
    change: Change,
    gate_time_ms: int,
    decode: Decode,
    encode: Encode,
) -> Decision:
    """An upsert of a record that does not exist: creation by its authority, or a write that waits (parked)."""
    attempted = change.values or {}
    if change.system != entry.create:
        return _decide_early(entry, map_version, state, change, attempted)
    grave = state.memory.grave
    if grave is not None and _older_than_grave(grave.owners, change):
        stale = (FieldVerdict(entry.key_field, Verdict.STALE, Reason.STALE, entry.create),)
        return Decision(
            outcome=Outcome.STALE, reason=Reason.STALE, verdicts=stale, map_version=map_version, state=state
        )
    merged = tuple(parked for parked in state.memory.parked if gate_time_ms - parked.received_ms <= PARKED_MS)
    base: dict[str, Any] = dict.fromkeys(entry.fields)
    for parked in merged:
        waiting = decode(parked.value)
        base |= {name: waiting.get(name) for name in own_set(entry, parked.system, parked.fields)}
    # A record about to be created is judged against what it would hold without this change.
    before = replace(
        state, owners=tuple((p.system, p.event_id, own_set(entry, p.system, p.fields)) for p in merged)
    )
    judged = Judged(entry=entry, system=change.system, event_id=change.event_id, state=before, creates=True)
    verdicts = tuple(
        judge_field(judged, name, base.get(name), attempted.get(name), ())
        for name in judged_fields(entry, change)
    )
    if not any(
        verdict.verdict is Verdict.ACCEPTED and verdict.field == entry.key_field for verdict in verdicts
    ):
        lacking = FieldVerdict(entry.key_field, Verdict.HELD, Reason.INCOMPLETE_RECORD, entry.create)
        others = tuple(v for v in verdicts if v.verdict is not Verdict.ACCEPTED)
        return refuse(map_version, state, change, (lacking, *others), None)
    waiting_left = tuple(parked for parked in state.memory.parked if parked not in merged)
    born = replace(before, memory=replace(state.memory, parked=waiting_left, grave=None))
    decision = conclude(entry, map_version, born, change, gate_time_ms, verdicts, base, decode, encode)
    filled = frozenset(name for name, value in base.items() if value is not None)
    return decision._replace(merged=merged, changed=decision.changed | filled)


def _decide_early(
    entry: ObjectMap, map_version: int, state: RecordState, change: Change, attempted: Values
) -> Decision:
    """A write of a system that cannot create: what it owns waits, anything else is a violation."""
    owned = own_set(entry, change.system, change.fields)
    if owned and change.value is not None:
        parked = Parked(
            system=change.system,
            event_id=change.event_id,
            received_ms=change.received_ms,
            source_time_ms=change.time_ms,
            topic=change.position.topic,
            partition=change.position.partition,
            offset=change.position.offset,
            fields=change.fields,
            value=change.value,
        )
        others = tuple(waiting for waiting in state.memory.parked if waiting.system != change.system)
        memory = replace(state.memory, parked=(*others, parked))
        verdicts = tuple(
            FieldVerdict(
                name, Verdict.PARKED, Reason.RECORD_NOT_YET, change.system, None, attempted.get(name)
            )
            for name in entry.fields
            if name in owned
        )
        return Decision(
            outcome=Outcome.PARKED,
            reason=Reason.RECORD_NOT_YET,
            verdicts=verdicts,
            map_version=map_version,
            state=replace(state, memory=memory),
        )
    verdicts = tuple(
        stopped(entry, change.system, name, Reason.NOT_CREATE_AUTHORITY, None, attempted.get(name))
        for name in judged_fields(entry, change)
    )
    return refuse(map_version, state, change, verdicts, None)


def _decide_delete(
    entry: ObjectMap, map_version: int, state: RecordState, change: Change, gate_time_ms: int
) -> Decision:
    key = entry.key_field
    if state.value is None:
        gone = (FieldVerdict(key, Verdict.UNCHANGED, Reason.ALREADY_DELETED, entry.delete),)
        return Decision(
            outcome=Outcome.ECHO,
            reason=Reason.ALREADY_DELETED,
            verdicts=gone,
            map_version=map_version,
            state=state,
        )
    if change.system != entry.delete:
        held = stopped(entry, change.system, key, Reason.NOT_DELETE_AUTHORITY, None, None, owner=entry.delete)
        own = own_set(entry, change.system, None)
        lost = frozenset(entry.fields) - own if change.system in entry.readers else frozenset()
        return refuse(map_version, state, change, (held,), (lost, gate_time_ms) if lost else None)
    if _older_than_grave(state.owners, change):
        stale = (FieldVerdict(key, Verdict.STALE, Reason.STALE, entry.delete),)
        return Decision(
            outcome=Outcome.STALE, reason=Reason.STALE, verdicts=stale, map_version=map_version, state=state
        )
    owners: Owners = ((change.system, change.event_id, None),)
    revision = state.revision + 1  # I4
    grave = Grave(revision=revision, owners=owners, deleted_ms=gate_time_ms)
    return Decision(
        outcome=Outcome.ACCEPTED,
        reason=None,
        map_version=map_version,
        writes=True,
        verdicts=(FieldVerdict(key, Verdict.ACCEPTED, None, entry.delete),),
        changed=frozenset(entry.fields),
        closed=tuple((proposal, "answered_otherwise") for proposal in state.memory.proposals),
        state=RecordState(
            revision=revision, owners=owners, memory=Memory(grave=grave, held=state.memory.held)
        ),
    )


def _older_than_grave(owners: Owners, change: Change) -> bool:
    last = next((event for system, event, _ in owners if system == change.system), None)
    return last is not None and (
        last == change.event_id or version_of(change.event_id).older_than(version_of(last))
    )
