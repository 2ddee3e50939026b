"""Watches every topic from outside, as a read_committed reader would: what the demo shows and counts is what it saw.

Imports nothing of the gate: it reads headers and envelopes by their published form.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from broker.access import KafkaAccess
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from schemas.codec import Codec

READ_MAX = 2000


@dataclass(frozen=True, slots=True)
class Revision:
    """One authoritative record as it was read."""

    key: str
    envelope: AuthoritativeEnvelope
    value: bytes | None
    partition: int
    offset: int
    appended_ms: int


@dataclass(slots=True)
class Seen:
    """What was read so far."""

    changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Records per ingress topic."""
    revisions: list[Revision] = field(default_factory=list)
    by_key: dict[str, list[Revision]] = field(default_factory=lambda: defaultdict(list))
    accepted_from: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Revisions that a system's change brought about, re-assertions aside."""
    cases: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    proposals: list[dict[str, Any]] = field(default_factory=list)
    trail: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    acknowledgements: list[dict[str, Any]] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Changes that the ledger speaks of."""
        return sum(record["received"] for record in self.ledger)

    def outcomes(self) -> dict[str, int]:
        """Changes per outcome."""
        total: dict[str, int] = defaultdict(int)
        for record in self.ledger:
            for outcome, count in record["account"].items():
                total[outcome] += count
        return dict(total)

    def applied(self, system: str) -> int:
        """Updates that a system's sink has answered for."""
        return sum(
            ack["applied"] + ack["skipped"] + ack["failed"]
            for ack in self.acknowledgements
            if ack["system"] == system
        )

    def trail_of(self, kind: str, system: str = "") -> int:
        """Lines of the trail of one kind."""
        return sum(line["kind"] == kind and system in ("", line["system"]) for line in self.trail)


class Watch:
    """Reads everything in a thread of its own until closed."""

    def __init__(self, access: KafkaAccess, codec: Codec) -> None:
        self.seen = Seen()
        self._codec = codec
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                **access.librdkafka_options(),
                "group.id": "watch",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "auto.offset.reset": "earliest",
            }
        )
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)

    def start(self) -> None:
        """Begin at the beginning of every topic."""
        prefixes = ("changes.", "authoritative.", "refusals.", "proposals.", "acks.")
        names = ("quarantine", "trail", "ledger")
        found = self._consumer.list_topics(timeout=20).topics
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic, about in found.items()
                if topic.startswith(prefixes) or topic in names
                for partition in about.partitions
            ]
        )
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._consumer.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(READ_MAX, timeout=0.1):
                if message.error() is None:
                    self._take(message)

    def _take(self, message: Any) -> None:
        topic, seen = message.topic(), self.seen
        if topic.startswith("changes."):
            seen.changes[topic] += 1
        elif topic.startswith("authoritative."):
            key = message.key().decode()
            revision = Revision(
                key,
                parse_authoritative(message.headers() or []),
                message.value(),
                message.partition(),
                message.offset(),
                message.timestamp()[1],
            )
            seen.by_key[key].append(revision)
            seen.revisions.append(revision)
            seen.accepted_from[revision.envelope.causation[0]] += bool(revision.envelope.changed)
        else:
            place = {"quarantine": seen.cases, "trail": seen.trail, "ledger": seen.ledger}.get(topic)
            if place is None:
                kind = topic.partition(".")[0]
                place = {
                    "refusals": seen.refusals,
                    "proposals": seen.proposals,
                    "acks": seen.acknowledgements,
                }[kind]
            place.append(self._codec.decode(message.value()))
