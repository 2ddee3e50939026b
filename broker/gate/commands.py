"""Commands: a steward's and control's ways in, judged like everything else.

Pure. No command lets a value past its owner: `ask_owner` puts a question, `keep` closes a case, `redrive` judges a
held write again as what it was, `tick` moves gate time. What is ordered for a connection: `broker.gate.connections`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.gate.change import Change, ObjectReader, Position, read
from broker.gate.connections import Connections, confirmed
from broker.gate.decide import decide
from broker.gate.decision import Decision, Outcome
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.reason import Reason
from broker.gate.route import authoritative, memory, proposal, route, write_wars
from broker.gate.state import Parked, RecordState
from broker.gate.trail import closing, trail_line
from broker.gate.waiting import Elapsed, ask_owner, elapse
from ownership.map import ObjectMap, OwnershipMap
from schemas.errors import SchemaError

TICK, KEEP, ASK_OWNER, REDRIVE = "tick", "keep", "ask_owner", "redrive"
ATTEMPTS_MAX = 5
"""A case that was judged again so often is a person's, not another attempt's."""
CLOCK = "solesource"
"""Stands as the writer where nobody wrote: time alone made the gate act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where and when a command is judged."""

    entry: ObjectMap
    """The terms in force at gate time."""
    ownership_map: OwnershipMap
    reader: ObjectReader
    connections: Connections
    key: bytes
    position: Position
    received_ms: int
    gate_time_ms: int


def judge_command(
    context: Context, state: RecordState, command: Mapping[str, Any]
) -> tuple[RecordState, list[Outgoing]]:
    """What a decision about a case does: (state after, records to write)."""
    if command["command"] == ASK_OWNER and command["value"] is not None and command["case_id"]:
        return _ask(context, state, command)
    if command["command"] == REDRIVE and 0 < command["attempt"] <= ATTEMPTS_MAX and command["case_id"]:
        return _redrive(context, state, command)
    result = "keep" if command["command"] == KEEP else "refused"
    return state, [_step(context, command, "case_closed" if result == "keep" else "command_refused", result)]


def _ask(
    context: Context, state: RecordState, command: Mapping[str, Any]
) -> tuple[RecordState, list[Outgoing]]:
    try:
        attempted = context.reader.decode(command["value"])
        current = context.reader.decode(state.value) if state.value else {}
    except SchemaError:
        return state, [_step(context, command, "command_refused", "refused")]
    after, questions = ask_owner(
        context.entry,
        state,
        case_id=command["case_id"],
        fields=command["fields"],
        value=command["value"],
        gate_time_ms=context.gate_time_ms,
    )
    if not questions:
        return state, [_step(context, command, "command_refused", "refused")]
    records = [
        proposal(
            context.entry.name,
            context.key,
            question,
            proposer=command["system"] or "",
            by=command["by"],
            note=command["note"],
            current=current.get(question.field),
            proposed=attempted.get(question.field),
        )
        for question in questions
    ]
    records.append(memory(context.entry.name, context.key, after))
    records.append(_step(context, command, "proposal_opened", "asked"))
    return after, records


def _redrive(
    context: Context, state: RecordState, command: Mapping[str, Any]
) -> tuple[RecordState, list[Outgoing]]:
    """Judge a held write again, as its recorded writer's, under today's map and on today's state.

    Its version is compared as any other, so nothing newer is taken back; held again, it leaves nothing but a line.
    """
    change = confirmed(context.connections, redriven(context, command))
    decision = decide(
        context.entry,
        context.ownership_map.version,
        state,
        change,
        context.gate_time_ms,
        decode=context.reader.decode,
        encode=context.reader.encode,
        again=True,
    )
    lines = [_step(context, command, "redriven", decision.outcome.value)]
    if decision.outcome in (Outcome.STALE, Outcome.ECHO, Outcome.DUPLICATE):
        return state, [*lines, _step(context, command, "case_closed", "overtaken")]
    if decision.outcome not in (Outcome.ACCEPTED, Outcome.PARTLY_ACCEPTED):
        return state, lines
    if decision.outcome is Outcome.ACCEPTED:
        lines.append(_step(context, command, "case_closed", "redriven"))
    kept = (Destination.AUTHORITATIVE, Destination.STATE, Destination.PROPOSALS, Destination.TRAIL)
    told = [r for r in route(change, decision, state, context.gate_time_ms) if r.destination in kept]
    return decision.state, told + lines


def redriven(context: Context, command: Mapping[str, Any]) -> Change:
    """The held write of a command, read as on its first day."""
    name = context.entry.name
    return read(
        context.ownership_map,
        {name: context.reader},
        object_name=name,
        system=command["system"] or "",
        key=context.key,
        position=Position(command["topic"], command["partition"], command["offset"]),
        received_ms=context.gate_time_ms,
        headers=tuple(command["headers"].items()),
        value=command["value"],
    )


def _step(context: Context, command: Mapping[str, Any], kind: str, result: str) -> Outgoing:
    return trail_line(
        kind=kind,
        object_name=context.entry.name,
        key=context.key,
        system=command["system"] or "",
        event_id=None,
        position=context.position,
        reason="",
        fields=list(command["fields"]),
        map_version=context.ownership_map.version,
        received_ms=context.received_ms,
        gate_time_ms=context.gate_time_ms,
        case_id=command["case_id"],
        by=command["by"],
        note=command["note"] or None,
        result=result,
    )


def pass_time(context: Context, state: RecordState) -> tuple[RecordState, list[Outgoing]]:
    """What the passing of gate time does to one record: (state after, records to write)."""
    due = elapse(context.entry, state, context.gate_time_ms)
    if due.state is state:
        return state, []
    records = [memory(context.entry.name, context.key, due.state)]
    for parked in due.expired:
        change, decision = _expired(context, parked, state)
        records += route(change, decision, state, context.gate_time_ms)
    for question in due.unanswered:
        records.append(
            closing(
                context.entry.name,
                context.key,
                context.position,
                question,
                "expired",
                context.ownership_map.version,
                context.gate_time_ms,
                received_ms=context.received_ms,
            )
        )
    return due.state, records + _asserted_again(context, state, due)


def _asserted_again(context: Context, state: RecordState, due: Elapsed) -> list[Outgoing]:
    """One revision per system whose pause ended."""
    records = []
    clock = Change(
        context.entry.name,
        CLOCK,
        context.key,
        context.position,
        context.received_ms,
        (),
        None,
        time_ms=context.gate_time_ms,
    )
    decision = Decision(Outcome.ECHO, None, context.ownership_map.version, due.state, writes=True)
    for number, target in enumerate(due.reassert, state.revision + 1):
        now = due.state._replace(revision=number)
        change = clock._replace(event_id=f"pause-ended:{number}")
        records.append(authoritative(change, decision._replace(state=now, reassert=target)))
    return [*records, *write_wars(clock, decision, state, context.gate_time_ms)]


def _expired(context: Context, parked: Parked, state: RecordState) -> tuple[Change, Decision]:
    place = Position(parked.topic, parked.partition, parked.offset)
    change = Change(
        context.entry.name,
        parked.system,
        context.key,
        place,
        parked.received_ms,
        (),
        parked.value,
        event_id=parked.event_id,
        time_ms=parked.source_time_ms,
        fields=parked.fields,
    )
    reason = Reason.PARKED_EXPIRED
    return change, Decision(
        outcome=Outcome.QUARANTINED, reason=reason, map_version=context.ownership_map.version, state=state
    )
