"""What time and people change: parked writes that expire, pauses that end, questions put and left unanswered.

Pure; gate time reaches it as data. Minute ticks and commands call it, never a clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker.gate.state import PARKED_MS, PROPOSAL_MS, OpenProposal, Parked, RecordState, braked
from broker.gate.terms import under
from ownership.map import ObjectMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """What became due for one record."""

    state: RecordState
    expired: tuple[Parked, ...] = ()
    """Parked writes whose record never came; each becomes a case."""
    unanswered: tuple[OpenProposal, ...] = ()
    reassert: tuple[tuple[str, frozenset[str]], ...] = ()
    """(system, fields): one revision each, in this order."""


def elapse(entry: ObjectMap, state: RecordState, gate_time_ms: int) -> Elapsed:
    """What the passing of gate time does to one record."""
    memory = state.memory
    expired = tuple(parked for parked in memory.parked if gate_time_ms - parked.received_ms > PARKED_MS)
    unanswered = tuple(proposal for proposal in memory.proposals if gate_time_ms > proposal.expires_ms)
    due: defaultdict[str, set[str]] = defaultdict(set)
    for brake in memory.reassertions:
        if brake.pending and gate_time_ms >= brake.due_ms and state.value is not None:
            due[brake.system].add(brake.field)
    owed = {system: names & _others(entry, system) for system, names in due.items()}
    lapsed = {(system, name) for system, names in due.items() for name in names - owed[system]}
    if not (expired or unanswered or due):
        return Elapsed(state=state)
    memory = replace(
        memory,
        # What is not another's any more, or may not be read any more, is owed no more.
        reassertions=tuple(
            replace(brake, pending=False) if (brake.system, brake.field) in lapsed else brake
            for brake in memory.reassertions
        ),
        parked=tuple(parked for parked in memory.parked if parked not in expired),
        proposals=tuple(proposal for proposal in memory.proposals if proposal not in unanswered),
    )
    reassert = tuple((system, frozenset(names)) for system, names in sorted(owed.items()) if names)
    for system, names in reassert:
        memory, _ = braked(memory, system, names, gate_time_ms)
    after = state._replace(memory=memory)
    if reassert:
        after = under(entry, after)._replace(revision=state.revision + len(reassert))  # I4
    return Elapsed(state=after, expired=expired, unanswered=unanswered, reassert=reassert)


def _others(entry: ObjectMap, system: str) -> frozenset[str]:
    """The fields of others that a system reads: only these can be sent to it again."""
    return frozenset(n for n in entry.readable(system) if entry.owner_of(n) not in (None, system))


def ask_owner(
    entry: ObjectMap,
    state: RecordState,
    *,
    case_id: str,
    fields: Sequence[str],
    value: bytes,
    gate_time_ms: int,
) -> tuple[RecordState, tuple[OpenProposal, ...]]:
    """Put the attempted values of a case to the owners of their fields; (state after, questions opened).

    Asking twice about the same case and field opens nothing new.
    """
    known = {(proposal.case_id, proposal.field) for proposal in state.memory.proposals}
    opened = tuple(
        OpenProposal(
            proposal_id=f"{case_id}.{name}",
            case_id=case_id,
            field=name,
            owner=owner,
            value=value,
            opened_ms=gate_time_ms,
            expires_ms=gate_time_ms + PROPOSAL_MS,
        )
        for name in dict.fromkeys(fields)
        if (owner := entry.owner_of(name)) is not None and (case_id, name) not in known
    )
    if not opened:
        return state, ()
    memory = replace(state.memory, proposals=(*state.memory.proposals, *opened))
    return state._replace(memory=memory), opened
