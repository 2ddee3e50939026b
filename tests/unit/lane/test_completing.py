"""A torn batch is judged again from its inputs, and what is missing of it is written; never anything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from broker.lane import completing
from broker.lane.completing import TornBatchError, complete
from broker.lane.memory import SlotMemory
from broker.lane.torn import Torn
from tests.gate_parts import Bench

PLACE = ("authoritative.customer", 0)


@dataclass
class Writer:
    """Kafka that takes everything."""

    written: list[Any] = field(default_factory=list)

    async def complete(self, outgoing: Any, ledger: Any, _: Any, missing: Any) -> dict[tuple[str, int], int]:
        self.written.append((list(outgoing), ledger, missing))
        return {PLACE: 99}


@dataclass
class Stand:
    """A bench whose last batch is torn, and a memory that stands before it."""

    bench: Bench = field(default_factory=Bench)
    memory: SlotMemory = field(default_factory=lambda: SlotMemory(slot=0, partitions={"customer": 1}))
    writer: Writer = field(default_factory=Writer)

    def __post_init__(self) -> None:
        other = Bench(memory=self.memory)
        for bench in (self.bench, other):
            bench.judge(bench.upsert("crm", "1", {"name": "A", "credit_limit": None}))
        batch = [self.bench.upsert("crm", "2", {"name": "B"}), self.bench.upsert("erp", "3", {"name": "C"})]
        self.judged = self.bench.judge(*batch)
        before, record = self.bench.ledger
        self.part = Torn(record, before, frozenset({PLACE}))
        self.inputs: dict[str, dict[int, Any]] = {}
        for each in batch:
            self.inputs.setdefault(f"{each.topic}/0", {})[each.offset] = each

    async def complete(self, part: Torn | None = None) -> None:
        writer: Any = self.writer
        await complete(part or self.part, self.memory, self.bench.rules, self.inputs, writer)


async def test_what_is_missing_is_written_and_the_slot_stands_behind_it() -> None:
    stand = Stand()
    await stand.complete()
    assert stand.writer.written == [(stand.judged.outgoing, stand.part.record, stand.part.missing)]
    assert stand.memory.ends == {PLACE: 99}
    stand.memory.ends = {}
    assert stand.memory == stand.bench.memory


async def test_a_batch_that_comes_out_otherwise_is_not_written() -> None:
    stand = Stand()
    edited = dict(stand.part.record) | {"decisions_digest": b"another"}
    with pytest.raises(TornBatchError, match=r"comes out otherwise: \['decisions_digest'\]"):
        await stand.complete(Torn(edited, stand.part.before, stand.part.missing))
    assert not stand.writer.written and stand.memory.sequence == 1


@pytest.mark.parametrize("gone", ["changes.crm.customer/0", "changes.erp.customer/0"])
async def test_a_batch_whose_changes_are_gone_is_not_written(gone: str) -> None:
    stand = Stand()
    stand.inputs[gone].clear()
    with pytest.raises(TornBatchError, match="what it was made from is gone"):
        await stand.complete()
    assert not stand.writer.written


async def test_a_batch_that_is_not_the_next_one_is_not_written() -> None:
    stand = Stand()
    stand.memory.sequence = 0
    with pytest.raises(TornBatchError, match="what it was made from is gone"):
        await stand.complete()
    assert not stand.writer.written


async def test_without_the_right_to_read_all_of_it_what_can_be_read_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def looked_at(_: Any, wanted: dict[tuple[str, int], int], __: Any) -> dict[tuple[str, int], bool]:
        if ("trail", 0) in wanted:
            raise TopicAuthorizationFailedError("trail")
        return dict.fromkeys(wanted, True)

    monkeypatch.setattr(completing, "_looked_at", looked_at)
    consumer: Any = None
    with capture_logs() as logs:
        found = await completing._found(consumer, {PLACE: 1, ("trail", 0): 2, ("state.customer", 0): 3}, {})
    assert found == {PLACE: True, ("state.customer", 0): True}
    assert [line["event"] for line in logs] == ["slot.outputs_not_readable"]
