"""Connections to PostgreSQL with the settings that make its texts readable. No statements of the connector
here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg

from connectors.postgres.faults import fault_of
from connectors.postgres.settings import PostgresAccess

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

# Row texts follow these settings; the application's own defaults must not decide how a date is spelled.
# `solesource.writes` is for the guard: what the connector writes passes it.
_OPTIONS = (
    "-c datestyle=ISO -c timezone=UTC -c bytea_output=hex -c extra_float_digits=3 -c solesource.writes=on"
)


async def connect(access: PostgresAccess, *, replication: bool = False) -> Connection:
    """An autocommit connection. Raises ConnectionLost, or ConnectorError for what waiting will not mend."""
    extra: dict[str, Any] = {"replication": "database"} if replication else {}
    if access.password is not None:
        extra["password"] = access.password
    try:
        return await psycopg.AsyncConnection.connect(
            access.dsn,
            autocommit=True,
            connect_timeout=10,
            client_encoding="utf8",
            application_name="solesource",
            options=_OPTIONS,
            keepalives_idle=10,
            tcp_user_timeout=30_000,
            **extra,
        )
    except psycopg.Error as error:
        raise fault_of(error, "connecting") from error


async def disconnect(connection: Connection | None) -> None:
    """Close, also what is broken already."""
    if connection is not None:
        with suppress(psycopg.Error, OSError):
            await connection.close()
