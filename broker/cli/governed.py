"""How commands change what people decided: on the database, with the audit's key, as whoever is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated

import typer

from broker.clock import now_ms
from broker.kafka.admin import CONTROL
from broker.kafka.estate import map_versions
from broker.settings import Settings
from broker.store.audit import Actor, deciding
from broker.store.decided import Session
from broker.store.engine import Engine, open_store, reading, writing
from broker.store.signing import Signer, read_signer
from broker.store.versions import index_versions

By = Annotated[str, typer.Option(help="Who does it; stands in the audit.")]
VIA = "cli"


@cache
def engine_of(url: str) -> Engine:
    """The database; opened once."""
    return open_store(url)


def database(settings: Settings) -> Engine:
    """The database with the versions of the map that are on Kafka, where it is known where Kafka is."""
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = engine_of(settings.store_url)
    if settings.bootstrap:
        versions = map_versions(settings.access(CONTROL))
        with writing(engine) as connection:
            index_versions(connection, versions)
    return engine


def signer_of(settings: Settings) -> Signer:
    """The key that signs the audit."""
    return read_signer(settings.audit_key_path, settings.anchors_path)


@contextmanager
def acting(by: str, action: str, settings: Settings | None = None) -> Iterator[tuple[Session, Actor]]:
    """One audited step of a person at the command line."""
    found = settings or Settings()
    actor = Actor(by, VIA, now_ms())
    with deciding(database(found), signer_of(found), actor, action) as session:
        yield session, actor


@contextmanager
def looking() -> Iterator[Session]:
    """What people decided, for reading."""
    with reading(database(Settings())) as connection, Session(connection) as session:
        yield session
