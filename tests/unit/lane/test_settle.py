"""A batch that cannot be committed whole is cut down to the record in the way; everything else goes on as if alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.gate.change import Fault
from broker.gate.outgoing import Destination
from broker.gate.reason import Reason
from broker.lane.judge import Judge
from broker.lane.judged import Judged
from broker.lane.order import BATCH_RECORDS_MAX, records_max
from broker.lane.rejudge import Again, rejudge
from broker.lane.settle import Batch, Settling, StandsStill, answer
from tests.gate_parts import Bench, Record


@dataclass
class Writer:
    """Kafka that refuses a transaction in which one of some events is written whole."""

    refused: dict[str, Exception] = field(default_factory=dict)
    written: list[Any] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    renewed: int = 0

    async def commit(self, outgoing: Iterable[Any], ledger: dict[str, Any], _: Any) -> dict[Any, int]:
        records = [record for record, _ in outgoing]
        for record in records:
            if record.destination is Destination.AUTHORITATIVE:
                event = dict(record.headers)["ce_causationid"].decode().partition("/")[2]
                if event in self.refused:
                    raise self.refused[event]
            if "quarantine" in self.refused and record.destination is Destination.QUARANTINE:
                raise self.refused["quarantine"]
        self.written += records
        self.ledger.append(ledger)
        return {}

    async def renew(self) -> None:
        self.renewed += 1


class Poisoned(Judge):
    """A judge with a defect: some events make it fail."""

    poison: frozenset[str] = frozenset()

    def _change(self, rules: Any, judged: Judged, record: Any, source: Any, system: str, fault: Any) -> None:
        if fault is None and dict(record.headers)["ce_id"].decode() in self.poison:
            raise ZeroDivisionError
        super()._change(rules, judged, record, source, system, fault)


@dataclass
class Stand:
    bench: Bench = field(default_factory=Bench)
    writer: Writer = field(default_factory=Writer)

    async def settle(self, records: Sequence[Record], poison: Iterable[str] = ()) -> None:
        judge = Poisoned(self.bench.memory, "worker")
        judge.poison = frozenset(poison)

        async def submit(batch: Batch) -> None:
            await answer(batch)  # as the agent does

        async def kept(_: Any) -> None: ...

        self.bench.log += records
        settling = Settling(self.writer, judge, submit, lambda _: None, kept)  # type: ignore[arg-type]
        await settling.settle(self.bench.rules, records)

    @property
    def account(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for record in self.writer.ledger:
            for name, count in record["account"].items():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def cases(self) -> list[dict[str, Any]]:
        return [record.body for record in self.writer.written if record.destination is Destination.QUARANTINE]


def writes(bench: Bench, count: int) -> list[Record]:
    return [bench.upsert("crm", f"seq:0:{n:03d}", {"name": f"N{n}"}, key=f"C-{n % 3}") for n in range(count)]


def event(number: int) -> str:
    return f"seq:0:{number:03d}"


@settings(deadline=None)
@given(
    count=st.integers(1, 24),
    poison=st.sets(st.integers(0, 23)),
    large=st.sets(st.integers(0, 23)),
)
async def test_only_what_is_in_the_way_is_held(count: int, poison: set[int], large: set[int]) -> None:
    """I2, I3, I4, I6: each change has one outcome, and the others come out as if those in the way were not there."""
    stand = Stand(writer=Writer({event(n): MessageSizeTooLargeError() for n in large}))
    records = writes(stand.bench, count)
    await stand.settle(records, map(event, poison))
    bad = {n for n in poison | large if n < count}
    assert sum(stand.account.values()) == count
    assert stand.account.get("quarantined", 0) == len(bad)
    held = {case["offset"]: case for case in stand.cases}
    assert held.keys() == bad
    for number, case in held.items():
        assert case["reason"] == ("not_decidable" if number in poison else "not_writable")
        assert case["by_reference"] and case["value"] is None and len(case["sha256"]) == 32
        assert case["event_id"] == event(number)
    alone = Bench()
    for number, record in enumerate(writes(alone, count)):
        if number not in bad:
            alone.judge(record)
    for key in (b"C-0", b"C-1", b"C-2"):
        assert stand.bench.values(key) == alone.values(key)
        assert stand.bench.state(key).revision == alone.state(key).revision
    assert stand.bench.memory.positions == {"changes.crm.customer/0": count}
    inputs = {"changes.crm.customer/0": {record.offset: record for record in stand.bench.log}}
    slot = Again(0, stand.writer.ledger, lambda: inputs, {1: stand.bench.rules}, {"customer": 1})
    faults = rejudge([slot], {"customer": 1}, 1)
    assert faults == []  # judged again, each comes out as it was recorded, those in the way too


async def test_one_in_the_way_of_thousands_is_found_quickly() -> None:
    stand = Stand(writer=Writer({event(700): MessageSizeTooLargeError()}))
    await stand.settle(writes(stand.bench, 1000))
    assert stand.account == {"accepted": 999, "quarantined": 1}
    assert stand.writer.renewed <= 11  # log2 of a thousand, and one


async def test_a_right_that_is_missing_holds_nobodys_change() -> None:
    """I10: the input stands still before the record; what came before it is committed."""
    stand = Stand(writer=Writer({event(5): TopicAuthorizationFailedError("authoritative.customer")}))
    with pytest.raises(StandsStill) as stopped:
        await stand.settle(writes(stand.bench, 9))
    assert (stopped.value.place.topic, stopped.value.offset) == ("changes.crm.customer", 5)
    assert stand.account == {"accepted": 5} and stand.cases == []
    assert stand.bench.memory.positions == {"changes.crm.customer/0": 5}


async def test_a_case_that_cannot_be_written_stands_still_too() -> None:
    refused = {event(1): MessageSizeTooLargeError(), "quarantine": MessageSizeTooLargeError()}
    stand = Stand(writer=Writer(refused))
    with pytest.raises(StandsStill):
        await stand.settle(writes(stand.bench, 3))
    assert stand.account == {"accepted": 1}


@pytest.mark.parametrize("error", [KafkaConnectionError(), ProducerFenced("fenced")])
async def test_an_indefinite_error_is_not_settled_here(error: Exception) -> None:
    """I3: nobody knows what is in the log now; the slot must open again from it."""
    stand = Stand(writer=Writer({event(1): error}))
    with pytest.raises(type(error)):
        await stand.settle(writes(stand.bench, 3))
    assert stand.writer.ledger == [] and stand.bench.memory.sequence == 0


async def test_a_command_in_the_way_is_counted_and_left() -> None:
    stand = Stand()
    tick = stand.bench.tick()
    judged = Judge(stand.bench.memory, "worker").judge(
        stand.bench.rules, [tick], Fault(Reason.NOT_DECIDABLE, "ZeroDivisionError")
    )
    assert (judged.commands, judged.outgoing) == (1, [])


def test_a_batch_is_as_large_as_can_be_decided_in_time() -> None:
    assert records_max(0.0) == records_max(0.00005) == BATCH_RECORDS_MAX
    assert records_max(0.001) == 200
    assert records_max(1.0) == 50


class Slow(Judge):
    """A judge to whom every record is a lot of work."""

    def _change(self, rules: Any, judged: Judged, record: Any, source: Any, system: str, fault: Any) -> None:
        time.sleep(0.001)
        super()._change(rules, judged, record, source, system, fault)


async def test_a_long_batch_holds_up_nobody_else() -> None:
    """Found by a soak: four batches in a row and no heartbeat to Kafka for eight seconds; the slots changed hands, to
    and fro, and for twenty minutes hardly anything was judged.
    """
    bench, late = Bench(), [0.0]
    records = [bench.upsert("erp", f"seq:0:{n:04d}", {"name": "Eve"}, key=f"C-{n}") for n in range(600)]
    batches = [
        Batch(Slow(bench.memory, "worker"), bench.rules, records, asyncio.get_running_loop().create_future())
        for _ in range(2)
    ]

    async def heartbeats() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late[0] = max(late[0], time.monotonic() - before)

    beating = asyncio.create_task(heartbeats())
    await asyncio.sleep(0)
    began = time.monotonic()
    for batch in batches:
        await answer(batch)
    spent = time.monotonic() - began
    beating.cancel()
    assert all(sum(batch.judged.result().account.values()) == 600 for batch in batches)
    assert spent > 1.0 and late[0] < spent / 3, (spent, late)
    assert all(0.5 < batch.spent_s < spent for batch in batches)


async def test_a_batch_whose_slot_was_closed_is_given_up_quietly() -> None:
    bench = Bench()
    for record in (
        bench.upsert("crm", "seq:0:01", {"name": "Ada"}),
        bench.upsert("crm", "seq:0:02", {"name": "Eve"}),
    ):
        batch = Batch(
            Judge(bench.memory, "worker"), bench.rules, [record], asyncio.get_running_loop().create_future()
        )
        batch.judged.cancel()
        record.headers = cast("Any", None) if record.offset else record.headers  # the second one fails
        await answer(batch)
        assert batch.judged.cancelled()
