"""The peer in Python with exactly-once: Quix Streams, a stateful dataframe over RocksDB, as its documentation has it.

`pip install quixstreams` into an environment of its own (`QUIX_PYTHON` names its Python).
"""

import os

from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig

broker = ConnectionConfig(
    bootstrap_servers=os.environ["BOOTSTRAP"],
    security_protocol="sasl_plaintext",
    sasl_mechanism="SCRAM-SHA-512",
    sasl_username="admin",
    sasl_password=os.environ["PASSWORD"],
)
app = Application(
    broker_address=broker,
    consumer_group=os.environ["APP"],
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    commit_interval=float(os.environ.get("COMMIT_S", "1")),
    state_dir=os.environ["DATADIR"],
    auto_create_topics=True,
    loglevel="ERROR",
)
source = app.topic(os.environ["SOURCE"], value_deserializer="bytes", key_deserializer="bytes")
sink = app.topic(os.environ["SINK"], value_serializer="bytes", key_serializer="bytes")


def owned(_value, _key, _timestamp, headers):
    return dict(headers)["ce_source"] == b"/crm"


def kept(value, _key, _timestamp, headers, state):
    version = dict(headers)["ce_id"].decode()
    if version <= state.get("version", ""):
        return None
    state.set("version", version)
    return value


frame = app.dataframe(source)
frame = frame.filter(owned, metadata=True)
frame = frame.apply(kept, stateful=True, metadata=True)
frame = frame.filter(lambda value: value is not None)
frame = frame.to_topic(sink)
app.run()
