"""One store per test: SQLite always, the real PostgreSQL in the integration run. Same tests, same answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store.engine import Engine, open_store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        engine = open_store(f"sqlite:///{tmp_path / 'store.db'}")
        yield engine
        engine.dispose()
        return
    server = request.getfixturevalue("postgres")
    name = f"store_{uuid.uuid4().hex[:12]}"
    server.create_role_and_database(name)
    engine = open_store(server.url(name, name))
    yield engine
    engine.dispose()
    server.drop_database(name)
