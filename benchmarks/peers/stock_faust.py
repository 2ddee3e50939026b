"""The peers: stock Faust agents, one event at a time, as Faust's own documentation has them written.

`JOB=forward` reads the headers, compares the version with one in a dict and forwards the record with its six headers:
the least that can be called an agent; a restart forgets its versions. `JOB=gate` does the gate's job as far as an agent
can: versions and revisions live in a Faust table, which a changelog topic carries over a restart, and the record leaves
with the ten headers that readers of authoritative records need. Both are at-least-once.
"""

import os

import faust

bootstrap, job = os.environ["BOOTSTRAP"], os.environ["JOB"]
name = os.environ["APP"]
app = faust.App(
    name,
    broker=f"aiokafka://{bootstrap}",
    topic_partitions=4,
    topic_replication_factor=1,
    broker_credentials=faust.SASLCredentials(
        username="admin", password=os.environ["PASSWORD"], mechanism="SCRAM-SHA-512"
    ),
    consumer_auto_offset_reset="earliest",
    producer_linger=0.005,
    stream_wait_empty=False,
    web_enabled=False,
    broker_max_poll_records=5000,
    consumer_max_fetch_size=4 << 20,
    topic_disable_leader=True,
    producer_max_batch_size=262_144,
    stream_buffer_maxsize=16_384,
    topic_allow_declare=False,
    store="memory://",
    datadir=os.environ["DATADIR"],
)
source = app.topic(
    os.environ["SOURCE"], value_serializer="raw", key_serializer="raw", value_type=bytes, key_type=bytes
)
sink = app.topic(os.environ["SINK"], value_serializer="raw", key_serializer="raw")
if job == "forward":
    versions: dict[bytes, bytes] = {}

    @app.agent(source)
    async def forward(stream):
        async for event in stream.events():
            headers = dict(event.headers)
            version = headers["ce_id"]
            if headers["ce_source"] == b"/crm" and versions.get(event.key, b"") < version:
                versions[event.key] = version
                await sink.send(key=event.key, value=event.value, headers=headers)

else:
    accepted = app.Table("accepted", key_type=str, value_type=str, default=str, partitions=4)

    @app.agent(source)
    async def gate(stream):
        async for event in stream.events():
            headers = dict(event.headers)
            version, key = headers["ce_id"].decode(), event.key.decode()
            revision, _, last = accepted[key].partition(" ")
            if headers["ce_source"] == b"/crm" and last < version:
                number = int(revision or 0) + 1
                accepted[key] = f"{number} {version}"
                written = {
                    "ce_specversion": b"1.0",
                    "ce_id": f"account/{key}@{number}".encode(),
                    "ce_source": b"/gate",
                    "ce_type": b"account.authoritative",
                    "ce_time": headers["ce_time"],
                    "ce_causationid": b"crm/" + headers["ce_id"],
                    "ce_revision": str(number).encode(),
                    "ce_changed": b"*",
                    "ce_owners": b"crm@" + headers["ce_id"],
                    "ce_decision": f"1:{int(event.message.timestamp * 1000)}".encode(),
                }
                await sink.send(key=event.key, value=event.value, headers=written)


if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
