"""Makes a torn batch whole: it is judged again from the log, and what Kafka took back of it is written again.

The ledger says what came of the batch, so this must come out the same, and nothing is written where it does not. What
is there stays as it is. Should this be cut or torn too, the next opening finds less missing, and does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from broker import topics
from broker.access import KafkaAccess
from broker.clock import now_ms
from broker.lane.judge import Judge
from broker.lane.judged import LogRecord
from broker.lane.memory import SlotMemory
from broker.lane.order import in_order
from broker.lane.places import Place, named, place_in
from broker.lane.rejudge import Inputs, again, batch_of
from broker.lane.replay import last_records, read_all, read_on, reading
from broker.lane.torn import LedgerEnd, Torn, Written, begins, torn
from broker.lane.transaction import SlotWriter
from broker.rules import Rules
from schemas.registry import envelopes

_COMMIT_AND_MARK = 3
"""Offsets from a committed ledger record to what is known of a partition in which nothing was tried since: the record,
the end of its transaction, and what the opening has written to see how far the log goes."""
log = structlog.get_logger()


class TornBatchError(KafkaError):
    """The last batch of a slot is there in part, and the rest cannot be made again: nobody may go on from it."""


async def ledger_end(
    access: KafkaAccess, consumer: AIOKafkaConsumer, slot: int, known: Mapping[Place, int]
) -> LedgerEnd:
    """The end of a slot's ledger, with what was tried behind it; each partition goes as far as is `known`."""
    place = TopicPartition(topics.LEDGER, slot)
    found = await last_records(consumer, place, known, 2)
    before, last = [None, None, *map(_written, found)][-2:]
    since = {place: found[-1].offset + 1} if found else {}
    if found and known[place] <= found[-1].offset + _COMMIT_AND_MARK:
        return LedgerEnd(last, before)
    attempted = None
    chain = last.record["chain"] if last is not None else b""
    async with reading(access, isolation_level="read_uncommitted") as everything:
        async for record in read_all(everything, [place], since, known):
            # What an opening writes to see how far the log goes has no value.
            if record.value and (tried := _written(record)).record["previous_chain"] == chain:
                attempted = tried
    return LedgerEnd(last, before, attempted)


async def torn_batch(consumer: AIOKafkaConsumer, end: LedgerEnd, known: Mapping[Place, int]) -> Torn | None:
    """The batch at the end of a slot's ledger that Kafka kept a part of, None = there is none.

    Of a batch of two days ago nothing can be said: something of it may have been compacted since.
    """
    for written, before, committed in ((end.last, end.before, True), (end.attempted, end.last, False)):
        if written is None or now_ms() - written.appended_ms > topics.WHOLE_MS:
            continue
        found = await _found(consumer, begins(written.record), known)
        part = torn(written.record, before.record if before else None, found, committed=committed)
        if part is not None:
            log.error("slot.batch_torn", **_said(part))
            return part
    return None


async def complete(
    part: Torn, memory: SlotMemory, rules: Rules, inputs: Inputs, writer: SlotWriter
) -> dict[Place, int]:
    """Judge the batch again, write what is missing of it, and have it in `memory`, which stands before it.

    Returns an offset behind it of each place that it wrote to. `rules`: of the map that it was judged by; `inputs`:
    see `inputs_of`. Raises TornBatchError when it does not come out the same.
    """
    record = part.record
    records = batch_of(record, memory.positions, inputs)
    if records is None or record["sequence"] != memory.sequence + 1:
        msg = f"batch {record['sequence']} of slot {memory.slot} is torn, and what it was made from is gone"
        raise TornBatchError(msg)
    judge = Judge(memory, str(record["worker"]))
    judged, differing = again(judge, rules, in_order(records), record)
    if differing:
        msg = (
            f"batch {record['sequence']} of slot {memory.slot} is torn, and comes out otherwise: {differing}"
        )
        raise TornBatchError(msg)
    # I3: what is there stays, and what is missing comes in one transaction.
    moved = await writer.complete(judged.outgoing, record, judged.streams, part.missing)
    judged.ledger = dict(record)
    judge.keep(judged)
    memory.ends.update(moved)
    log.warning("slot.batch_completed", **_said(part))
    wrote = begins(record)
    return {place: at for place, at in memory.ends.items() if place in wrote}


def _said(part: Torn) -> dict[str, Any]:
    return {
        "slot": part.record["slot"],
        "sequence": part.record["sequence"],
        "missing": sorted(map(named, part.missing)),
    }


def _written(record: LogRecord) -> Written:
    return Written(envelopes().codec.decode(record.value or b""), record.timestamp)


async def _found(
    consumer: AIOKafkaConsumer, wanted: Mapping[Place, int], known: Mapping[Place, int]
) -> dict[Place, bool]:
    """As `_looked_at` says, of all places that may be read."""
    try:
        return await _looked_at(consumer, wanted, known)
    except TopicAuthorizationFailedError:
        log.warning("slot.outputs_not_readable", what_to_do="Give the gate its rights: `solesource prepare`.")
        always = (topics.authoritative(""), topics.state(""))
        return await _looked_at(
            consumer, {p: at for p, at in wanted.items() if p[0].startswith(always)}, known
        )


async def _looked_at(
    consumer: AIOKafkaConsumer, wanted: Mapping[Place, int], known: Mapping[Place, int]
) -> dict[Place, bool]:
    """Whether there is a committed record from an offset on, of each place where it would still be there."""
    places = [TopicPartition(*place) for place, at in wanted.items() if at < known.get(place, -1)]
    first = await consumer.beginning_offsets(places) if places else {}
    since = {place: wanted[place] for place in places if first[place] <= wanted[place]}
    found = dict.fromkeys(since, False)
    async with aclosing(read_on(consumer, list(since), since, known)) as read:
        async for place, _ in read:
            found[place] = True
            if all(found.values()):
                break
    return found


async def inputs_of(access: KafkaAccess, part: Torn) -> Inputs:
    """The records that a batch was made from, by input and offset, as far as they are there."""
    before, moved = part.since, part.moved
    found: dict[str, dict[int, LogRecord]] = {name: {} for name in moved}
    async with reading(access) as consumer:
        places = [TopicPartition(*place_in(name)) for name in moved]
        first = await consumer.beginning_offsets(places) if places else {}
        since = {place: max(first[place], before.get(named(place), 0)) for place in places}
        left = set(moved)
        async with aclosing(read_on(consumer, places, since)) as read:
            async for place, records in read:
                name = named(place)
                found[name] |= {record.offset: record for record in records if record.offset < moved[name]}
                if records[-1].offset + 1 >= moved[name]:
                    left.discard(name)
                if not left:
                    break
    return found
