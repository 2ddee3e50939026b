"""What follows from the verdicts on the fields: the merged record, what is remembered, what is asserted again.

Pure. Which verdict a field gets is said in `broker.gate.fields`, which change is judged how in `broker.gate.decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from broker.gate.change import Change, Values, case_id_of
from broker.gate.decision import NEUTRAL, Decision, FieldVerdict, Outcome, Verdict, outcome_of, reason_of
from broker.gate.fields import same
from broker.gate.reason import Reason
from broker.gate.state import PROPOSAL_MS, Memory, OpenProposal, RecordState, braked, remembered
from broker.gate.terms import under
from ownership.map import ObjectMap

Decode = Callable[[bytes], Values]
Encode = Callable[[Values], bytes]


def judged_fields(entry: ObjectMap, change: Change) -> tuple[str, ...]:
    """The fields a change speaks of, in the contract's order, unknown ones last."""
    if change.fields is None:
        known = tuple(name for name in entry.fields if name not in change.unavailable)
        more = (change.values or {}).keys() - set(entry.fields)
        return known + tuple(sorted(more)) if more else known
    known = tuple(name for name in entry.fields if name in change.fields and name not in change.unavailable)
    return known + tuple(sorted(change.fields - set(entry.fields)))


def own_set(entry: ObjectMap, system: str, fields: frozenset[str] | None) -> frozenset[str]:
    return frozenset(
        name for name in entry.fields if entry.owner_of(name) == system and (fields is None or name in fields)
    )


def refuse(
    entry: ObjectMap,
    map_version: int,
    state: RecordState,
    change: Change,
    verdicts: tuple[FieldVerdict, ...],
    restore: tuple[frozenset[str], int] | None,
) -> Decision:
    """Nothing is accepted; `restore` = (fields, gate time) to send the owner's values again."""
    memory = held(state.memory, change)
    allowed: frozenset[str] = frozenset()
    if restore is not None:
        memory, allowed = braked(memory, change.system, *restore)
    after = state._replace(memory=memory)
    if allowed:
        after = under(entry, after)._replace(
            revision=state.revision + 1
        )  # I4: a re-assertion is a revision too
    return Decision(
        outcome=outcome_of(verdicts),
        reason=reason_of(verdicts),
        verdicts=verdicts,
        map_version=map_version,
        state=after,
        writes=bool(allowed),
        reassert=(change.system, allowed) if allowed else None,
    )


def conclude(
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
    violations = violated(verdicts)
    memory = held(state.memory, change) if violations else state.memory
    drifted = _drifted(entry, change.system, verdicts)
    again: frozenset[str] = frozenset()
    if drifted and (state.value is not None or accepted):
        memory, again = braked(memory, change.system, drifted, gate_time_ms)
    memory, closed = _answer(memory, accepted, attempted, decode)
    memory = _asked(memory, change, verdicts, gate_time_ms, decode)
    outcome = outcome_of(verdicts)
    decision = Decision(
        outcome=outcome,
        reason=reason_of(verdicts),
        verdicts=verdicts,
        map_version=map_version,
        state=state if memory is state.memory else state._replace(memory=memory),
        acknowledges=state.revision if outcome is Outcome.ECHO and not drifted else 0,
        reassert=(change.system, again) if again else None,
        closed=closed,
    )
    if not accepted:
        if not again:
            return decision
        after = under(entry, decision.state)._replace(revision=state.revision + 1)  # I4
        return decision._replace(state=after, writes=True)
    values = {**current, **{name: attempted.get(name) for name in accepted}}
    stale = frozenset(verdict.field for verdict in verdicts if verdict.verdict is Verdict.STALE)
    untouched = change.pass_through and entry.sole_owner == change.system and not stale and not violations
    written = frozenset(
        name for name in judged_fields(entry, change) if entry.owner_of(name) == change.system
    )
    told = (change.system, change.event_id)
    after = under(entry, state._replace(memory=memory), told, written - stale - violations)._replace(
        value=change.value if untouched else encode(values),
        revision=state.revision + 1,  # I4: one more than the last revision of this key, always
    )
    if state.value is not None:
        after = after._replace(recent=remembered(state.recent, state.value, change.received_ms))
    changed = frozenset(name for name in accepted if not same(current.get(name), attempted.get(name)))
    return decision._replace(state=after, writes=True, changed=changed)


def held(memory: Memory, change: Change) -> Memory:
    """The memory with this change as the last of its writer that was not wholly accepted."""
    return replace(memory, held={**memory.held, change.system: change.event_id})


def violated(verdicts: Iterable[FieldVerdict]) -> frozenset[str]:
    stopping = (Verdict.HELD, Verdict.REFUSED, Verdict.PROPOSED)
    return frozenset(verdict.field for verdict in verdicts if verdict.verdict in stopping)


def _drifted(entry: ObjectMap, system: str, verdicts: Iterable[FieldVerdict]) -> frozenset[str]:
    """Fields in which this system no longer shows the owner's value, and which it gets to read."""
    return frozenset(
        verdict.field
        for verdict in verdicts
        if verdict.owner not in (None, system)
        and (verdict.reason is Reason.LATE_ECHO or verdict.verdict not in (Verdict.ACCEPTED, *NEUTRAL))
    ).intersection(entry.readable(system))


def _answer(
    memory: Memory, accepted: frozenset[str], attempted: Values, decode: Decode
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


def _asked(
    memory: Memory, change: Change, verdicts: Iterable[FieldVerdict], gate_time_ms: int, decode: Decode
) -> Memory:
    """Remember what the connection's policy puts to the owners, until they write the field.

    The same value for the same field is asked once, however often a system sends it.
    """
    proposed = [verdict for verdict in verdicts if verdict.verdict is Verdict.PROPOSED]
    if not proposed or change.value is None:
        return memory
    asked = [(open_.field, decode(open_.value).get(open_.field)) for open_ in memory.proposals]
    opened = tuple(
        OpenProposal(
            proposal_id=f"{case_id_of(change.position)}.{verdict.field}",
            case_id=None,
            field=verdict.field,
            owner=verdict.owner,
            value=change.value,
            opened_ms=gate_time_ms,
            expires_ms=gate_time_ms + PROPOSAL_MS,
        )
        for verdict in proposed
        if verdict.owner is not None
        and not any(name == verdict.field and same(value, verdict.attempted) for name, value in asked)
    )
    return replace(memory, proposals=(*memory.proposals, *opened)) if opened else memory
