"""How commands change what people decided: on the database, with the audit's key, as whoever is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated

import typer

from broker.cli.output import CommandRefused
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
ByOrToken = Annotated[
    str | None,
    typer.Option("--by", help="Who does it; stands in the audit. By the console's API: whose token it is."),
]
VIA = "cli"


@cache
def engine_of(url: str) -> Engine:
    """The database; opened once."""
    return open_store(url)


def own_store_url(settings: Settings) -> str:
    """The database of this machine. Raises CommandRefused where only a console is known: it would be an empty one."""
    known = settings.database_url or settings.bootstrap or settings.sqlite_path.exists()
    if settings.console_url and not known:
        msg = (
            "this needs the database, and only a console is known here [governed.no_database] Run it where "
            "SOLESOURCE_DATABASE_URL is set, or SOLESOURCE_HOME holds the database."
        )
        raise CommandRefused(msg)
    return settings.store_url


def database(settings: Settings) -> Engine:
    """The database with the versions of the map that are on Kafka, where it is known where Kafka is."""
    url = own_store_url(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = engine_of(url)
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
