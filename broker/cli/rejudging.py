"""Reads what re-judging needs: every map version, every change and command that is still in the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.progress import track

from broker import topics
from broker.kafka.reading import TopicReader
from broker.lane.judge import LogRecord
from broker.lane.ledger import LedgerFault
from broker.lane.rejudge import rejudge
from broker.rules import Rules, rules_of
from broker.settings import Settings
from schemas.registry import envelopes


@dataclass(slots=True)
class _Record:
    """A record as the gate consumed it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def rejudged(settings: Settings, *, quiet: bool) -> list[LedgerFault]:
    """Judge the whole log again; an empty list: every decision comes out as it was recorded."""
    reader = TopicReader(settings.access("control"))
    try:
        maps = dict(_maps(reader))
        ledger = {slot: _ledger(reader, slot) for slot in reader.partitions(topics.LEDGER)}
        faults: list[LedgerFault] = []
        for slot in track(sorted(ledger), "Judging again", transient=True, disable=quiet):
            names = {name for record in ledger[slot] for name in record["positions"]}
            inputs: dict[str, dict[int, LogRecord]] = {}
            partitions: dict[str, int] = {}
            for name in sorted(names):
                topic, _, number = name.rpartition("/")
                inputs[name] = {record.offset: record for record in _records(reader, topic, int(number))}
                ingress = topics.parse_changes(topic)
                object_name = ingress[1] if ingress else topics.parse_commands(topic) or ""
                partitions[object_name] = len(reader.partitions(topic))
            faults += rejudge(ledger[slot], inputs, maps, partitions, slot)
    finally:
        reader.close()
    return faults


def _maps(reader: TopicReader) -> Iterator[tuple[int, Rules]]:
    for message in reader.read(topics.OWNERSHIP_MAP):
        entry = envelopes().codec.decode(message.value() or b"")
        yield entry["version"], rules_of(entry["documents"], entry["version"])


def _ledger(reader: TopicReader, slot: int) -> list[Mapping[str, Any]]:
    return [envelopes().codec.decode(m.value() or b"") for m in reader.read(topics.LEDGER, slot)]


def _records(reader: TopicReader, topic: str, partition: int) -> Iterator[_Record]:
    for message in reader.read(topic, partition):
        headers: Any = message.headers() or ()
        yield _Record(
            topic,
            partition,
            message.offset() or 0,
            message.timestamp()[1],
            message.key(),
            message.value(),
            tuple((name, value) for name, value in headers),
        )
