"""From a decision to the records that follow from it: where each goes and what it says.

Pure. It names destinations, not topics; only `broker.topics` knows how they are spelled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from broker.gate.change import Change, case_id_of
from broker.gate.decision import Decision, FieldVerdict, Outcome, Verdict
from broker.gate.memory import memory_record
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.reason import BY_REFERENCE, Reason
from broker.gate.state import OpenProposal, RecordState, wars
from broker.gate.trail import closing, trail
from schemas.authoritative import authoritative_headers, format_owners
from schemas.envelope import HEADER_COUNT_MAX

_TEXT = json.JSONEncoder(default=str, ensure_ascii=False, sort_keys=True).encode
"""One encoder for all: `json.dumps` makes one each time, which takes longer than what it is made for."""


def route(change: Change, decision: Decision, before: RecordState, gate_time_ms: int) -> list[Outgoing]:
    """Every record that follows from one decision, authoritative first."""
    records: list[Outgoing] = []
    if decision.writes:
        records.append(authoritative(change, decision))
    if decision.state.memory is not before.memory:
        records.append(memory(change.object, change.key, decision.state))
    if decision.outcome is Outcome.DUPLICATE:
        return records
    if decision.outcome is Outcome.OBSERVED:
        fields = [verdict.field for verdict in decision.verdicts]
        would = decision.detail
        return [*records, trail(change, decision, gate_time_ms, "observed", fields, result=would)]
    held = [v for v in decision.verdicts if v.verdict is Verdict.HELD]
    if decision.outcome in (Outcome.UNREADABLE, Outcome.QUARANTINED) or held:
        records.append(case(change, decision, before, gate_time_ms))
    if (refusal := _refusal(change, decision, gate_time_ms)) is not None:
        records.append(Outgoing(Destination.REFUSALS, change.key, refusal, target=change.system))
    known = {question.proposal_id for question in before.memory.proposals}
    records += [
        _proposed(change, decision, question)
        for question in decision.state.memory.proposals
        if question.proposal_id not in known
    ]
    records += _trail(change, decision, gate_time_ms)
    records += write_wars(change, decision, before, gate_time_ms)
    return records


def write_wars(
    change: Change, decision: Decision, before: RecordState, gate_time_ms: int
) -> Iterator[Outgoing]:
    """One case per field of which two systems keep overwriting each other's value; it names both."""
    judged = {verdict.field: verdict for verdict in decision.verdicts}
    for entry in wars(before.memory, decision.state.memory):
        found = judged.get(entry.field)
        verdict = FieldVerdict(
            entry.field,
            Verdict.HELD,
            Reason.WRITE_WAR,
            found.owner if found else None,
            found.authoritative if found else None,
            found.attempted if found else None,
        )
        war = Decision(
            Outcome.QUARANTINED,
            Reason.WRITE_WAR,
            decision.map_version,
            decision.state,
            detail=f"{entry.system} was sent the owner's value of {entry.field} {entry.count} times",
            verdicts=(verdict,),
        )
        told = change._replace(system=entry.system)
        yield case(
            told, war, before, gate_time_ms, case_id=f"{case_id_of(change.position)}.war.{entry.field}"
        )


def _proposed(change: Change, decision: Decision, question: OpenProposal) -> Outgoing:
    verdict = next(v for v in decision.verdicts if v.field == question.field)
    return proposal(
        change.object,
        change.key,
        question,
        proposer=change.system,
        by="policy",
        note=Reason.NOT_OWNER.sentence,
        current=verdict.authoritative,
        proposed=verdict.attempted,
    )


def proposal(
    object_name: str,
    key: bytes,
    question: OpenProposal,
    *,
    proposer: str,
    by: str,
    note: str,
    current: Any,
    proposed: Any,
) -> Outgoing:
    """The question as its owner gets it."""
    field = {
        "field": question.field,
        "current": json.dumps(current, default=str),
        "proposed": json.dumps(proposed, default=str),
    }
    return Outgoing(
        Destination.PROPOSALS,
        key,
        {
            "proposal_id": question.proposal_id,
            "object": object_name,
            "key": key,
            "proposer": proposer,
            "by": by,
            "note": note,
            "fields": [field],
            "case_id": question.case_id,
            "opened_ms": question.opened_ms,
            "expires_ms": question.expires_ms,
        },
        target=question.owner,
    )


def authoritative(change: Change, decision: Decision) -> Outgoing:
    """The new revision of the record."""
    after = decision.state
    headers = authoritative_headers(
        object_name=change.object,
        key=change.key,
        revision=after.revision,
        deleted=after.value is None,
        time_ms=change.time_ms,
        system=change.system,
        event_id=change.event_id,
        changed=decision.changed,
        owners=format_owners(after.owners),
        map_version=decision.map_version,
        ingress_ms=change.received_ms,
        reassert=decision.reassert,
        time=change.time,
    )
    return Outgoing(Destination.AUTHORITATIVE, change.key, after.value, headers, change.object)


def memory(object_name: str, key: bytes, after: RecordState) -> Outgoing:
    """What must be remembered beside the authoritative record."""
    return Outgoing(Destination.STATE, key, memory_record(after.memory), target=object_name)


def json_text(value: Any) -> str | None:
    """A value as JSON text for people; None stays None ("nothing")."""
    if value is None:
        return None
    return _TEXT(value.hex() if isinstance(value, bytes) else value)


def _verdict(verdict: FieldVerdict) -> dict[str, Any]:
    return {
        "field": verdict.field,
        "verdict": verdict.verdict.value,
        "reason": verdict.reason.code if verdict.reason else "",
        "owner": verdict.owner,
        "epoch": verdict.epoch,
        "authoritative": json_text(verdict.authoritative),
        "attempted": json_text(verdict.attempted),
    }


def case(
    change: Change, decision: Decision, before: RecordState, gate_time_ms: int, case_id: str = ""
) -> Outgoing:
    """What is held, with why. `case_id`: where it is not the one of the change's place."""
    body = _case_body(change, decision, before, gate_time_ms)
    if case_id:
        body["case_id"] = case_id
    return Outgoing(Destination.QUARANTINE, change.key, body, _dead_letter(change, decision))


def _dead_letter(change: Change, decision: Decision) -> list[tuple[str, bytes]]:
    """What Kafka Connect says of a record in its dead letter queue, so that tools made for it can read ours."""
    topic, partition, offset = change.position
    code, why = ("", "") if decision.reason is None else (decision.reason.code, decision.reason.sentence)
    return [
        ("__connect.errors.topic", topic.encode()),
        ("__connect.errors.partition", b"%d" % partition),
        ("__connect.errors.offset", b"%d" % offset),
        ("__connect.errors.connector.name", b"solesource"),
        ("__connect.errors.exception.class.name", code.encode()),
        ("__connect.errors.exception.message", (decision.detail or why).encode()),
    ]


def _case_body(change: Change, decision: Decision, before: RecordState, gate_time_ms: int) -> dict[str, Any]:
    by_reference = decision.reason in BY_REFERENCE
    return {
        "case_id": case_id_of(change.position),
        "object": change.object,
        "key": change.key,
        "system": change.system,
        "event_id": change.event_id or None,
        "deletes": change.deletes,
        "source_time_ms": change.time_ms or None,
        "received_ms": change.received_ms,
        "gate_time_ms": gate_time_ms,
        "topic": change.position.topic,
        "partition": change.position.partition,
        "offset": change.position.offset,
        "sha256": b"" if change.value is None else hashlib.sha256(change.value).digest(),
        "outcome": decision.outcome.value,
        "reason": decision.reason.code if decision.reason else "",
        "detail": decision.detail,
        "map_version": decision.map_version,
        "verdicts": [_verdict(verdict) for verdict in decision.verdicts],
        # I6: the original bytes are kept; only what exceeds a record's limit is kept by reference.
        "headers": {name: text or b"" for name, text in change.headers[:HEADER_COUNT_MAX]},
        "value": None if by_reference else change.value,
        "by_reference": by_reference,
        "authoritative": before.value,
        "revision": before.revision,
    }


def _refusal(change: Change, decision: Decision, gate_time_ms: int) -> dict[str, Any] | None:
    stopped = [v for v in decision.verdicts if v.verdict in (Verdict.HELD, Verdict.REFUSED)]
    if decision.reason is None or (
        not stopped and decision.outcome not in (Outcome.UNREADABLE, Outcome.QUARANTINED)
    ):
        return None
    return {
        "case_id": case_id_of(change.position),
        "object": change.object,
        "key": change.key,
        "event_id": change.event_id or None,
        "reason": decision.reason.code,
        "rule": rule_sentence(change.object, stopped, decision.reason),
        "what_to_do": decision.reason.what_to_do,
        "fields": [verdict.field for verdict in stopped],
        "owners": {verdict.field: verdict.owner for verdict in stopped if verdict.owner},
        "outcome": decision.outcome.value,
        "map_version": decision.map_version,
        "refused_ms": gate_time_ms,
    }


def rule_sentence(object_name: str, stopped: Iterable[FieldVerdict], reason: Reason) -> str:
    """The rule that stopped a write, naming the owners: `crm is the system of record of customer name.`"""
    owners: dict[str, list[str]] = {}
    for verdict in stopped:
        if verdict.owner:
            owners.setdefault(verdict.owner, []).append(verdict.field)
    named = " ".join(
        f"{owner} is the system of record of {object_name} {', '.join(fields)}."
        for owner, fields in owners.items()
    )
    return f"{named} {reason.sentence}".strip()


def _trail(change: Change, decision: Decision, gate_time_ms: int) -> Iterator[Outgoing]:
    kinds = (Outcome.ECHO, Outcome.STALE, Outcome.PARKED, Outcome.REFUSED, Outcome.PROPOSED)
    fields = [verdict.field for verdict in decision.verdicts]
    if decision.outcome in kinds:
        yield trail(
            change, decision, gate_time_ms, decision.outcome.value, fields, revision=decision.acknowledges
        )
    elif decision.outcome is Outcome.PARTLY_ACCEPTED and not any(
        verdict.verdict is Verdict.HELD for verdict in decision.verdicts
    ):  # where fields are held, their case tells it
        stopped = [v.field for v in decision.verdicts if v.verdict in (Verdict.REFUSED, Verdict.PROPOSED)]
        yield trail(change, decision, gate_time_ms, decision.outcome.value, stopped)
    if decision.reassert is not None:
        again = sorted(decision.reassert[1])
        yield trail(change, decision, gate_time_ms, "reasserted", again, revision=decision.state.revision)
    for parked, left_out in zip(decision.merged, decision.not_taken, strict=True):
        line = trail(change, decision, gate_time_ms, "parked_merged", [], revision=decision.state.revision)
        assert isinstance(line.body, dict)
        place = {"topic": parked.topic, "partition": parked.partition, "offset": parked.offset}
        yield Outgoing(
            line.destination,
            line.key,
            {
                **line.body,
                "system": parked.system,
                "event_id": parked.event_id,
                "note": f"not taken: {', '.join(sorted(left_out))}" if left_out else None,
                **place,
            },
        )
    for proposal, result in decision.closed:
        yield closing(
            change.object,
            change.key,
            change.position,
            proposal,
            result,
            decision.map_version,
            gate_time_ms,
            received_ms=change.received_ms,
            revision=decision.state.revision,
        )
