"""Every topic: how it is spelled, how many partitions it has, and with which settings it is made.

The only place that knows topic names; no connection is opened here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from broker.gate.state import RECENT_MS
from ownership.map import ObjectMap, OwnershipMap
from ownership.reading import Reading, readings

_DAY_MS = 86_400_000
_STREAM = r"([a-z][a-z0-9_-]*(?:\.(?:[2-9]|[1-9][0-9]+))?)"
_CHANGES = re.compile(rf"changes\.([a-z][a-z0-9_-]*)\.{_STREAM}")
_COMMANDS = re.compile(rf"commands\.{_STREAM}")
_DELIVERIES = re.compile(rf"deliveries\.[^.]+\.{_STREAM}\.[^.]+")
WHOLE_MS = RECENT_MS + _DAY_MS
"""So long compaction leaves records alone: a gate that is a day behind still finds the values replaced in the hour
before the change in hand, also in a slot that has just opened (decision 0004)."""
_LARGE = 4 * 1024 * 1024
"""Most bytes of a record in topics that may carry a value of 1 MiB with its authoritative one beside it."""

SLOTS = "slots"
QUARANTINE = "quarantine"
TRAIL = "trail"
LEDGER = "ledger"
OWNERSHIP_MAP = "ownership.map"
PROJECTIONS = "projections"


def stream_of(object_name: str, generation: int) -> str:
    """One generation of an object's topics, as their names end: `customer`, later `customer.2` (decision 0016)."""
    return object_name if generation == 1 else f"{object_name}.{generation}"


@lru_cache(maxsize=4096)
def object_of(stream: str) -> str:
    """The object of a stream."""
    return stream.partition(".")[0]


def generation_of(stream: str) -> int:
    """The generation of a stream."""
    return int(stream.partition(".")[2] or 1)


def streams_of(ownership_map: OwnershipMap) -> dict[str, str]:
    """Object to the stream that a map has in force."""
    return {name: stream_of(name, entry.generation) for name, entry in ownership_map.objects.items()}


def changes(system: str, stream: str) -> str:
    """Ingress of one system and stream."""
    return f"changes.{system}.{stream}"


def commands(stream: str) -> str:
    """Commands of one stream."""
    return f"commands.{stream}"


def authoritative(stream: str) -> str:
    """Authoritative records of one stream."""
    return f"authoritative.{stream}"


def deliveries(system: str, stream: str, generation: str) -> str:
    """What one restricted reader gets of one stream; `generation` is named after what it may read."""
    return f"deliveries.{system}.{stream}.{generation}"


def stream_read(reading: Reading) -> str:
    """The stream that a restricted reader's deliveries are made from."""
    return stream_of(reading.object, reading.object_generation)


def deliveries_of(reading: Reading) -> str:
    """Where a restricted reader's deliveries are."""
    return deliveries(reading.system, stream_read(reading), reading.generation)


def opened_readings(system: str) -> str:
    """Where a restricted reader is told which deliveries are its own."""
    return f"readings.{system}"


def told_writings(system: str) -> str:
    """Where a system is told who may write what of the objects that it may send changes of."""
    return f"writings.{system}"


def state(stream: str) -> str:
    """What the gate remembers beside the authoritative records."""
    return f"state.{stream}"


def refusals(system: str) -> str:
    """Messages back to a writer."""
    return f"refusals.{system}"


def proposals(system: str) -> str:
    """Questions to an owner."""
    return f"proposals.{system}"


def acknowledgements(system: str) -> str:
    """What a system's sink has applied."""
    return f"acks.{system}"


@lru_cache(maxsize=4096)
def parse_changes(topic: str) -> tuple[str, str] | None:
    """(system, stream) of an ingress topic, None for any other."""
    match = _CHANGES.fullmatch(topic)
    return (match[1], match[2]) if match else None


@lru_cache(maxsize=4096)
def parse_commands(topic: str) -> str | None:
    """The stream of a commands topic, None for any other."""
    match = _COMMANDS.fullmatch(topic)
    return match[1] if match else None


def stream_in(topic: str) -> str | None:
    """The stream of an input of the gate, None for any other topic."""
    ingress = parse_changes(topic)
    return ingress[1] if ingress else parse_commands(topic)


def is_per_slot(topic: str) -> bool:
    """Whether a topic has one partition for each slot."""
    return topic in (SLOTS, QUARANTINE, TRAIL, LEDGER) or topic.startswith((refusals(""), proposals("")))


def parse_deliveries(topic: str) -> str | None:
    """The stream of a topic of deliveries, None for any other."""
    match = _DELIVERIES.fullmatch(topic)
    return match[1] if match else None


def slot_of(stream: str, partition: int, slots: int) -> int:
    """The slot that works on a partition of a stream; neighbours fall into different slots."""
    return (zlib.crc32(stream.encode()) + partition) % slots


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic to be made."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


REPLICAS_FOR_SYNC = 3
"""From so many copies on, a record counts as written when two have it: one broker may be lost, and nothing with it."""


def settings_of(plan: TopicPlan, replicas: int) -> dict[str, str]:
    """The settings with which a topic of so many copies is made."""
    safe = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
    return {**plan.settings, **(safe if replicas >= REPLICAS_FOR_SYNC else {})}


def _settings(**given: object) -> dict[str, str]:
    named = {name.replace("_", "."): str(value) for name, value in given.items()}
    return {"message.timestamp.type": "LogAppendTime", **named}


def plan(ownership_map: OwnershipMap, *, partitions: int, slots: int) -> Iterator[TopicPlan]:
    """Every topic that a map needs, with explicit settings; nothing is left to the broker's defaults."""
    week, month = 7 * _DAY_MS, 30 * _DAY_MS
    yield TopicPlan(SLOTS, slots, _settings(cleanup_policy="delete", retention_ms=_DAY_MS))
    yield TopicPlan(
        OWNERSHIP_MAP, 1, _settings(cleanup_policy="delete", retention_ms=-1, max_message_bytes=_LARGE)
    )
    yield TopicPlan(
        QUARANTINE, slots, _settings(cleanup_policy="delete", retention_ms=month, max_message_bytes=_LARGE)
    )
    yield TopicPlan(TRAIL, slots, _settings(cleanup_policy="delete", retention_ms=month))
    yield TopicPlan(LEDGER, slots, _settings(cleanup_policy="delete", retention_ms=-1))
    for system in sorted(ownership_map.systems):
        yield TopicPlan(refusals(system), slots, _settings(cleanup_policy="delete", retention_ms=month))
        yield TopicPlan(proposals(system), slots, _settings(cleanup_policy="delete", retention_ms=month))
        yield TopicPlan(acknowledgements(system), 1, _settings(cleanup_policy="delete", retention_ms=week))
    restricted: set[str] = set()
    for name, entry in sorted(ownership_map.objects.items()):
        publishing = (s for s, system in ownership_map.systems.items() if name in system.publishes)
        yield from _of_object(entry, sorted({*entry.systems, *publishing}), entry.partitions or partitions)
        restricted |= {reading.system for reading in readings(entry)}
    # Written often and read whole when a slot opens: compacted soon.
    followed = _settings(
        cleanup_policy="compact",
        delete_retention_ms=_DAY_MS,
        segment_ms=600_000,
        segment_bytes=16 * 1024 * 1024,
        min_cleanable_dirty_ratio=0.1,
    )
    yield TopicPlan(PROJECTIONS, slots, followed)
    for system in sorted(restricted):
        yield TopicPlan(opened_readings(system), 1, followed)
    for system in sorted(ownership_map.systems):
        yield TopicPlan(told_writings(system), 1, followed)


def _of_object(entry: ObjectMap, writers: Iterable[str], partitions: int) -> Iterator[TopicPlan]:
    """The topics of the generation that the map names."""
    week, month, stream = 7 * _DAY_MS, 30 * _DAY_MS, stream_of(entry.name, entry.generation)
    compacted = _settings(
        cleanup_policy="compact",
        min_compaction_lag_ms=WHOLE_MS,
        max_message_bytes=_LARGE,
        delete_retention_ms=_DAY_MS,
    )
    yield TopicPlan(authoritative(stream), partitions, compacted)
    yield TopicPlan(state(stream), partitions, compacted)
    settings = _settings(cleanup_policy="delete", retention_ms=month, max_message_bytes=_LARGE)
    yield TopicPlan(commands(stream), partitions, settings)
    for reading in readings(entry):
        yield TopicPlan(deliveries_of(reading), partitions, compacted)
    for system in writers:
        settings = _settings(cleanup_policy="delete", retention_ms=week, max_message_bytes=_LARGE)
        yield TopicPlan(changes(system, stream), partitions, settings)
