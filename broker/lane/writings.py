"""The second wall, as the gate tells it: what each system may write goes to its `writings` topic with every map.

Whoever owns slot 0 does it. Said twice it says the same; what an older map says is not listened to. A connector that is
told nothing writes as before: Kafka and the gate decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane.maps import MapFollower
from broker.lane.replay import read_all, reading
from broker.published import ToldTerms
from ownership.map import OwnershipMap
from ownership.writing import told_to
from schemas.registry import envelopes

LOOK_S = 1.0
RETRY_S = 2.0
log = structlog.get_logger()
Whose = tuple[str, str]
"""(system, object)."""
Terms = Mapping[Whose, dict[str, Any]]
_PREFIX = topics.told_writings("")


class Writings:
    """Tells systems what they may write."""

    def __init__(self, access: KafkaAccess, maps: MapFollower) -> None:
        self._access = access
        self._maps = maps

    async def run(self) -> None:
        """Until cancelled: with each map that takes force. Whatever breaks it, it begins again from the log."""
        version, missing = -1, frozenset[str]()
        while True:
            rules, pause = self._maps.rules, LOOK_S
            if rules is not None and (missing or rules.ownership_map.version != version):
                try:
                    now_missing = await self._tell(rules.ownership_map)
                except Exception as error:  # noqa: BLE001 - the gate goes on; connectors know what they knew
                    log.warning("writings.failed", error=repr(error)[:300])
                    pause = RETRY_S
                else:
                    version = rules.ownership_map.version
                    for topic in sorted(now_missing - missing):
                        what_to_do = "Make it with `solesource prepare`."
                        log.error("writings.no_topic", topic=topic, what_to_do=what_to_do)
                    missing = now_missing
                    pause = 10 * RETRY_S if missing else LOOK_S
            await asyncio.sleep(pause)

    async def _tell(self, ownership_map: OwnershipMap) -> frozenset[str]:
        """Write what is otherwise; returns the topics that are not there."""
        named = {topics.told_writings(system) for system in ownership_map.systems}
        async with reading(self._access) as consumer:
            existing = {topic for topic in await consumer.topics() if topic.startswith(_PREFIX)}
            told = await told_in(consumer, existing)
        version = ownership_map.version
        wanted = {
            whose: said
            for whose, said in told_to(ownership_map).items()
            if topics.told_writings(whose[0]) in existing
        }
        news = otherwise(wanted, told, version)
        await self._send(news, version)
        return frozenset(named - existing)

    async def _send(self, records: Mapping[Whose, dict[str, Any] | None], version: int) -> None:
        if not records:
            return
        producer = AIOKafkaProducer(
            **self._access.client_options(), client_id="gate-writings", acks="all", enable_idempotence=True
        )
        await producer.start()
        try:
            for (system, object_name), said in records.items():
                value = said and envelopes().codec.encode(envelopes().id_of("writing"), said)
                await producer.send_and_wait(
                    topics.told_writings(system), value, object_name.encode(), partition=0
                )
        finally:
            await producer.stop()
        log.info("writings.told", map_version=version, records=len(records))


def otherwise(wanted: Terms, told: Terms, version: int) -> dict[Whose, dict[str, Any] | None]:
    """What is not told yet, None where nothing is the system's to send any more.

    The same in another map is not told again; what a newer map said is left alone.
    """
    older = {whose for whose, said in told.items() if said["map_version"] <= version}
    news: dict[Whose, dict[str, Any] | None] = dict.fromkeys(older - wanted.keys())
    return news | {
        whose: said
        for whose, said in wanted.items()
        if whose not in told or (whose in older and told[whose] | {"map_version": version} != said)
    }


async def told_in(consumer: AIOKafkaConsumer, existing: Collection[str]) -> ToldTerms:
    """What systems have been told so far."""
    found = ToldTerms()
    async for record in read_all(consumer, [TopicPartition(topic, 0) for topic in sorted(existing)]):
        found.hear(record.topic.removeprefix(_PREFIX), record.key.decode(), record.value)
    return found
