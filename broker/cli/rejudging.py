"""Reads what re-judging needs: every map version, every change and command that is still in the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from broker import topics
from broker.kafka.estate import map_versions
from broker.kafka.reading import TopicReader
from broker.lane.judged import LogRecord
from broker.lane.ledger import LedgerFault
from broker.lane.rejudge import Again, rejudge
from broker.rules import rules_of
from broker.settings import Settings
from schemas.registry import envelopes


def rejudged(settings: Settings, *, quiet: bool) -> list[LedgerFault]:
    """Judge the whole log again; an empty list: every decision comes out as it was recorded."""
    access = settings.access("control")
    reader = TopicReader(access)
    try:
        maps = {one.version: rules_of(one.documents, one.version) for one in map_versions(access)}
        ledger = {slot: _ledger(reader, slot) for slot in reader.partitions(topics.LEDGER)}
        existing, partitions = reader.topics(), dict[str, int]()
        for topic in {
            name.rpartition("/")[0] for found in ledger.values() for one in found for name in one["positions"]
        }:
            if topic in existing:
                partitions[topics.stream_in(topic) or ""] = len(reader.partitions(topic))
        read = {slot: partial(_inputs, reader, existing, found) for slot, found in ledger.items()}
        slots = [Again(slot, found, read[slot], maps, partitions) for slot, found in sorted(ledger.items())]
        with Console(stderr=True, quiet=quiet).status("Judging again"):
            return rejudge(slots, partitions, len(ledger))
    finally:
        reader.close()


def _inputs(
    reader: TopicReader, existing: Collection[str], ledger: Sequence[Mapping[str, Any]]
) -> dict[str, dict[int, LogRecord]]:
    """What is still in the log of the inputs that a slot has read."""
    found: dict[str, dict[int, LogRecord]] = {}
    for name in sorted({name for record in ledger for name in record["positions"]}):
        topic, _, number = name.rpartition("/")
        if topic in existing:
            found[name] = {record.offset: record for record in reader.records(topic, int(number))}
    return found


def _ledger(reader: TopicReader, slot: int) -> list[Mapping[str, Any]]:
    return [envelopes().codec.decode(m.value() or b"") for m in reader.read(topics.LEDGER, slot)]
