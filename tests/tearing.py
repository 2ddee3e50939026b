"""Tears a transaction as Kafka itself does where a coordinator comes back too early (decision 0021).

What a coordinator sends to those that lead partitions, WriteTxnMarkers, is sent by the super user for a part of them.
Then the process is gone, and whoever opens the producer's name next has the real coordinator take back the rest.
"""

from __future__ import annotations

import os
import re
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from broker.access import KafkaAccess
from broker.lane.end_txn import EndOnceProducer

ADMIN_PASSWORD = "ADMIN_PASSWORD"
STATUS = 9
_PARTITIONS = CompactArray(
    ("name", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
)


class WriteTxnMarkersResponse_v1(Response):  # noqa: N801 - aiokafka's way to name them
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("name", CompactString("utf-8")),
                        (
                            "partitions",
                            CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class WriteTxnMarkersRequest_v1(RequestStruct):  # noqa: N801 - likewise
    FLEXIBLE_VERSION = True
    API_KEY = 27
    API_VERSION = 1
    RESPONSE_TYPE = WriteTxnMarkersResponse_v1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("commits", Boolean),
                ("topics", _PARTITIONS),
                ("coordinator_epoch", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class WriteTxnMarkersRequest(Request[WriteTxnMarkersRequest_v1]):
    """The end of a transaction, told to who leads some of its partitions."""

    API_KEY = 27

    def __init__(self, producer_id: int, epoch: int, places: list[tuple[str, int]]) -> None:
        self._markers = (producer_id, epoch, True, [(t, [p], {}) for t, p in places], 0, {})

    def build(self, request_struct_class: type[WriteTxnMarkersRequest_v1]) -> WriteTxnMarkersRequest_v1:
        return request_struct_class([self._markers], {})


def tear(producers: str, keeps: str) -> None:
    """Have this process's next transaction of a producer committed in the topics that match `keeps`, and be gone.

    Not one that would be committed everywhere, or nowhere. `producers`, `keeps`: regular expressions.
    """
    real = EndOnceProducer.commit_transaction

    async def commit(self: Any) -> None:
        transaction = self._txn_manager
        places = {(place.topic, place.partition) for place in transaction.txn_partitions}
        kept = sorted(place for place in places if re.fullmatch(keeps, place[0]))
        if not re.fullmatch(producers, transaction.transactional_id) or len(kept) in (0, len(places)):
            await real(self)
            return
        await _commit_in(transaction.producer_id, transaction.producer_epoch, kept)
        os._exit(STATUS)

    EndOnceProducer.commit_transaction = commit  # type: ignore[method-assign]


async def _commit_in(producer_id: int, epoch: int, places: list[tuple[str, int]]) -> None:
    access = KafkaAccess(os.environ["KAFKA_BOOTSTRAP_SERVERS"], "admin", os.environ[ADMIN_PASSWORD])
    client = AIOKafkaClient(**access.client_options())
    await client.bootstrap()
    node = client.get_random_node()
    said = await client.send(node, WriteTxnMarkersRequest(producer_id, epoch, places))
    await client.close()
    errors = {
        (topic, p[0]): p[1] for _, topics, _ in said.markers for topic, parts, _ in topics for p in parts
    }
    assert errors == dict.fromkeys(places, 0), errors
