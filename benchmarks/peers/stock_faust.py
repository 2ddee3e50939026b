"""The peer: a stock Faust agent, one event at a time: reads the headers, checks the version, forwards."""

import os
import time

import faust

bootstrap, count = os.environ["BOOTSTRAP"], int(os.environ["COUNT"])
app = faust.App(
    f"stock-faust-{time.time_ns()}",
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
)
source = app.topic(
    os.environ["SOURCE"], value_serializer="raw", key_serializer="raw", value_type=bytes, key_type=bytes
)
sink = app.topic(os.environ["SINK"], value_serializer="raw", key_serializer="raw")
versions: dict[bytes, bytes] = {}
state = {"seen": 0, "began": 0.0}


@app.agent(source)
async def forward(stream):
    async for event in stream.events():
        if not state["began"]:
            state["began"] = time.monotonic()
        headers = dict(event.headers)
        version = headers["ce_id"]
        if headers["ce_source"] == b"/crm" and versions.get(event.key, b"") < version:
            versions[event.key] = version
            await sink.send(key=event.key, value=event.value, headers=headers)
        state["seen"] += 1
        if state["seen"] >= count:
            print(f"RATE {count / (time.monotonic() - state['began']):.0f}", flush=True)
            os._exit(0)


if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
