"""The peer that only moves bytes: librdkafka reads, copies key, value and headers, writes, commits; at-least-once.

As fast as Python can pass a record on at all: whoever decides something too cannot be faster.
"""

import os

from confluent_kafka import Consumer, Producer

shared = {
    "bootstrap.servers": os.environ["BOOTSTRAP"],
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "admin",
    "sasl.password": os.environ["PASSWORD"],
}
consumer = Consumer(
    {
        **shared,
        "group.id": os.environ["APP"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }
)
producer = Producer(
    {
        **shared,
        "linger.ms": 5,
        "acks": "all",
        "enable.idempotence": True,
        "queue.buffering.max.messages": 1_000_000,
    }
)
consumer.subscribe([os.environ["SOURCE"]])
while True:
    messages = consumer.consume(5000, 0.2)
    for message in messages:
        # Parsed and made again, as everybody must who looks into them.
        headers = [(name, value) for name, value in message.headers()]
        producer.produce(
            os.environ["SINK"], message.value(), message.key(), message.partition(), headers=headers
        )
    if messages:
        producer.flush()
        consumer.commit(asynchronous=False)
