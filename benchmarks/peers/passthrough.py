"""The peer that only moves bytes: librdkafka reads, copies key, value and headers, writes, commits; at-least-once.

As fast as Python can pass a record on at all: whoever decides something too cannot be faster.
"""

import os

from benchmarks.peers.librdkafka import reading, writing

consumer = reading()
producer = writing(**{"acks": "all", "enable.idempotence": True})
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
