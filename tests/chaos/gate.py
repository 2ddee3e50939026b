"""A gate worker that can be told to kill itself at a named point; the product is wrapped from outside, not changed.

An order is a file `order-<pid>` in the folder that `CHAOS_ORDERS` names, and holds the point. The first pass through
it after that is the last thing that this process does: SIGKILL, so nothing is said or tidied up.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.surroundings import surround

POINTS = (
    "fetched",
    "read",
    "rules_looked_up",
    "before_deciding",
    "decided_unsent",
    "in_the_midst_of_sending",
    "sent_uncommitted",
    "commit_answer_lost",
    "held_case_written",
    "command_fetched",
    "command_committed_unconfirmed",
    "checkpoint",
)
"""After fetch, after decode, after rule lookup, before deciding, after deciding before sending, while sending, after
sending before EndTxn, EndTxn done and its answer lost, while a held case is written, between a person's decision and
its release, between release and confirmation, while the state on disk is written."""


class Orders:
    """Whether this process is to die here."""

    def __init__(self, folder: Path) -> None:
        self._order = folder / f"order-{os.getpid()}"
        self._done = folder / f"done-{os.getpid()}"

    def reached(self, point: str) -> None:
        """Die here, if that was ordered."""
        try:
            ordered = self._order.read_text()
        except FileNotFoundError:
            return
        if ordered == point:
            self._done.write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)


def wrap(orders: Orders) -> None:
    """Put the named points around the lane's own functions."""
    _around_fetching(orders)
    _around_judging(orders)
    _around_writing(orders)
    _around_checkpoints(orders)


def _around_fetching(orders: Orders) -> None:
    from broker.lane import slot

    reader_of, in_order = slot.reader_of, slot.in_order

    def watched_reader(*given: Any, **options: Any) -> Any:
        consumer = reader_of(*given, **options)
        getmany = consumer.getmany

        async def fetched(*places: Any, **how: Any) -> Any:
            found = await getmany(*places, **how)
            if found:
                orders.reached("fetched")
            return found

        consumer.getmany = fetched
        return consumer

    def ordered(batches: Any) -> Any:
        found = list(batches)
        if any(record.topic.startswith("commands.") and record.key for each in found for record in each):
            orders.reached("command_fetched")
        return in_order(found)

    slot.reader_of, slot.in_order = watched_reader, ordered  # type: ignore[assignment]


def _around_judging(orders: Orders) -> None:
    from broker.lane import judge
    from broker.lane.slot import SlotWriter

    read, decide, expressed = judge.read, judge.decide, judge.Judge._expressed
    looked_up, judged = judge.Judge._input, SlotWriter.commit
    judge.read = _then(read, orders, "read")
    judge.decide = _first(orders, "before_deciding", decide)
    judge.Judge._expressed = _first(orders, "before_deciding", expressed)  # type: ignore[method-assign]
    judge.Judge._input = _then(looked_up, orders, "rules_looked_up")  # type: ignore[method-assign]

    async def commit(self: Any, outgoing: Any, *given: Any) -> Any:
        orders.reached("decided_unsent")
        moved = await judged(self, outgoing, *given)
        lines = [record.body for record, _ in outgoing if isinstance(record.body, dict)]
        if any(line.get("case_id") and line.get("by") for line in lines):
            orders.reached("command_committed_unconfirmed")
        return moved

    SlotWriter.commit = commit  # type: ignore[method-assign]


def _around_writing(orders: Orders) -> None:
    from aiokafka import AIOKafkaProducer
    from aiokafka.client import AIOKafkaClient
    from aiokafka.protocol.transaction import EndTxnRequest

    send_batch, end, begin = (
        AIOKafkaProducer.send_batch,
        AIOKafkaProducer.commit_transaction,
        AIOKafkaProducer.begin_transaction,
    )
    send, sent = AIOKafkaClient.send, {"batches": 0}

    async def begun(self: Any) -> None:
        sent["batches"] = 0
        await begin(self)

    async def one_batch(self: Any, batch: Any, topic: str, *, partition: int) -> Any:
        future = await send_batch(self, batch, topic, partition=partition)
        sent["batches"] += 1
        if topic == "quarantine":
            await future
            orders.reached("held_case_written")
        if sent["batches"] == 2:
            orders.reached("in_the_midst_of_sending")
        return future

    async def committed(self: Any) -> None:
        orders.reached("sent_uncommitted")
        await end(self)

    @functools.wraps(send)
    async def answered(self: Any, node: Any, request: Any, **how: Any) -> Any:
        answer = await send(self, node, request, **how)
        if isinstance(request, EndTxnRequest):
            orders.reached("commit_answer_lost")
        return answer

    AIOKafkaProducer.begin_transaction, AIOKafkaProducer.send_batch = begun, one_batch
    AIOKafkaProducer.commit_transaction, AIOKafkaClient.send = committed, answered


def _around_checkpoints(orders: Orders) -> None:
    from broker.lane import checkpoint

    checkpoint.Checkpoint.encode = _first(orders, "checkpoint", checkpoint.Checkpoint.encode)


def _then(function: Callable[..., Any], orders: Orders, point: str) -> Callable[..., Any]:
    def then(*given: Any, **named: Any) -> Any:
        answer = function(*given, **named)
        orders.reached(point)
        return answer

    return then


def _first(orders: Orders, point: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def first(*given: Any, **named: Any) -> Any:
        orders.reached(point)
        return function(*given, **named)

    return first


if __name__ == "__main__":
    wrap(Orders(Path(os.environ["CHAOS_ORDERS"])))
    surround(os.environ)
    from broker.cli.processes import gate

    sys.argv[1:] = []
    gate()
