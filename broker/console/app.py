"""The console's process: everything put together, and served on loopback. Only wiring."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from broker import telemetry
from broker.agents.sender import KafkaSender
from broker.console.api import Api
from broker.console.decisions import Sender
from broker.console.governed_api import GovernedApi
from broker.console.governed_pages import GovernedPages
from broker.console.governed_views import GovernedViews
from broker.console.governing import Governing
from broker.console.guard import Guard
from broker.console.live import Live
from broker.console.pages import Pages
from broker.console.problems import PROBLEMS, Problem
from broker.console.rendering import page, static_file
from broker.console.sessions import Sessions
from broker.console.settings import ConsoleSettings
from broker.console.signing_in import SigningIn
from broker.console.users import Users
from broker.console.views import Views
from broker.store.engine import Engine, open_store
from broker.store.signing import read_signer

__all__ = ["ConsoleSettings", "make_app", "serve"]


def make_app(settings: ConsoleSettings, engine: Engine, sender: Sender | None = None) -> FastAPI:
    """The application. `sender` is how decisions leave; without one, Kafka as `settings` say."""
    users, sessions = Users(settings.users_file), Sessions()
    kafka = None if sender is not None else KafkaSender(settings.kafka)
    outlet: Sender = sender or kafka or KafkaSender(settings.kafka)
    views = Views(engine, settings.titles)
    live = Live(views, sessions)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        telemetry.log("console.started", address=settings.base_url)
        yield
        if kafka is not None:
            await kafka.close()

    app = FastAPI(
        title="SoleSource",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
        debug=False,
    )
    governing = Governing(engine, read_signer(settings.audit_key, settings.anchors))
    governed = GovernedViews(governing)
    app.state.live = live
    app.router.routes.extend(
        [
            *SigningIn(settings, users, sessions).routes(),
            *Pages(engine, views, outlet, governed).routes(),
            *GovernedPages(governing, governed).routes(),
            *Api(engine, views, outlet).routes(),
            *live.routes(),
            Route("/static/{name}", static_file, methods=["GET"]),
            Route("/healthz", _health, methods=["GET"]),
        ]
    )
    app.include_router(GovernedApi(governing).router())
    for kind, tell in PROBLEMS.items():
        app.add_exception_handler(kind, _answer(tell))
    app.add_middleware(Guard, settings=settings, users=users, sessions=sessions)
    return app


def _answer(tell: Callable[[Exception], Problem]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        code, status, sentence, remedy = tell(error)
        if request.url.path.startswith("/api/"):
            document = {"type": code, "title": sentence, "status": status, "detail": remedy}
            return JSONResponse(document, status, media_type="application/problem+json")
        return page(request, "problem.html", status=status, sentence=sentence, remedy=remedy)

    return answer


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


class ConsoleServer(uvicorn.Server):
    """Ends the open streams first: they would keep a stopping server waiting."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and answering."""
        live: Live = self.config.app.state.live  # type: ignore[union-attr]
        live.closing = True
        await super().shutdown(sockets)


def serve(settings: ConsoleSettings) -> None:
    """Serve until SIGINT or SIGTERM. Raises StoreError when the database cannot be opened."""
    telemetry.use_json_logs()
    engine = open_store(settings.database_url)
    config = uvicorn.Config(
        make_app(settings, engine),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # addresses carry one-time codes
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    try:
        ConsoleServer(config).run()
    finally:
        engine.dispose()
