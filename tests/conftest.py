"""Fixtures that every test may ask for: the real servers, one of each per session, started on first use.

What a single test needs to know about its own topics, users and tables lives beside that test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.postgres import EmbeddedPostgres
from broker.embedded.tryton import EmbeddedTryton


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A secured Kafka: `.bootstrap`, `.credentials(user)`, `.admin()`, `.client_settings(user)`."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka"), brief=True) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL: `.create_role_and_database(name)`, `.url(database, user)`, `.connect()`."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), fsync=False)
    try:
        server.up()
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def tryton(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTryton]:
    """A real ERP: `.url`, `.database`, `.user`, `.password`. The very first on a machine takes a minute."""
    with EmbeddedTryton(tmp_path_factory.mktemp("tryton"), postgres) as running:
        yield running
