"""Sends a person's decision to the gate: a command in the log. Whether it took effect is read from the trail.

A decision is noted in SQL before it is sent, and marked when the log has it; done is only what the trail
says.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiokafka.errors import KafkaError

from broker import telemetry
from broker.clock import now_ms
from broker.commands import command_value
from broker.console.errors import ConsoleError, NotSentError
from broker.store.case_states import CaseState
from broker.store.cases import Case
from broker.store.decisions import Decision, Sending, begin_decision, mark_decision
from broker.store.engine import Engine, writing

ANSWER_EXPECTED_MS = 60_000
"""The gate answers within seconds; after this the page says that it has not."""


class Choice(StrEnum):
    """What a person can decide about a case."""

    KEEP = "keep"
    ASK_OWNER = "ask_owner"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice as the page offers it; `why_not` says why it cannot be taken now."""

    choice: Choice
    title: str
    effect: str
    why_not: str = ""


class Sender(Protocol):
    """The way into the log."""

    async def send(self, object_name: str, key: bytes, value: bytes) -> None:
        """Send a command about a record; return when the log has it. Raises KafkaError or TimeoutError."""


def new_command_id() -> str:
    """The name of a decision, made with the form: the same form sent twice is one decision."""
    return secrets.token_hex(16)


def options(case: Case, sink_titles: dict[str, str]) -> list[Option]:
    """What can be decided about a case, and what each choice will do."""
    writer = sink_titles.get(case.system, case.system)
    owners = " and ".join(sink_titles.get(name, name) for name in case.owners) or "the owner"
    closed = "" if case.state is not CaseState.CLOSED else "This case is closed."
    keep = Option(
        Choice.KEEP,
        "Keep the owner's value",
        f"Nothing changes in any system: {owners}'s value stays in force, what {writer} sent is not used, "
        "and the case closes.",
        closed,
    )
    ask = Option(
        Choice.ASK_OWNER,
        "Ask the owner",
        f"The team of {owners} gets the value as a suggestion. Nothing changes unless they make it "
        "their own; the case closes with their answer.",
        closed or _why_not_ask(case),
    )
    return [keep, ask]


def _why_not_ask(case: Case) -> str:
    if case.state is CaseState.ASKED:
        return "The owner has been asked already."
    if case.deletes:
        return "A deletion cannot be put as a question; tell the owner's team."
    if case.value is None or not case.held_fields:
        return "There is no readable value to suggest."
    return "" if case.owners else "Nobody owns this yet, so there is nobody to ask."


def decision_value(case: Case, decision: Decision) -> bytes:
    """The wire bytes of a decision."""
    asks = decision.decision == Choice.ASK_OWNER
    return command_value(
        decision.decision,
        command_id=decision.command_id,
        by=decision.by,
        note=decision.note,
        case_id=case.case_id,
        system=case.system,
        fields=case.askable_fields if asks else case.held_fields,
        value=case.value if asks else None,
        issued_ms=decision.issued_ms,
    )


async def decide(
    engine: Engine, sender: Sender, case: Case, *, choice: str, by: str, note: str, command_id: str
) -> Decision:
    """Send a decision; returns when the log has it. A form sent twice is sent once.

    Raises ConsoleError when it cannot be taken, NotSentError when the log did not take it.
    """
    option = next((option for option in options(case, {}) if option.choice == choice), None)
    if option is None or option.why_not:
        msg = option.why_not if option else "There is no such choice."
        raise ConsoleError(msg, "Open the case again and look at its history.")
    decision = Decision(command_id, case.case_id, choice, by, note, now_ms(), Sending.SENDING)
    if not await asyncio.to_thread(_begin, engine, decision):
        return decision
    try:
        await sender.send(case.object, case.key, decision_value(case, decision))
    except (KafkaError, OSError, TimeoutError) as error:
        await asyncio.to_thread(_mark, engine, command_id, Sending.FAILED)
        telemetry.log(
            "console.decision_failed",
            level="error",
            case=case.case_id,
            decision=choice,
            error=type(error).__name__,
        )
        msg = "Your decision could not be sent."
        raise NotSentError(msg) from error
    await asyncio.to_thread(_mark, engine, command_id, Sending.SENT)
    telemetry.log("console.decision_sent", case=case.case_id, decision=choice, by=by)
    return decision


def _begin(engine: Engine, decision: Decision) -> bool:
    with writing(engine) as connection:
        return begin_decision(connection, decision)


def _mark(engine: Engine, command_id: str, delivery: Sending) -> None:
    with writing(engine) as connection:
        mark_decision(connection, command_id, delivery)
