"""The control process: indexing, ticks, evaluation, and health and metrics on loopback.

Only wiring; each part is its own module. It never decides about a change and is never waited for by the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import uvicorn
from aiokafka.errors import KafkaError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker import telemetry
from broker.access import KafkaAccess, MailAccess
from broker.agents.evaluation import EVALUATE_EVERY_S, Evaluator, promises_of
from broker.agents.families import families
from broker.agents.figures import read_figures
from broker.agents.indexer import FamilyIndexer
from broker.agents.learning import Learner
from broker.agents.mailing import Mailer
from broker.agents.streams import Streams
from broker.agents.ticks import TICK_EVERY_S, run_ticks
from broker.clock import now_ms
from broker.ending import ended
from broker.governance.reviewing import remind, remind_of_cases
from broker.store.audit import Actor, deciding
from broker.store.engine import Engine, clear_rebuilt, open_store, writing
from broker.store.errors import StoreError, StoreUnavailableError
from broker.store.levels import prune_windows
from broker.store.signing import Signer
from broker.store.trail import prune_trail
from ownership.map import OwnershipMap
from schemas.remote import RemoteRegistry

HEALTHY_WITHIN_MS = 10_000
FOLLOW_EVERY_S = 1.0
REMIND_EVERY_S = 3600.0
TRAIL_KEPT_MS = 30 * 86_400_000
WINDOWS_KEPT_MS = 100 * 86_400_000
"""A quarter and some days: the quarterly review measures against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """All that control needs. `port`: None = no HTTP, 0 = any free one."""

    kafka: KafkaAccess
    database_url: str
    ownership_map: OwnershipMap
    """In force when it starts."""
    host: str = "127.0.0.1"
    port: int | None = 9464
    tick_every_s: float = TICK_EVERY_S
    evaluate_every_s: float = EVALUATE_EVERY_S
    registry: Callable[[], RemoteRegistry | None] = lambda: None
    """The company's schema registry, a client of its own at each call."""
    signer: Callable[[], Signer] | None = None
    """The key of the audit; None = stewards are not reminded of their reviews."""
    mail: MailAccess | None = None
    """Where notices are mailed; None = nowhere."""
    public_url: str = ""
    """Of the console, for links in mails; empty = none."""


def run(settings: ControlSettings, *, rebuild: bool = False) -> None:
    """Run until SIGINT or SIGTERM. `rebuild` forgets what was derived from topics and reads them again.

    Once another map is in force everything ends and begins anew under it, on a loop of its own: so nothing of before
    is still being written.
    """
    telemetry.use_json_logs()
    newer: OwnershipMap | None = settings.ownership_map
    while newer is not None:
        newer = asyncio.run(_until_signalled(replace(settings, ownership_map=newer), rebuild))
        rebuild = False


async def _until_signalled(settings: ControlSettings, rebuild: bool) -> OwnershipMap | None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await serve(settings, stop, rebuild=rebuild)


async def serve(
    settings: ControlSettings, stop: asyncio.Event, *, rebuild: bool = False
) -> OwnershipMap | None:
    """Run until `stop` is set, another map is in force, or a part fails for good (its error is raised).

    Returns the other map.
    """
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
    if settings.signer is not None:
        work.append(asyncio.create_task(_keep_reminding(engine, settings.signer)))
    if settings.mail is not None:
        mailer = Mailer(engine, settings.mail, settings.ownership_map, settings.public_url)
        work.append(asyncio.create_task(mailer.run()))
    registry = settings.registry()
    if registry is not None:
        learner = Learner(engine, settings.kafka, registry)
        work.append(asyncio.create_task(learner.run()))
    if settings.port is not None:
        work.append(asyncio.create_task(_listen(settings, settings.port, engine, evaluator)))
    version = settings.ownership_map.version
    telemetry.log(
        "control.started",
        families=len(parts),
        objects=len(settings.ownership_map.objects),
        map_version=version,
    )
    stopping = asyncio.create_task(stop.wait())
    newer = asyncio.create_task(_newer(settings.kafka, settings.ownership_map))
    done, _ = await asyncio.wait([*work, newer, stopping], return_when=asyncio.FIRST_COMPLETED)
    await ended([*work, newer, stopping])
    engine.dispose()
    for task in done - {stopping}:
        task.result()
    telemetry.log("control.stopped")
    return newer.result() if newer in done and stopping not in done else None


async def _newer(access: KafkaAccess, known: OwnershipMap) -> OwnershipMap:
    """The map in force, once it says something else: that a schema was learned is a version, and no other map."""
    streams = Streams(access)
    try:
        while True:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):  # the next look finds it
                found = await streams.newest()
                if found.version > known.version and found.digest != known.digest:
                    return found
            await asyncio.sleep(FOLLOW_EVERY_S)
    finally:
        await streams.close()


async def _keep_house(engine: Engine) -> None:
    while True:
        with contextlib.suppress(StoreUnavailableError):  # the next hour does it
            await asyncio.to_thread(_prune, engine)
        await asyncio.sleep(3600)


async def _keep_reminding(engine: Engine, signer_of: Callable[[], Signer]) -> None:
    """Tell stewards of reviews that are due. A key that cannot be used is said, and nobody is told unaudited."""
    while True:
        try:
            await asyncio.to_thread(_remind, engine, signer_of)
        except StoreError as error:
            telemetry.log("control.not_reminded", level="error", code=error.code)
        await asyncio.sleep(REMIND_EVERY_S)


def _remind(engine: Engine, signer_of: Callable[[], Signer]) -> None:
    actor = Actor("control", "control", now_ms())
    with deciding(engine, signer_of(), actor, "review.remind") as session:
        remind(session, actor)
        remind_of_cases(session, actor)


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
