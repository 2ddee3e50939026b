"""Reads what came of a campaign and writes it as the lines of a history: docs/reference/history.md.

Reads the topics as anybody could, committed records only. It believes nothing that the gate has in memory or logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.registry import FileRegistry, envelopes

Line = dict[str, Any]
Answer = TypeVar("Answer")
ASK_S = 20.0
QUIET_S = 60.0
"""So long a topic may give nothing before its end, while brokers come back."""


def plain(values: Mapping[str, Any] | None) -> Line | None:
    """The values of a record as JSON can hold them."""
    if values is None:
        return None
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


class Recorder:
    """One object's topics, read as the user that `options` (librdkafka) say."""

    def __init__(self, options: Mapping[str, Any], registry: FileRegistry, object_name: str) -> None:
        self._options = dict(options)
        self._codec = registry.codec
        self._fields = tuple(registry.contract(object_name).fields)
        self._object = object_name

    def lines(self, systems: Sequence[str]) -> Iterator[Line]:
        """Everything that the topics say: laws, inputs, and what came of them."""
        yield from self.laws()
        for system in systems:
            yield from self.received(f"changes.{system}.{self._object}")
        yield from self.received(f"commands.{self._object}")
        yield from self.revisions()
        yield from self.cases()
        yield from self.trail()
        for system in systems:
            for message in self.read(f"refusals.{system}"):
                yield {"kind": "refusal", "case": _envelope(message)["case_id"]}
        yield from self.batches()

    def laws(self) -> Iterator[Line]:
        """Who owns what from when on, as every map version says it."""
        for message in self.read("ownership.map"):
            told = _envelope(message)
            document = yaml.safe_load(told["documents"][f"{self._object}.yaml"])
            yield from laws_of(document, told["version"], self._fields)

    def received(self, topic: str) -> Iterator[Line]:
        """Every record of an input, and where the input begins and ends."""
        for partition, (low, high) in self.ends(topic).items():
            place = {"topic": topic, "partition": partition}
            yield {"kind": "input", **place, "begin": low, "end": high}
        for message in self.read(topic):
            headers = dict(message.headers() or ())
            source, event = headers.get("ce_source"), headers.get("ce_id")
            yield {
                "kind": "received",
                **_place(message),
                "writer": source.decode().removeprefix("/") if source else "person",
                "event": event.decode() if event else None,
            }

    def revisions(self) -> Iterator[Line]:
        for message in self.read(f"authoritative.{self._object}"):
            headers = {name: value.decode() for name, value in message.headers()}
            writer, _, event = headers["ce_causationid"].partition("/")
            version, _, at_ms = headers["ce_decision"].partition(":")
            value = message.value()
            yield {
                "kind": "revision",
                **_place(message),
                "key": message.key().decode(),
                "revision": int(headers["ce_revision"]),
                "writer": writer,
                "event": event,
                "values": None if value is None else plain(self._codec.decode(value)),
                "again": "ce_reassert" in headers and not headers["ce_changed"],
                "version": int(version),
                "at_ms": int(at_ms),
            }

    def cases(self) -> Iterator[Line]:
        for message in self.read("quarantine"):
            case = _envelope(message)
            yield {
                "kind": "case",
                "case": case["case_id"],
                "writer": case["system"],
                "event": case["event_id"],
                **{name: case[name] for name in ("topic", "partition", "offset", "outcome", "reason")},
                "version": case["map_version"],
                "at_ms": case["received_ms"],
            }

    def trail(self) -> Iterator[Line]:
        for message in self.read("trail"):
            said = _envelope(message)
            yield {
                "kind": "line",
                "what": said["kind"],
                "writer": said["system"],
                "event": said["event_id"],
                **{name: said[name] for name in ("topic", "partition", "offset", "result")},
                "case": said["case_id"],
            }

    def batches(self) -> Iterator[Line]:
        for message in self.read("ledger"):
            told = _envelope(message)
            names = ("slot", "sequence", "received", "commands", "revisions", "account", "positions")
            yield {
                "kind": "batch",
                **{name: told[name] for name in names},
                "chain": told["chain"].hex(),
                "previous": told["previous_chain"].hex(),
            }

    def judged_at(self) -> list[tuple[float, int]]:
        """Of each batch, when it was committed (seconds since 1970, Kafka's clock) and how many changes it judged."""
        told = [(m.timestamp()[1] / 1000, _envelope(m)["received"]) for m in self.read("ledger")]
        return sorted(told)

    # -- reading a topic to its end

    def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """First and next offset of every partition; brokers that have just come back may need a moment."""
        consumer = self._consumer()
        try:
            return {place.partition: _ends(consumer, place) for place in _places(consumer, topic)}
        finally:
            consumer.close()

    def read(self, topic: str) -> Iterator[Any]:
        """Every committed record of a topic now, partition by partition."""
        consumer = self._consumer()
        try:
            for place in _places(consumer, topic):
                low, high = _ends(consumer, place)
                if low == high:
                    continue
                consumer.assign([TopicPartition(topic, place.partition, low)])
                while True:
                    message = consumer.poll(QUIET_S)
                    if message is None:
                        raise TimeoutError(f"{topic}/{place.partition} gives nothing for {QUIET_S:g} s")
                    if message.error() is None:
                        yield message
                        if message.offset() >= high - 1:
                            break
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        break
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **self._options,
                "group.id": "recorder",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "log_level": 2,
            }
        )


def laws_of(document: Mapping[str, Any], version: int, fields: Sequence[str]) -> Iterator[Line]:
    """The laws of one map version, read from its text and not by the product."""
    said = document.get("fields") or {}
    rest = document["system_of_record"]
    owners = {name: (said.get(name) or {}).get("system_of_record", rest) for name in fields}
    law = {"kind": "law", "version": version, "create": document["create"]}
    law["deletes"] = document["delete"]["authority"]
    yield {**law, "from_ms": 0, "owners": owners}
    for handover in sorted(document.get("handover") or (), key=lambda entry: _ms(entry["valid_from"])):
        owners = owners | {handover["field"]: handover["to"]}
        yield {**law, "from_ms": _ms(handover["valid_from"]), "owners": owners}


def _ms(moment: str | datetime) -> int:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return round(at.timestamp() * 1000)


def _places(consumer: Consumer, topic: str) -> list[TopicPartition]:
    def ask() -> list[TopicPartition]:
        found = consumer.list_topics(topic, ASK_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return [TopicPartition(topic, number) for number in found.partitions]

    return _patiently(ask)


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    return _patiently(lambda: consumer.get_watermark_offsets(place, ASK_S))


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer: brokers that have just come back do not lead, or do not know yet."""
    deadline = time.monotonic() + QUIET_S
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _place(message: Any) -> Line:
    return {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}


def _envelope(message: Any) -> Any:
    return envelopes().codec.decode(message.value())
