"""The decision: map + state + change + gate time in, `Decision` out. Everything that decides a change lives here.

Pure (I5). `decide` looks at the record as a whole; `broker.gate.fields` judges one field at a time.
A refused change leaves the very same state object behind, except for what must be remembered of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from broker.gate.change import Change, Values
from broker.gate.conclude import Decode, Encode, conclude, held, judged_fields, own_set, refuse
from broker.gate.decision import NEUTRAL, Decision, FieldVerdict, Outcome, Verdict, reason_of
from broker.gate.fields import Earlier, Judged, Standing, judge_field, same, standing, stopped
from broker.gate.reason import UNREADABLE_REASONS, Reason
from broker.gate.state import PARKED_MS, Grave, Memory, Owners, Parked, RecordState, lately
from broker.gate.terms import grouped, parted
from ownership.map import ObjectMap
from schemas.errors import UnreadableValue


def decide(
    entry: ObjectMap | None,
    map_version: int,
    state: RecordState,
    change: Change,
    gate_time_ms: int,
    *,
    decode: Decode,
    encode: Encode,
    again: bool = False,
) -> Decision:
    """Decide one change; no clock, no randomness, no I/O.

    `decode` and `encode` are the object's contract as functions; `again` = it was held before, and that it was judged
    then is no reason not to judge it. Total: every change gets exactly one outcome (I2).
    """
    # I5: everything below depends on these arguments alone; gate time is one of them.
    if change.fault is not None or entry is None:
        reason = change.fault.reason if change.fault else Reason.UNKNOWN_OBJECT
        # I7: what cannot be read or has no place in the map is held, whoever sent it. Its id is not remembered:
        # the same event sent again, readable, must be judged.
        outcome = Outcome.UNREADABLE if reason in UNREADABLE_REASONS else Outcome.QUARANTINED
        detail = change.fault.detail if change.fault else ""
        return Decision(outcome=outcome, reason=reason, detail=detail, map_version=map_version, state=state)
    if not again and _judged_before(state.memory, change):
        return Decision(Outcome.DUPLICATE, Reason.DUPLICATE, map_version, state)
    if change.deletes:
        decision = _decide_delete(entry, map_version, state, change, gate_time_ms)
    elif state.value is None:
        decision = _decide_missing(entry, map_version, state, change, gate_time_ms, decode, encode)
    else:
        decision = _decide_upsert(entry, map_version, state, change, gate_time_ms, decode, encode)
    if entry.epochs:
        verdicts = (v._replace(epoch=entry.epochs.get(v.field, 1)) for v in decision.verdicts)
        decision = decision._replace(verdicts=tuple(verdicts))
    return _observed(decision, state) if change.system in entry.observed else decision


def _observed(decision: Decision, state: RecordState) -> Decision:
    """What a system that is only watched would have brought about: told, and without any effect."""
    if decision.outcome is Outcome.DUPLICATE:
        return decision
    return Decision(
        Outcome.OBSERVED,
        decision.reason,
        decision.map_version,
        state,
        detail=decision.outcome.value,
        verdicts=decision.verdicts,
    )


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
    earlier = Earlier((value for _, value in lately(state, gate_time_ms)), decode)
    judged = Judged(entry=entry, system=change.system, event_id=change.event_id, state=state)
    verdicts = tuple(
        judge_field(judged, name, current.get(name), attempted.get(name), earlier)
        for name in judged_fields(entry, change)
    )
    neutral = all(verdict.verdict in NEUTRAL for verdict in verdicts)
    if neutral and any(verdict.reason is Reason.DUPLICATE for verdict in verdicts):
        return Decision(Outcome.DUPLICATE, Reason.DUPLICATE, map_version, state)
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
    if change.system != entry.create:
        return _decide_early(entry, map_version, state, change)
    former = _against_former_life(entry, map_version, state, change)
    if former is not None:
        return former
    merged = tuple(
        parked
        for parked in state.memory.parked
        if gate_time_ms - parked.received_ms <= PARKED_MS and own_set(entry, parked.system, parked.fields)
    )
    attempted = change.values or {}
    base: dict[str, Any] = dict.fromkeys(entry.fields)
    for parked in merged:
        waiting = decode(parked.value)
        base |= {name: waiting.get(name) for name in own_set(entry, parked.system, parked.fields)}
    # A record about to be created is judged against what it would hold without this change.
    before = state._replace(owners=_last_told(entry, state, merged))
    judged = Judged(entry=entry, system=change.system, event_id=change.event_id, state=before, creates=True)
    verdicts = tuple(
        judge_field(judged, name, base.get(name), attempted.get(name), ())
        for name in judged_fields(entry, change)
    )
    others = tuple(verdict for verdict in verdicts if verdict.verdict is not Verdict.ACCEPTED)
    lacking = FieldVerdict(entry.key_field, Verdict.HELD, Reason.INCOMPLETE_RECORD, entry.create)
    if not any(v.field == entry.key_field and v.verdict is Verdict.ACCEPTED for v in verdicts):
        return refuse(entry, map_version, state, change, (lacking, *others), None)
    memory = state.memory
    if merged or memory.grave is not None:
        left = tuple(parked for parked in memory.parked if parked not in merged)
        memory = replace(parted(entry, state), parked=left, grave=None)  # I4
    born = before._replace(memory=memory)
    try:
        decision = conclude(entry, map_version, born, change, gate_time_ms, verdicts, base, decode, encode)
    except UnreadableValue:  # a field that the contract does not let be null has no value yet
        return refuse(entry, map_version, state, change, (lacking, *others), None)
    filled = frozenset(name for name, value in base.items() if value is not None)
    born_as = base | {v.field: v.attempted for v in verdicts if v.verdict is Verdict.ACCEPTED}
    left_out = tuple(_not_taken(entry, parked, decode(parked.value), born_as) for parked in merged)
    return decision._replace(merged=merged, not_taken=left_out, changed=decision.changed | filled)


def _not_taken(entry: ObjectMap, parked: Parked, waiting: Values, born_as: Values) -> frozenset[str]:
    """Fields of others that a parked write set otherwise than the record was created: told, and not taken (I6)."""
    foreign = frozenset(entry.fields) - own_set(entry, parked.system, None)
    return frozenset(
        name
        for name in foreign
        if (value := waiting.get(name)) is not None and not same(value, born_as.get(name))
    )


def _against_former_life(
    entry: ObjectMap, map_version: int, state: RecordState, change: Change
) -> Decision | None:
    """What becomes of a creation that its own writer's former life overtook; None: it is news."""
    grave = state.memory.grave
    found = _standings(grave.owners, change) if grave is not None else frozenset()
    if Standing.SAME in found:
        return Decision(Outcome.DUPLICATE, Reason.DUPLICATE, map_version, state)
    if Standing.CLASH in found:
        clash = FieldVerdict(entry.key_field, Verdict.HELD, Reason.VERSION_CONFLICT, entry.create)
        return refuse(entry, map_version, state, change, (clash,), None)
    if Standing.OLDER in found:
        return _neutral(map_version, state, Outcome.STALE, Reason.STALE, entry.key_field, entry.create)
    return None


def _last_told(entry: ObjectMap, state: RecordState, waiting: Iterable[Parked]) -> Owners:
    """Per owner its last events for a record that does not exist: of its former life, and of what waits for it."""
    grave = state.memory.grave
    former = state._replace(owners=grave.owners if grave is not None else ())
    told = {
        name: (owner, former.version_of(owner, name) or former.former_version_of(owner, name) or "")
        for name, owner in entry.owners.items()
    }
    for parked in waiting:
        told |= dict.fromkeys(own_set(entry, parked.system, parked.fields), (parked.system, parked.event_id))
    groups = grouped((name, last) for name, last in told.items() if last[1])
    return tuple((*last, names) for last, names in groups.items())


def _decide_early(entry: ObjectMap, map_version: int, state: RecordState, change: Change) -> Decision:
    """A write of a system that cannot create: what it owns waits; if it owns nothing of it, it is a violation.

    Fields of others beside its own stay in what waits, and are compared when the record is created.
    """
    attempted, system = change.values or {}, change.system
    owned = tuple(name for name in judged_fields(entry, change) if entry.owner_of(name) == system)
    if not owned:
        verdicts = tuple(
            _stopped_early(entry, system, name, attempted.get(name)) for name in judged_fields(entry, change)
        )
        return refuse(entry, map_version, state, change, verdicts, None)
    known = state._replace(owners=_last_told(entry, state, state.memory.parked))
    found = {
        name: standing(change.event_id, last) for name in owned if (last := known.version_of(system, name))
    }
    if Standing.CLASH in found.values():
        clash = FieldVerdict(entry.key_field, Verdict.HELD, Reason.VERSION_CONFLICT, system)
        return refuse(entry, map_version, state, change, (clash,), None)
    news = frozenset(name for name in owned if found.get(name, Standing.NEWER) is Standing.NEWER)
    if not news and Standing.SAME in found.values():
        return Decision(Outcome.DUPLICATE, Reason.DUPLICATE, map_version, state)
    if not news:
        return _neutral(map_version, state, Outcome.STALE, Reason.STALE, owned[0], system)
    verdicts = tuple(
        FieldVerdict(name, Verdict.PARKED, Reason.RECORD_NOT_YET, system, None, attempted.get(name))
        for name in owned
        if name in news
    )
    unknown = tuple(name for name in judged_fields(entry, change) if name not in entry.fields)
    verdicts += tuple(_stopped_early(entry, system, name, None) for name in unknown)
    memory = held(state.memory, change) if unknown else state.memory
    waiting = (*_still_waiting(entry, state, system, news), _parked(change, news))
    return Decision(
        outcome=Outcome.QUARANTINED if unknown else Outcome.PARKED,
        reason=reason_of(verdicts),
        verdicts=verdicts,
        map_version=map_version,
        state=state._replace(memory=replace(memory, parked=waiting)),
    )


def _stopped_early(entry: ObjectMap, system: str, name: str, attempted: Any) -> FieldVerdict:
    if name not in entry.fields:
        return FieldVerdict(name, Verdict.HELD, Reason.UNKNOWN_FIELD, None)
    if entry.owner_of(name) is None:
        return FieldVerdict(name, Verdict.HELD, Reason.UNOWNED, None, None, attempted)
    return stopped(entry, system, name, Reason.NOT_CREATE_AUTHORITY, None, attempted)


def _parked(change: Change, fields: frozenset[str]) -> Parked:
    assert change.value is not None
    return Parked(
        system=change.system,
        event_id=change.event_id,
        received_ms=change.received_ms,
        source_time_ms=change.time_ms,
        topic=change.position.topic,
        partition=change.position.partition,
        offset=change.position.offset,
        fields=fields,
        value=change.value,
    )


def _still_waiting(
    entry: ObjectMap, state: RecordState, system: str, fields: frozenset[str]
) -> Iterator[Parked]:
    """What goes on waiting after `system` wrote `fields`: of its own writes, the fields that were not written again."""
    for parked in state.memory.parked:
        if parked.system != system:
            yield parked
        elif left := own_set(entry, system, parked.fields) - fields:
            yield replace(parked, fields=left)


def _decide_delete(
    entry: ObjectMap, map_version: int, state: RecordState, change: Change, gate_time_ms: int
) -> Decision:
    key = entry.key_field
    if state.value is None:
        return _neutral(map_version, state, Outcome.ECHO, Reason.ALREADY_DELETED, key, entry.delete)
    if change.system != entry.delete:
        verdict = stopped(
            entry, change.system, key, Reason.NOT_DELETE_AUTHORITY, None, None, owner=entry.delete
        )
        lost = entry.readable(change.system) - own_set(entry, change.system, None)
        return refuse(entry, map_version, state, change, (verdict,), (lost, gate_time_ms) if lost else None)
    found = _standings(state.owners, change)
    if not found.isdisjoint((Standing.SAME, Standing.CLASH)):
        clash = FieldVerdict(key, Verdict.HELD, Reason.VERSION_CONFLICT, entry.delete)
        return refuse(entry, map_version, state, change, (clash,), None)
    if Standing.OLDER in found:
        return _neutral(map_version, state, Outcome.STALE, Reason.STALE, key, entry.delete)
    owners = _owners_at_death(entry, state, change)
    revision = state.revision + 1  # I4
    return Decision(
        outcome=Outcome.ACCEPTED,
        reason=None,
        map_version=map_version,
        writes=True,
        verdicts=(FieldVerdict(key, Verdict.ACCEPTED, None, entry.delete),),
        changed=frozenset(entry.fields),
        closed=tuple((proposal, "answered_otherwise") for proposal in state.memory.proposals),
        state=RecordState(
            revision=revision,
            owners=owners,
            memory=Memory(
                grave=Grave(revision=revision, owners=owners, deleted_ms=gate_time_ms),
                # Sent again after a re-creation, the same delete must not end the new life.
                held={**state.memory.held, change.system: change.event_id},
                parked=state.memory.parked,
                former=parted(entry, state).former,
            ),
        ),
    )


def _owners_at_death(entry: ObjectMap, state: RecordState, change: Change) -> Owners:
    """What the grave keeps: the delete, and the last event of every other owner, because versions never fall (I4)."""
    others = grouped(
        (name, (owner, event))
        for name, owner in entry.owners.items()
        if owner != change.system and (event := state.version_of(owner, name))
    )
    named = sorted((*last, names) for last, names in others.items())
    return ((change.system, change.event_id, None), *named)


def _standings(owners: Owners, change: Change) -> frozenset[Standing]:
    """How a change stands to all that was accepted of its writer."""
    return frozenset(
        standing(change.event_id, event) for system, event, _ in owners if system == change.system and event
    )


def _neutral(
    map_version: int, state: RecordState, outcome: Outcome, reason: Reason, key_field: str, owner: str
) -> Decision:
    """A change of the record as a whole that changes nothing."""
    verdict = Verdict.STALE if reason is Reason.STALE else Verdict.UNCHANGED
    verdicts = (FieldVerdict(key_field, verdict, reason, owner),)
    return Decision(outcome, reason, map_version, state, verdicts=verdicts)
