"""Another design of the gate: its decision between clients of librdkafka, and nothing else.

The short way of the gate decides; states are in a dict, there is no ledger, no state on disk and no order of arrival.
Records of one read leave in one transaction. As fast as the gate could be if all that is not deciding cost nothing.
"""

import os
from pathlib import Path

from benchmarks.peers.librdkafka import reading, writing
from broker.gate.express import express
from broker.rules import rules_of
from broker.settings import Settings

consumer = reading()
producer = writing(**{"transactional.id": os.environ["APP"]})
documents = Settings(map_dir=Path(os.environ["MAP"])).map_documents()
plan = rules_of(documents, 1).express["crm", "account"]
sink = os.environ["SINK"]
states = {}
producer.init_transactions()
while True:
    messages = consumer.consume(5000, 0.2)
    if not messages:
        continue
    producer.begin_transaction()
    for message in messages:
        key, (_, at_ms) = message.key(), message.timestamp()
        headers = tuple(message.headers())
        taken = express(plan, states.get(key), key, message.value(), headers, at_ms)
        if taken is None:
            raise SystemExit(f"{key!r} was not decided on the short way")
        states[key], revision = taken
        producer.produce(sink, revision.body, key, message.partition(), headers=list(revision.headers))
    places = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata())
    producer.commit_transaction()
