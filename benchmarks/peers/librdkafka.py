"""Clients of librdkafka for the programs beside this one."""

import os
from typing import Any

from confluent_kafka import Consumer, Producer


def _shared() -> dict[str, Any]:
    return {
        "bootstrap.servers": os.environ["BOOTSTRAP"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "admin",
        "sasl.password": os.environ["PASSWORD"],
    }


def reading() -> Consumer:
    """Reads what is committed of the topic that the environment names, from its beginning."""
    consumer = Consumer(
        {
            **_shared(),
            "group.id": os.environ["APP"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([os.environ["SOURCE"]])
    return consumer


def writing(**more: Any) -> Producer:
    """Writes in batches of five milliseconds."""
    return Producer({**_shared(), "linger.ms": 5, "queue.buffering.max.messages": 1_000_000, **more})
