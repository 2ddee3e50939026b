"""The gate's process: a Faust app whose agent judges batches that the lane brings through a channel.

`faust -A broker.app worker` or `solesource gate` runs it. Faust's own consumer, tables, `exactly_once` and web server
are off: they are not in the path of the data (decision 0002).
"""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.types import StreamT

from broker.lane.metrics import GateMetrics
from broker.lane.service import Lane
from broker.lane.settle import Batch, answer
from broker.settings import Settings


class _LaneOnly(BootStrategy):
    """Starts agents and services; no consumer, producer or web server of Faust's."""

    enable_kafka = False
    enable_web = False


class Gate(faust.App):
    """The Faust app of the gate."""

    BootStrategy = _LaneOnly

    async def _wait_for_table_recovery_completed(self) -> bool:
        return False  # there are no tables: nothing to recover, and not stopped

    def _create_directories(self) -> None:
        # It holds records; Faust makes no parents.
        self.conf.datadir.mkdir(mode=0o700, parents=True, exist_ok=True)
        super()._create_directories()


def make_app(settings: Settings) -> Any:
    """The app that a worker runs."""
    app = Gate(
        "solesource-gate",
        broker="aiokafka://" + (settings.bootstrap or "127.0.0.1:9092"),
        web_enabled=False,
        topic_disable_leader=True,
        datadir=str(settings.home / "gate"),
    )
    channel = app.channel(maxsize=settings.slots)

    @app.agent(channel, concurrency=1, name="gate")
    async def gate(batches: StreamT[Batch]) -> None:
        """Judge batches one after the other; the slot that sent each one commits what it brings about."""
        async for batch in batches:
            if not batch.judged.cancelled():
                await answer(batch)

    async def submit(batch: Batch) -> None:
        await channel.put(batch)

    metrics = GateMetrics()

    @app.service
    class GateLane(Lane):
        """The lane, started by Faust."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(
                settings.access("gate"),
                settings.slots,
                submit,
                metrics.committed,
                settings.mask_key,
                settings.home / "gate",
                settings.replicas,
                settings.states_in_memory,
                **kwargs,
            )

        async def on_start(self) -> None:
            app.flow_control.resume()  # without a consumer nobody else opens the agent's channel
            metrics.serve(settings.host, settings.gate_port, asyncio.get_running_loop())

    return app


app = make_app(Settings())
