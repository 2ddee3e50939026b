"""PostgreSQL as a system: tables read by logical replication, rows written under a revision guard.

The driver (psycopg, LGPL-3.0) is an extra that nobody gets unasked: only `build` looks for it.
"""

from __future__ import annotations

from importlib.util import find_spec

from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.config import checked
from connectors.sdk.errors import ConnectorError

__all__ = ["CONNECTOR", "DriverMissing"]
DRIVER = "psycopg"


class DriverMissing(ConnectorError):
    """The connector's driver is not installed."""

    code = "connector.driver_missing"
    remedy = "Install it: pip install 'solesource[postgres]' (psycopg, LGPL-3.0)."


def build(context: Context) -> Parts:
    """Source, sink and backfill of one database. Raises DriverMissing without the extra `postgres`."""
    if find_spec(DRIVER) is None:
        msg = f"the PostgreSQL connector needs the driver {DRIVER}"
        raise DriverMissing(msg)
    from connectors.postgres.backfill import PostgresBackfill
    from connectors.postgres.settings import PostgresSettings, mappings_of
    from connectors.postgres.sink import PostgresSink
    from connectors.postgres.source import PostgresSource

    settings = checked(PostgresSettings, context.settings, "settings")
    mappings = mappings_of(context)
    access = settings.access(context.folder)
    return Parts(
        PostgresSource(context, settings, mappings, access),
        PostgresSink(context, mappings, access),
        PostgresBackfill(context, settings, mappings, access),
    )


CONNECTOR = Connector("postgres", build)
