"""A stock Faust agent that forwards, as Faust's own documentation has it written. `RAISE_AT`: there its body fails."""

from __future__ import annotations

import os
from typing import Any

import faust

NAME = os.environ["NAME"]
RAISE_AT = int(os.environ.get("RAISE_AT", "0"))
app = faust.App(
    NAME,
    broker=f"aiokafka://{os.environ['BOOTSTRAP']}",
    broker_credentials=faust.SASLCredentials(
        username="admin", password=os.environ["PASSWORD"], mechanism="SCRAM-SHA-512"
    ),
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.0,
    broker_request_timeout=10.0,
    # Wide, so that the kill comes before it says how far it was, as it can between any two times it does.
    broker_commit_interval=60.0,
    topic_disable_leader=True,
    topic_allow_declare=False,
    web_enabled=False,
    store="memory://",
    datadir=os.environ["DATADIR"],
)
source = app.topic(
    f"{NAME}.in", value_serializer="raw", key_serializer="raw", value_type=bytes, key_type=bytes
)
sink = app.topic(f"{NAME}.out", value_serializer="raw", key_serializer="raw")
seen = {"count": 0}


@app.agent(source)
async def forward(stream: Any) -> None:
    async for event in stream.events():
        seen["count"] += 1
        if seen["count"] == RAISE_AT:
            raise RuntimeError("what it calls is away for a moment")
        await sink.send(
            key=event.key, value=event.value, headers=dict(event.headers), partition=event.message.partition
        )


if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
