"""What the gate's own process shows of itself: batches, commits, slots. Counts of changes come from the ledger."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from broker.clock import now_ms
from broker.lane.judged import Judged

log = structlog.get_logger()


class GateMetrics:
    """Metrics of one worker, served on loopback without any record in them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._batches = Counter("solesource_gate_batches", "Batches committed.", registry=self._registry)
        self._changes = Counter(
            "solesource_gate_changes", "Changes judged by this worker.", ["outcome"], registry=self._registry
        )
        self._last = Gauge(
            "solesource_gate_last_commit_timestamp_seconds",
            "When a slot last committed.",
            ["slot"],
            registry=self._registry,
        )
        self._tasks = Gauge(
            "solesource_gate_tasks", "Tasks of this worker under way.", registry=self._registry
        )

    def serve(self, host: str, port: int, loop: asyncio.AbstractEventLoop) -> None:
        """Serve /metrics of what runs in `loop`; a port that is taken costs the metrics, never the gate."""
        self._tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        try:
            start_http_server(port, addr=host, registry=self._registry)
        except OSError as error:
            log.warning("gate.metrics_unavailable", port=port, error=str(error))

    def committed(self, slot: int, judged: Judged) -> None:
        """Count one committed batch."""
        self._batches.inc()
        for outcome, count in judged.account.items():
            self._changes.labels(outcome).inc(count)
        self._last.labels(str(slot)).set(now_ms() / 1000)
