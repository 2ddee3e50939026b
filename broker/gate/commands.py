"""Commands: a steward's and control's ways in, judged like everything else.

Pure. No command lets a value past its owner: `ask_owner` puts a question, `keep` closes a case, `tick` moves gate time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.gate.change import Change, ObjectReader, Position
from broker.gate.decision import Decision, Outcome
from broker.gate.reason import Reason
from broker.gate.route import Outgoing, authoritative, closing, memory, proposal, route, trail_line
from broker.gate.state import Parked, RecordState
from broker.gate.waiting import ask_owner, elapse
from ownership.map import ObjectMap
from schemas.errors import SchemaError

TICK, KEEP, ASK_OWNER = "tick", "keep", "ask_owner"
CLOCK = "solesource"
"""Stands as the writer where nobody wrote: time alone made the gate act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where and when a command is judged."""

    entry: ObjectMap
    map_version: int
    reader: ObjectReader
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
        map_version=context.map_version,
        received_ms=context.received_ms,
        gate_time_ms=context.gate_time_ms,
        case_id=command["case_id"],
        by=command["by"],
        note=command["note"] or None,
        result=result,
    )


def pass_time(context: Context, state: RecordState) -> tuple[RecordState, list[Outgoing]]:
    """What the passing of gate time does to one record: (state after, records to write)."""
    due = elapse(state, context.gate_time_ms)
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
                context.map_version,
                context.gate_time_ms,
                received_ms=context.received_ms,
            )
        )
    revision = state.revision
    for target in due.reassert:
        revision += 1
        change = Change(
            context.entry.name,
            CLOCK,
            context.key,
            context.position,
            context.received_ms,
            (),
            None,
            event_id=f"pause-ended:{revision}",
            time_ms=context.gate_time_ms,
        )
        now = RecordState(value=state.value, revision=revision, owners=state.owners)
        decision = Decision(
            outcome=Outcome.ECHO,
            reason=None,
            map_version=context.map_version,
            state=now,
            writes=True,
            reassert=target,
        )
        records.append(authoritative(change, decision))
    return due.state, records


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
        outcome=Outcome.QUARANTINED, reason=reason, map_version=context.map_version, state=state
    )
