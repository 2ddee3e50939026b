"""PostgreSQL by pg8000 (BSD): options of the URL in libpq's words, and which of the server's errors mean that it is
away.

The driver knows only three kinds of error; SQLSTATE says the rest. No query lives here.
"""

from __future__ import annotations

import ssl
from typing import Any

from sqlalchemy import URL, Engine, ExceptionContext, event
from sqlalchemy.exc import DBAPIError

from broker.store.errors import StoreUrlRefusedError

TIMEOUT_S = 30
"""Longest silence of the server within an answer; then the connection counts as lost."""
_OPTIONS = frozenset({"application_name", "sslmode", "sslrootcert", "timeout"})
_CLOSED = ("08", "57P")
"""SQLSTATE of a connection that the server has ended or will end."""
_AWAY = (*_CLOSED, "28", "3D", "40", "53", "55", "57", "58")
"""And of everything that another try, or an operator, can put right without a change of ours: no entry, no
such database, a lost race, no room, a lock, an operator's stop, a fault of the system."""


def driver_options(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL for the driver and what it is told beside it. Raises StoreUrlRefusedError for an unknown option."""
    unknown = sorted(url.query.keys() - _OPTIONS)
    if unknown:
        msg = f"the database URL has options that are not known: {', '.join(unknown)}"
        raise StoreUrlRefusedError(msg, f"Known are: {', '.join(sorted(_OPTIONS))}.")
    given = {name: str(value) for name, value in url.query.items()}
    timeout = given.get("timeout", str(TIMEOUT_S))
    if not timeout.isdecimal():
        raise StoreUrlRefusedError("the option timeout of the database URL is not a whole number of seconds")
    options: dict[str, Any] = {
        "timeout": int(timeout),
        "application_name": given.get("application_name", "solesource"),
        "ssl_context": _tls(given.get("sslmode", "prefer"), given.get("sslrootcert")),
    }
    return url.set(drivername="postgresql+pg8000", query={}), options


def _tls(mode: str, authority: str | None) -> ssl.SSLContext | bool | None:
    """As libpq means it; `prefer` is the driver's own way: TLS where the server has it."""
    if mode == "prefer":
        return None
    if mode == "disable":
        return False
    if mode not in ("require", "verify-full"):
        msg = f"sslmode={mode} is not known"
        raise StoreUrlRefusedError(msg, "Use disable, prefer, require or verify-full (with sslrootcert).")
    context = ssl.create_default_context(cafile=authority)
    if mode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def sqlstate(error: BaseException | None) -> str:
    """The five characters in which PostgreSQL says what is wrong; empty when it said nothing."""
    told = error.args[0] if error is not None and error.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""


def is_away(error: DBAPIError) -> bool:
    """Does the server's answer mean that the database is not there for us now?"""
    return sqlstate(error.orig).startswith(_AWAY)


def watch_connections(engine: Engine) -> None:
    """Have a connection that the server ended dropped from the pool, also when it is tried before use."""

    @event.listens_for(engine, "handle_error")
    def closed(context: ExceptionContext) -> None:
        if sqlstate(context.original_exception).startswith(_CLOSED):
            context.is_disconnect = True
