"""A batch to its end: committed whole, or cut down to the one record that stands in the way, which is held.

Two kinds of errors (design, section 7). One that is *certain* comes back as often as the same records are tried:
deciding fails, or what follows is too large to write. Everything before the record is committed, the record itself is
held by reference, the rest goes on. Any other error is *indefinite*: it passes through here, and the slot opens again
from the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)

from broker.gate.change import Fault
from broker.gate.reason import Reason
from broker.lane.judge import Judge
from broker.lane.judged import Judged, NotDecided
from broker.lane.transaction import DoesNotFit, SlotWriter
from broker.rules import Rules
from schemas.errors import SchemaError

TOO_LARGE = (
    MessageSizeTooLargeError,
    RecordTooLargeError,
    RecordListTooLargeError,
    PolicyViolationError,
    DoesNotFit,
    SchemaError,
)
log = structlog.get_logger()


PAUSE_AFTER_S = 0.02
"""So long is judged without a look at what else there is to do."""


@dataclass(slots=True)
class Batch:
    """Work for the gate's agent: records of one slot in order, and a place for what became of them."""

    judge: Judge
    rules: Rules
    records: Sequence[Any]
    judged: asyncio.Future[Judged]
    fault: Fault | None = None
    spent_s: float = 0.0
    """How long deciding took; set by the agent."""


async def answer(batch: Batch) -> None:
    """Judge a batch, and tell its slot, unless that was closed meanwhile."""
    try:
        judged = await _decided(batch)
    except Exception as error:  # noqa: BLE001 - a defect in deciding is the slot's to report, not the agent's
        if not batch.judged.done():
            batch.judged.set_exception(error)
    else:
        if not batch.judged.done():
            batch.judged.set_result(judged)


async def _decided(batch: Batch) -> Judged:
    """Judge a batch, and let others have their turn meanwhile. Raises what judging raises.

    The clients of Kafka live on the same loop: a worker that says nothing for six seconds is taken for dead, its slots
    go to another, and with a backlog that one says nothing either. Found by a soak: for twenty minutes slots went to
    and fro, and hardly anything was judged.
    """
    steps = batch.judge.steps(batch.rules, batch.records, batch.fault)
    while True:
        began = time.perf_counter()
        try:
            while time.perf_counter() - began < PAUSE_AFTER_S:
                next(steps)
        except StopIteration as end:
            judged: Judged = end.value
            return judged
        finally:
            batch.spent_s += time.perf_counter() - began
        await asyncio.sleep(0)


class StandsStill(Exception):
    """Neither what follows from a record nor its case can be written: its input stands still (I10)."""

    def __init__(self, place: TopicPartition, offset: int, error: Exception) -> None:
        super().__init__(f"{place.topic}/{place.partition}/{offset}: {error!r}")
        self.place, self.offset, self.error = place, offset, error


class Settling:
    """Settles the batches of one slot while it is open."""

    def __init__(
        self,
        writer: SlotWriter,
        judge: Judge,
        submit: Callable[[Batch], Awaitable[None]],
        committed: Callable[[Judged], None],
        kept: Callable[[Mapping[tuple[str, int], int]], Awaitable[None]],
    ) -> None:
        self._writer = writer
        self._judge = judge
        self._submit = submit
        self._committed = committed
        self._kept = kept
        self.s_per_record = 0.0
        """What deciding one record of the last batch took."""

    async def settle(self, rules: Rules, records: Sequence[Any]) -> None:
        """Commit what follows from the records, in order. Raises StandsStill, or an indefinite error."""
        left = [records]
        while left:
            part = left.pop()
            try:
                await self._commit(rules, part)
            except NotDecided as error:
                before, record, after = part[: error.index], part[error.index], part[error.index + 1 :]
                left += [some for some in (after,) if some]
                if before:
                    left += [
                        [record],
                        before,
                    ]  # the record again by itself: was it in the way, or what was before it?
                else:
                    await self._hold(rules, record, Reason.NOT_DECIDABLE, error.__cause__ or error)
            except (*TOO_LARGE, TopicAuthorizationFailedError) as error:
                await self._writer.renew()  # what it has sent is given up; its numbering may have a gap
                if len(part) > 1:
                    left += [part[len(part) // 2 :], part[: len(part) // 2]]
                elif isinstance(error, TopicAuthorizationFailedError):
                    # Not the record's fault: held, thousands would follow it. It waits until the right is there.
                    raise StandsStill(_place(part[0]), part[0].offset, error) from error
                else:
                    await self._hold(rules, part[0], Reason.NOT_WRITABLE, error)

    async def _hold(self, rules: Rules, record: Any, reason: Reason, error: BaseException) -> None:
        place, detail = _place(record), type(error).__name__
        said = {"topic": place.topic, "partition": place.partition, "offset": record.offset}
        log.error("slot.record_held", reason=reason.code, error=repr(error)[:300], **said)
        try:
            await self._commit(rules, [record], Fault(reason, detail))
        except (NotDecided, *TOO_LARGE, TopicAuthorizationFailedError) as again:
            if not isinstance(again, NotDecided):
                await self._writer.renew()
            raise StandsStill(place, record.offset, again) from again

    async def _commit(self, rules: Rules, records: Sequence[Any], fault: Fault | None = None) -> None:
        batch = Batch(self._judge, rules, records, asyncio.get_running_loop().create_future(), fault)
        await self._submit(batch)
        judged = await batch.judged
        self.s_per_record = batch.spent_s / len(records)
        moved = await self._writer.commit(judged.outgoing, judged.ledger, judged.streams)
        self._judge.keep(judged)
        self._judge.memory.ends.update(moved)
        await self._kept(moved)  # I3: only what is committed
        self._committed(judged)


def _place(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
