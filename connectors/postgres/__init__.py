"""PostgreSQL as a system: tables read by logical replication, rows written under a revision guard."""

from __future__ import annotations

from connectors.postgres.settings import PostgresSettings, TableMapping, mappings_of
from connectors.postgres.sink import PostgresSink
from connectors.postgres.source import PostgresSource
from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.config import checked

__all__ = ["CONNECTOR", "PostgresSettings", "PostgresSink", "PostgresSource", "TableMapping"]


def build(context: Context) -> Parts:
    """Source and sink of one database."""
    settings = checked(PostgresSettings, context.settings, "settings")
    mappings = mappings_of(context)
    access = settings.access(context.folder)
    return Parts(
        PostgresSource(context, settings, mappings, access),
        PostgresSink(context, mappings, access),
    )


CONNECTOR = Connector("postgres", build)
