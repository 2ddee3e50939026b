"""The decision: map + state + change + gate time in, `Decision` out. Everything that decides a change lives here.

Pure (I5). `decide` looks at the record as a whole; `broker.gate.fields` judges one field at a time.
A refused change leaves the very same state object behind, except for what must be remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from broker.gate.change import Change, Values, case_id_of
from broker.gate.decision import NEUTRAL, Decision, FieldVerdict, Outcome, Verdict, outcome_of, reason_of
from broker.gate.fields import Judged, judge_field, same, stopped
from broker.gate.reason import UNREADABLE_REASONS, Reason
from broker.gate.state import (
    PARKED_MS,
    PROPOSAL_MS,
    Grave,
    Memory,
    OpenProposal,
    Owners,
    Parked,
    RecordState,
    braked,
    remembered,
)
from ownership.map import ObjectMap
from schemas.version import version_of

Decode = Callable[[bytes], Values]
Encode = Callable[[Values], bytes]


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


def _held(memory: Memory, change: Change) -> Memory:
    if memory.held.get(change.system) == change.event_id:
        return memory
    return replace(memory, held={**memory.held, change.system: change.event_id})


def judged_fields(entry: ObjectMap, change: Change) -> tuple[str, ...]:
    """The fields a change speaks of, in the contract's order, unknown ones last."""
    if change.fields is None:
        return tuple(name for name in entry.fields if name not in change.unavailable)
    known = tuple(name for name in entry.fields if name in change.fields and name not in change.unavailable)
    return known + tuple(sorted(change.fields - set(entry.fields)))


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
    earlier = _Earlier(state.recent, decode)
    judged = Judged(entry=entry, system=change.system, event_id=change.event_id, state=state)
    verdicts = tuple(
        judge_field(judged, name, current.get(name), attempted.get(name), earlier)
        for name in judged_fields(entry, change)
    )
    if (
        verdicts
        and all(verdict.reason is Reason.DUPLICATE for verdict in verdicts if verdict.owner == change.system)
        and any(verdict.owner == change.system for verdict in verdicts)
        and not _violations(verdicts)
    ):
        return Decision(
            outcome=Outcome.DUPLICATE, reason=Reason.DUPLICATE, map_version=map_version, state=state
        )
    return _conclude(entry, map_version, state, change, gate_time_ms, verdicts, current, decode, encode)


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
        base |= {name: waiting.get(name) for name in _own_set(entry, parked.system, parked.fields)}
    # A record about to be created is judged against what it would hold without this change.
    before = replace(
        state, owners=tuple((p.system, p.event_id, _own_set(entry, p.system, p.fields)) for p in merged)
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
        return _refuse(map_version, state, change, (lacking, *others), None)
    waiting_left = tuple(parked for parked in state.memory.parked if parked not in merged)
    born = replace(before, memory=replace(state.memory, parked=waiting_left, grave=None))
    decision = _conclude(entry, map_version, born, change, gate_time_ms, verdicts, base, decode, encode)
    filled = frozenset(name for name, value in base.items() if value is not None)
    return decision._replace(merged=merged, changed=decision.changed | filled)


def _decide_early(
    entry: ObjectMap, map_version: int, state: RecordState, change: Change, attempted: Values
) -> Decision:
    """A write of a system that cannot create: what it owns waits, anything else is a violation."""
    owned = _own_set(entry, change.system, change.fields)
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
    return _refuse(map_version, state, change, verdicts, None)


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
        own = _own_set(entry, change.system, None)
        lost = frozenset(entry.fields) - own if change.system in entry.readers else frozenset()
        return _refuse(map_version, state, change, (held,), (lost, gate_time_ms) if lost else None)
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


def _own_set(entry: ObjectMap, system: str, fields: frozenset[str] | None) -> frozenset[str]:
    return frozenset(
        name for name in entry.fields if entry.owner_of(name) == system and (fields is None or name in fields)
    )


def _violations(verdicts: Iterable[FieldVerdict]) -> frozenset[str]:
    stopping = (Verdict.HELD, Verdict.REFUSED, Verdict.PROPOSED)
    return frozenset(verdict.field for verdict in verdicts if verdict.verdict in stopping)


def _refuse(
    map_version: int,
    state: RecordState,
    change: Change,
    verdicts: tuple[FieldVerdict, ...],
    restore: tuple[frozenset[str], int] | None,
) -> Decision:
    """Nothing is accepted; `restore` = (fields, gate time) to send the owner's values again."""
    memory = _held(state.memory, change)
    allowed: frozenset[str] = frozenset()
    if restore is not None:
        memory, allowed = braked(memory, change.system, *restore)
    after = replace(state, memory=memory, revision=state.revision + (1 if allowed else 0))
    return Decision(
        outcome=outcome_of(verdicts),
        reason=reason_of(verdicts),
        verdicts=verdicts,
        map_version=map_version,
        state=after,
        writes=bool(allowed),
        reassert=(change.system, allowed) if allowed else None,
    )


def _conclude(
    entry: ObjectMap,
    map_version: int,
    state: RecordState,
    change: Change,
    gate_time_ms: int,
    verdicts: tuple[FieldVerdict, ...],
    current: Values,
    decode: Decode,
    encode: Encode,
) -> Decision:
    """Put the fields' verdicts together: the merged record, what is remembered, what is asserted again."""
    attempted = change.values or {}
    accepted = frozenset(verdict.field for verdict in verdicts if verdict.verdict is Verdict.ACCEPTED)
    violations = _violations(verdicts)
    memory = _held(state.memory, change) if violations else state.memory
    drifted = _drifted(entry, change.system, verdicts)
    again: frozenset[str] = frozenset()
    if drifted and (state.value is not None or accepted):
        memory, again = braked(memory, change.system, drifted, gate_time_ms)
    memory, closed = _answer(memory, change, accepted, attempted, decode)
    memory = _asked(memory, change, verdicts, gate_time_ms)
    outcome = outcome_of(verdicts)
    decision = Decision(
        outcome=outcome,
        reason=reason_of(verdicts),
        verdicts=verdicts,
        map_version=map_version,
        state=state if memory is state.memory else replace(state, memory=memory),
        acknowledges=state.revision if outcome is Outcome.ECHO and not drifted else 0,
        reassert=(change.system, again) if again else None,
        closed=closed,
    )
    if not accepted:
        if not again:
            return decision
        after = replace(decision.state, revision=state.revision + 1)  # I4: a re-assertion is a revision too
        return decision._replace(state=after, writes=True)
    values = {**current, **{name: attempted.get(name) for name in accepted}}
    stale = frozenset(verdict.field for verdict in verdicts if verdict.verdict is Verdict.STALE)
    untouched = change.pass_through and entry.sole_owner == change.system and not stale and not violations
    written = frozenset(
        name for name in judged_fields(entry, change) if entry.owner_of(name) == change.system
    )
    after = RecordState(
        value=change.value if untouched else encode(values),
        revision=state.revision + 1,  # I4: one more than the last revision of this key, always
        owners=_owners(entry, state, change, written - stale - violations),
        recent=state.recent if state.value is None else remembered(state.recent, state.value, gate_time_ms),
        memory=memory,
    )
    changed = frozenset(name for name in accepted if not same(current.get(name), attempted.get(name)))
    return decision._replace(state=after, writes=True, changed=changed)


def _drifted(entry: ObjectMap, system: str, verdicts: Iterable[FieldVerdict]) -> frozenset[str]:
    """Fields in which this system no longer shows the owner's value, and which it gets to read."""
    if system not in entry.readers:
        return frozenset()
    return frozenset(
        verdict.field
        for verdict in verdicts
        if verdict.owner not in (None, system)
        and (verdict.reason is Reason.LATE_ECHO or verdict.verdict not in (Verdict.ACCEPTED, *NEUTRAL))
    )


def _owners(entry: ObjectMap, state: RecordState, change: Change, written: frozenset[str]) -> Owners:
    """Per system of record its last accepted event, after `written` fields were accepted from this change."""
    if entry.sole_owner == change.system and written.issuperset(entry.fields):
        return ((change.system, change.event_id, None),)
    groups: dict[tuple[str, str], set[str]] = {}
    for name in entry.fields:
        owner = entry.owners[name]
        event = change.event_id if name in written else state.version_of(owner, name) or ""
        groups.setdefault((owner, event), set()).add(name)
    rest = (entry.system_of_record, "")
    of_record = [group for group in groups if group[0] == entry.system_of_record]
    largest = max(of_record, key=lambda group: (len(groups[group]), group), default=rest)
    named = sorted((*group, frozenset(names)) for group, names in groups.items() if group != largest)
    return ((*largest, None), *named)


def _answer(
    memory: Memory, change: Change, accepted: frozenset[str], attempted: Values, decode: Decode
) -> tuple[Memory, tuple[tuple[OpenProposal, str], ...]]:
    """Close the questions that this write of the owner answers."""
    answered = [proposal for proposal in memory.proposals if proposal.field in accepted]
    if not answered:
        return memory, ()
    closed = tuple(
        (
            proposal,
            "accepted"
            if same(decode(proposal.value).get(proposal.field), attempted.get(proposal.field))
            else "answered_otherwise",
        )
        for proposal in answered
    )
    left = tuple(proposal for proposal in memory.proposals if proposal not in answered)
    return replace(memory, proposals=left), closed


def _asked(memory: Memory, change: Change, verdicts: Iterable[FieldVerdict], gate_time_ms: int) -> Memory:
    """Remember what the connection's policy puts to the owners, until they write the field."""
    if change.value is None:
        return memory
    asked = tuple(
        OpenProposal(
            proposal_id=f"{case_id_of(change.position)}.{verdict.field}",
            case_id=None,
            field=verdict.field,
            owner=verdict.owner,
            value=change.value,
            opened_ms=gate_time_ms,
            expires_ms=gate_time_ms + PROPOSAL_MS,
        )
        for verdict in verdicts
        if verdict.verdict is Verdict.PROPOSED and verdict.owner is not None
    )
    return replace(memory, proposals=(*memory.proposals, *asked)) if asked else memory


class _Earlier(Sequence[Mapping[str, Any]]):
    """Replaced values, newest first, decoded only when somebody looks."""

    def __init__(self, recent: tuple[tuple[int, bytes], ...], decode: Decode) -> None:
        self._recent = recent
        self._decode = decode

    def __len__(self) -> int:
        return len(self._recent)

    def __getitem__(self, index: Any) -> Any:
        return self._decode(self._recent[-1 - index][1])
