"""Every topic: how it is spelled, how many partitions it has, and with which settings it is made.

The only place that knows topic names; no connection is opened here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from broker.gate.state import RECENT_MS
from ownership.map import OwnershipMap
from ownership.reading import readings

_DAY_MS = 86_400_000
_CHANGES = re.compile(r"changes\.([a-z][a-z0-9_-]*)\.([a-z][a-z0-9_-]*)")
_COMMANDS = re.compile(r"commands\.([a-z][a-z0-9_-]*)")
_DELIVERIES = re.compile(r"deliveries\.[^.]+\.([^.]+)\.[^.]+")
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


def changes(system: str, object_name: str) -> str:
    """Ingress of one system and object."""
    return f"changes.{system}.{object_name}"


def commands(object_name: str) -> str:
    """Commands of one object."""
    return f"commands.{object_name}"


def authoritative(object_name: str) -> str:
    """Authoritative records of one object."""
    return f"authoritative.{object_name}"


def deliveries(system: str, object_name: str, generation: str) -> str:
    """What one restricted reader gets of one object."""
    return f"deliveries.{system}.{object_name}.{generation}"


def opened_readings(system: str) -> str:
    """Where a restricted reader is told which deliveries are its own."""
    return f"readings.{system}"


def state(object_name: str) -> str:
    """What the gate remembers beside the authoritative records."""
    return f"state.{object_name}"


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
    """(system, object) of an ingress topic, None for any other."""
    match = _CHANGES.fullmatch(topic)
    return (match[1], match[2]) if match else None


@lru_cache(maxsize=4096)
def parse_commands(topic: str) -> str | None:
    """The object of a commands topic, None for any other."""
    match = _COMMANDS.fullmatch(topic)
    return match[1] if match else None


def parse_deliveries(topic: str) -> str | None:
    """The object of a topic of deliveries, None for any other."""
    match = _DELIVERIES.fullmatch(topic)
    return match[1] if match else None


def slot_of(object_name: str, partition: int, slots: int) -> int:
    """The slot that works on a partition of an object; neighbours fall into different slots."""
    return (zlib.crc32(object_name.encode()) + partition) % slots


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic to be made."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


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
        compacted = _settings(
            cleanup_policy="compact",
            min_compaction_lag_ms=WHOLE_MS,
            max_message_bytes=_LARGE,
            delete_retention_ms=_DAY_MS,
        )
        yield TopicPlan(authoritative(name), partitions, compacted)
        yield TopicPlan(state(name), partitions, compacted)
        yield TopicPlan(
            commands(name),
            partitions,
            _settings(cleanup_policy="delete", retention_ms=month, max_message_bytes=_LARGE),
        )
        for reading in readings(entry):
            restricted.add(reading.system)
            yield TopicPlan(deliveries(reading.system, name, reading.generation), partitions, compacted)
        publishing = (s for s, system in ownership_map.systems.items() if name in system.publishes)
        for system in sorted({*entry.systems, *publishing}):
            settings = _settings(cleanup_policy="delete", retention_ms=week, max_message_bytes=_LARGE)
            yield TopicPlan(changes(system, name), partitions, settings)
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
