"""Bring a Kafka to what a map needs: topics, credentials, ACLs, and the map itself as the next version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import sleep

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from broker import topics
from broker.access import KafkaAccess
from broker.clock import now_ms
from broker.kafka.admin import KafkaRefused, make_acls, make_topics, make_users, mend_settings
from broker.kafka.reading import TopicReader
from broker.published import PublishedMap, published_in
from broker.rules import rules_of
from ownership.changed import moment
from ownership.generation import generations_in
from ownership.load import digest_of
from schemas.learned import carried
from schemas.registry import envelopes

TIMEOUT_S = 30.0
ATTEMPTS = 50
_NOT_HEARD = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - librdkafka's own codes are spelled so
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
)
"""What a broker says that has not heard yet of a topic, or of what control may do: brokers hear one after the other."""
RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is on Kafka after `prepare`."""

    users: tuple[str, ...]
    """Whose credentials were set."""
    topics_made: tuple[str, ...]
    """Topics that were missing."""
    settings_mended: tuple[str, ...]
    """Topics that were there with other settings than planned."""
    acls: int
    """Rights in force for the map's systems and the product's own processes."""


def prepare(
    admin: AdminClient,
    documents: Mapping[str, str],
    passwords: Mapping[str, str],
    *,
    partitions: int,
    slots: int,
    replicas: int = 1,
) -> Prepared:
    """Make what the map's files need; running it again changes nothing. The map is checked first (I7)."""
    rules = rules_of(documents, 0)
    make_users(admin, passwords)
    plans = list(topics.plan(rules.ownership_map, partitions=partitions, slots=slots))
    made = make_topics(admin, plans, replicas=replicas)
    mended = mend_settings(admin, [plan for plan in plans if plan.name not in made])
    rights = make_acls(admin, rules.ownership_map)
    return Prepared(tuple(sorted(passwords)), tuple(made), tuple(mended), rights)


def in_force(access: KafkaAccess, documents: Mapping[str, str]) -> tuple[int, bool]:
    """(version of the newest map on Kafka, whether it is what these files say); version 0 when there is none."""
    newest = newest_map(access)
    return newest.version, says_the_same(newest, documents)


def says_the_same(published: PublishedMap, documents: Mapping[str, str]) -> bool:
    """Whether a version is what these files say, with what was learned since."""
    return dict(published.documents) == carried(published.documents, documents)


def newest_map(access: KafkaAccess, before: int | None = None) -> PublishedMap:
    """The newest map on Kafka, or the newest before an offset; version 0 when there is none. Raises KafkaRefused."""
    consumer = Consumer(
        {
            **access.librdkafka_options(),
            "group.id": "control.map",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        place = TopicPartition(topics.OWNERSHIP_MAP, 0)
        _await_topic(consumer)
        low, high = _ends(consumer, place)
        if low == (high := high if before is None else before):
            return PublishedMap()
        consumer.assign([TopicPartition(topics.OWNERSHIP_MAP, 0, high - 1)])
        message = consumer.poll(TIMEOUT_S)
        if message is None or message.error():
            msg = "the newest map cannot be read [map.unreadable] Check that control may read ownership.map."
            raise KafkaRefused(msg)
        return published_in(message.value())
    except KafkaException as error:
        msg = (
            f"ownership.map cannot be read: {error.args[0].str()} [map.unreadable] "
            "Check Kafka and control's credential."
        )
        raise KafkaRefused(msg) from error
    finally:
        consumer.close()


def map_versions(access: KafkaAccess) -> list[PublishedMap]:
    """Every version that has been in force, oldest first. Raises KafkaRefused.

    Of two that were published at the same moment under one number the first was, as for the gate's workers.
    """
    reader = TopicReader(access)
    try:
        found: list[PublishedMap] = []
        for message in reader.read(topics.OWNERSHIP_MAP):
            one = published_in(message.value())
            if not found or one.version > found[-1].version:
                found.append(one)
        return found
    finally:
        reader.close()


def _await_topic(consumer: Consumer) -> None:
    """Wait until control may see the topic: an ACL takes a moment to reach the broker that answers."""
    found = None
    for _ in range(ATTEMPTS):
        found = consumer.list_topics(topics.OWNERSHIP_MAP, timeout=TIMEOUT_S).topics[topics.OWNERSHIP_MAP]
        if found.error is None and found.partitions:
            return
        sleep(RETRY_S)
    msg = (
        f"ownership.map is not to be seen: {found and found.error} [map.unreadable] "
        "Make it and its ACLs with `solesource prepare`."
    )
    raise KafkaRefused(msg)


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset, once the broker that leads the topic knows of it, and of what control may do."""
    for _ in range(ATTEMPTS):
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
            return int(low), int(high)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_HEARD:
                raise
        sleep(RETRY_S)
    msg = "control may not read ownership.map [map.unreadable] Give it its rights with `solesource prepare`."
    raise KafkaRefused(msg)


def same_generations(
    before: Mapping[str, str], after: Mapping[str, str], repartitioned: str | None = None
) -> None:
    """Refuse files that put another generation of an object's topics in force than the map before them.

    Older ones lack what came since, and newer ones are empty until they are filled. `repartitioned`: the object whose
    next generation is filled. Raises KafkaRefused.
    """
    known, named = generations_in(before), generations_in(after)
    for name in sorted(known.keys() & named.keys()):
        wanted = known[name] + (name == repartitioned)
        if named[name] != wanted:
            msg = (
                f"the files name generation {named[name]} of {name}'s topics, with the map on Kafka it is {wanted} "
                "[map.generation] Take `generation` and `partitions` from the newest map; "
                "`solesource object repartition` begins another one."
            )
            raise KafkaRefused(msg)


def map_there(admin: AdminClient, access: KafkaAccess) -> PublishedMap:
    """The newest map, or version 0 where not even its topic is there. Raises KafkaRefused."""
    there = topics.OWNERSHIP_MAP in admin.list_topics(timeout=TIMEOUT_S).topics
    return newest_map(access) if there else PublishedMap()


def allowed(admin: AdminClient, access: KafkaAccess, documents: Mapping[str, str]) -> None:
    """Look whether files may be put in force at all, before anything is made. Raises KafkaRefused."""
    same_generations(map_there(admin, access).documents, documents)


def first_map(access: KafkaAccess, documents: Mapping[str, str], by: str) -> PublishedMap:
    """The map in force; where there is none, these files become it. Raises KafkaRefused."""
    newest = newest_map(access)
    if newest.version:
        return newest
    publish_map(access, documents, by)
    return newest_map(access)


def publish_map(
    access: KafkaAccess,
    documents: Mapping[str, str],
    by: str,
    repartitioned: str | None = None,
    after: int | None = None,
) -> int:
    """Publish the map's files as the next version unless they are the newest one already; returns the version.

    `after`: only if that version is the newest. Raises KafkaRefused, also for another generation of an object's
    topics, unless it is `repartitioned`.
    """
    newest = newest_map(access)
    while True:
        if after is not None and newest.version != after:
            raise moved(newest, after)
        wanted = carried(newest.documents, documents)
        if dict(newest.documents) == wanted:
            return newest.version
        same_generations(newest.documents, wanted, repartitioned)
        rules_of(wanted, newest.version + 1)
        offset = _published(access, newest.version + 1, wanted, by)
        before = newest_map(access, offset) if offset else newest
        if before.version == newest.version:
            return newest.version + 1
        # Another was published at the same moment, and is in force: this one bears the same number, and is not.
        newest = before


def moved(newest: PublishedMap, after: int) -> KafkaRefused:
    """What is said to whoever wants to publish on top of a version that is not the newest any more."""
    when = moment(newest.published_ms)
    return KafkaRefused(
        f"this was made for version {after} of the map, and version {newest.version} is in force, published by "
        f"{newest.by} on {when} [map.moved] Plan again: `solesource map plan`."
    )


def _published(access: KafkaAccess, version: int, documents: Mapping[str, str], by: str) -> int:
    """Write a version of the map; its offset. Raises KafkaRefused."""
    record = {
        "version": version,
        "digest": digest_of(documents),
        "documents": dict(documents),
        "by": by,
        "published_ms": now_ms(),
    }
    failure = ""
    for _ in range(ATTEMPTS):
        failure, unknown_yet, offset = _written(
            access, envelopes().codec.encode(envelopes().id_of("map"), record)
        )
        if not failure:
            return offset
        if not unknown_yet:
            break
        sleep(RETRY_S)
    msg = f"the map was not published: {failure} [map.not_published] Check Kafka."
    raise KafkaRefused(msg)


def _written(access: KafkaAccess, value: bytes) -> tuple[str, bool, int]:
    """(why the map was not written, whether control is only not known yet to the leading broker, its offset)."""
    producer = Producer({**access.librdkafka_options(), "enable.idempotence": True, "acks": "all"})
    failures: list[KafkaError] = []
    offsets: list[int] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)
        else:
            offsets.append(int(message.offset()))

    producer.produce(topics.OWNERSHIP_MAP, value, b"map", on_delivery=delivered)
    if producer.flush(TIMEOUT_S):
        return "time ran out", False, -1
    if failures:
        return failures[0].str(), failures[0].code() in _NOT_HEARD, -1
    return "", False, offsets[0]
