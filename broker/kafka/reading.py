"""Reads topics as they are now: what they hold, and their ids. Committed records only; changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from broker.access import KafkaAccess
from broker.kafka.admin import KafkaRefused

TIMEOUT_S = 20.0
AT_ONCE, GATHER_S = 1_000, 0.02


def topic_ids(access: KafkaAccess, names: Collection[str]) -> dict[str, str]:
    """Topic to the id that Kafka gave it: made anew, it has another. Raises KafkaRefused when Kafka does not say."""
    admin = AdminClient(access.librdkafka_options())
    try:
        asked = admin.describe_topics(TopicCollection(sorted(names)), request_timeout=TIMEOUT_S)
        return {name: str(found.result().topic_id) for name, found in asked.items()}
    except KafkaException as error:
        msg = f"topics cannot be described: {error.args[0].str()} [kafka.refused] Check that Kafka runs, and the ACLs."
        raise KafkaRefused(msg) from error


@dataclass(slots=True)
class Consumed:
    """A record as the gate consumes it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class TopicReader:
    """A consumer without a group's effects: it commits nothing and assigns by itself."""

    def __init__(self, access: KafkaAccess, group: str = "control.reading") -> None:
        self._consumer = Consumer(
            {
                **access.librdkafka_options(),
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
            }
        )

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def topics(self) -> frozenset[str]:
        """Every topic to be seen. Raises KafkaRefused when Kafka does not answer."""
        try:
            return frozenset(self._consumer.list_topics(timeout=TIMEOUT_S).topics)
        except KafkaException as error:
            msg = f"Kafka does not answer: {error.args[0].str()} [kafka.away] Check that it runs: `solesource doctor`."
            raise KafkaRefused(msg) from error

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic. Raises KafkaRefused when it is not there or not to be seen."""
        try:
            found = self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        except KafkaException as error:
            msg = f"Kafka does not answer: {error.args[0].str()} [kafka.away] Check that it runs: `solesource doctor`."
            raise KafkaRefused(msg) from error
        if found.error is not None:
            msg = f"topic {topic}: {found.error.str()} [kafka.refused] Make it with `solesource up`, or check the ACLs."
            raise KafkaRefused(msg)
        return sorted(found.partitions)

    def read(
        self, topic: str, partition: int | None = None, since_ms: int | None = None
    ) -> Iterator[Message]:
        """Every committed record up to now, partition by partition; `since_ms`: of those appended from then on."""
        for number in self.partitions(topic) if partition is None else [partition]:
            low, high = self.ends(topic, number, since_ms)
            if low == high:
                continue
            self._consumer.assign([TopicPartition(topic, number, low)])
            yield from self._drain(high)

    def records(self, topic: str, partition: int, since_ms: int | None = None) -> Iterator[Consumed]:
        """What `read` reads of one partition, as the gate would consume it."""
        for message in self.read(topic, partition, since_ms):
            headers: Any = message.headers() or ()
            yield Consumed(
                topic,
                partition,
                message.offset() or 0,
                message.timestamp()[1],
                message.key(),
                message.value(),
                tuple(headers),
            )

    def ends(self, topic: str, partition: int, since_ms: int | None = None) -> tuple[int, int]:
        """The first offset, or the first appended at a moment or later, and the one after the last."""
        place = TopicPartition(topic, partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
        if since_ms is not None:
            (found,) = self._consumer.offsets_for_times(
                [TopicPartition(topic, partition, since_ms)], timeout=TIMEOUT_S
            )
            low = found.offset if found.offset >= 0 else high  # -1: nothing is so new
        return int(low), int(high)

    def _drain(self, high: int) -> Iterator[Message]:
        while True:
            # Many at once: asking for each record costs as much as reading it. One that is there is not waited for.
            found: list[Any] = self._consumer.consume(AT_ONCE, GATHER_S) or [self._consumer.poll(TIMEOUT_S)]
            for message in found:
                if message is None:
                    msg = "Kafka stopped answering while a topic was read [kafka.away] Try again."
                    raise KafkaRefused(msg)
                error = message.error()
                if error is None:
                    if message.offset() < high:
                        yield message
                    if message.offset() >= high - 1:
                        return
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's own name for it
                    return
                else:
                    msg = f"a topic cannot be read: {error.str()} [kafka.refused] Check the ACLs."
                    raise KafkaRefused(msg)
