"""The control process: indexing, ticks, evaluation, and health and metrics on loopback.

Only wiring; each part is its own module. It never decides about a change and is never waited for by the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker import telemetry
from broker.access import KafkaAccess
from broker.agents.evaluation import EVALUATE_EVERY_S, Evaluator, promises_of
from broker.agents.families import families
from broker.agents.figures import read_figures
from broker.agents.indexer import FamilyIndexer
from broker.agents.learning import Learner
from broker.agents.ticks import TICK_EVERY_S, run_ticks
from broker.clock import now_ms
from broker.store.engine import Engine, clear_rebuilt, open_store, writing
from broker.store.errors import StoreUnavailableError
from broker.store.levels import prune_windows
from broker.store.trail import prune_trail
from ownership.map import OwnershipMap
from schemas.remote import RemoteRegistry

HEALTHY_WITHIN_MS = 10_000
TRAIL_KEPT_MS = 30 * 86_400_000
WINDOWS_KEPT_MS = 100 * 86_400_000
"""A quarter and some days: the quarterly review measures against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """All that control needs. `port`: None = no HTTP, 0 = any free one."""

    kafka: KafkaAccess
    database_url: str
    ownership_map: OwnershipMap
    host: str = "127.0.0.1"
    port: int | None = 9464
    tick_every_s: float = TICK_EVERY_S
    evaluate_every_s: float = EVALUATE_EVERY_S
    registry: RemoteRegistry | None = None


def run(settings: ControlSettings, *, rebuild: bool = False) -> None:
    """Run until SIGINT or SIGTERM. `rebuild` forgets what was derived from topics and reads them again."""
    telemetry.use_json_logs()
    asyncio.run(_until_signalled(settings, rebuild))


async def _until_signalled(settings: ControlSettings, rebuild: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop, rebuild=rebuild)


async def serve(settings: ControlSettings, stop: asyncio.Event, *, rebuild: bool = False) -> None:
    """Run until `stop` is set, or a part fails for good (its error is raised)."""
    engine = await asyncio.to_thread(open_store, settings.database_url)
    if rebuild:
        await asyncio.to_thread(clear_rebuilt, engine)
        telemetry.log("control.rebuilt")
    lock = asyncio.Lock()
    parts = families(settings.ownership_map.systems)
    evaluator = Evaluator(engine, settings.kafka, promises_of(settings.ownership_map))
    work = [asyncio.create_task(FamilyIndexer(engine, settings.kafka, part, lock).run()) for part in parts]
    work.append(
        asyncio.create_task(run_ticks(settings.kafka, settings.ownership_map.objects, settings.tick_every_s))
    )
    work.append(asyncio.create_task(evaluator.run(settings.evaluate_every_s)))
    work.append(asyncio.create_task(_keep_house(engine)))
    if settings.registry is not None:
        learner = Learner(engine, settings.kafka, settings.registry)
        work.append(asyncio.create_task(learner.run()))
    if settings.port is not None:
        work.append(asyncio.create_task(_listen(settings, settings.port, engine, evaluator)))
    telemetry.log("control.started", families=len(parts), objects=len(settings.ownership_map.objects))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (*work, stopping):
        task.cancel()
    await asyncio.gather(*work, stopping, return_exceptions=True)
    engine.dispose()
    for task in done - {stopping}:
        task.result()
    telemetry.log("control.stopped")


async def _keep_house(engine: Engine) -> None:
    while True:
        with contextlib.suppress(StoreUnavailableError):  # the next hour does it
            await asyncio.to_thread(_prune, engine)
        await asyncio.sleep(3600)


def _prune(engine: Engine) -> None:
    with writing(engine) as connection:
        prune_trail(connection, now_ms() - TRAIL_KEPT_MS)
        prune_windows(connection, now_ms() - WINDOWS_KEPT_MS)


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which has more to stop than this server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _listen(settings: ControlSettings, port: int, engine: Engine, evaluator: Evaluator) -> None:
    async def health(_request: Request) -> Response:
        fresh = now_ms() - evaluator.evaluated_ms <= HEALTHY_WITHIN_MS
        return Response(
            "ok\n" if fresh else "not evaluating\n", 200 if fresh else 503, media_type="text/plain"
        )

    async def metrics(_request: Request) -> Response:
        text = await asyncio.to_thread(telemetry.exposition, lambda: read_figures(engine))
        return Response(text, media_type="text/plain; version=0.0.4")

    app = Starlette(routes=[Route("/healthz", health), Route("/metrics", metrics)])
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    server = _Server(config)
    try:
        await server.serve()
    except asyncio.CancelledError:
        if server.started:  # a cancelled server leaves its sockets to whoever cancelled it
            await server.shutdown()
        raise
