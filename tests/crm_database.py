"""A database of a CRM on a real PostgreSQL, and the connector's configuration for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest

from broker.embedded.postgres import EmbeddedPostgres
from connectors.postgres import CONNECTOR
from connectors.postgres.sink import PostgresSink
from connectors.postgres.source import PostgresSource
from connectors.sdk.adapter import Context
from connectors.sdk.store import Store
from connectors.sdk.writing import Writing
from tests.connector_parts import context_of

NUMBERS = count(1)
TABLE = """CREATE TABLE customers (customer_id text PRIMARY KEY, name text NOT NULL, email text, phone text,
    credit_limit numeric(16, 2), region text DEFAULT 'north')"""
FIELDS = {name: name for name in ("customer_id", "name", "email", "phone", "credit_limit")}


class Database:
    """One database of its own, with the connector's configuration for it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.name = f"crm{next(NUMBERS)}"
        self.url = server.create_role_and_database(self.name, replication=True)
        self.application = psycopg.connect(self.url, autocommit=True)
        self.application.execute(TABLE)
        self.store = Store(":memory:")

    def run(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.application.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def context(self, writing: Callable[[str], Writing | None] = lambda _: None, **settings: Any) -> Context:
        names = {"slot": self.name, "publication": self.name}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CRM_DSN", self.url)
            made = context_of(
                "crm",
                settings={"dsn": {"env": "CRM_DSN"}, **names, **settings},
                mapping={"table": "customers", "key": "customer_id", "fields": FIELDS},
                store=self.store,
            )
        return replace(made, writing=writing)

    def build(self, **given: Any) -> tuple[PostgresSource, PostgresSink]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CRM_DSN", self.url)
            parts = CONNECTOR.build(self.context(**given))
        assert isinstance(parts.source, PostgresSource)
        assert isinstance(parts.sink, PostgresSink)
        return parts.source, parts.sink
