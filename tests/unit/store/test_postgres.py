"""What is PostgreSQL's own of the store: its URL, its outages, and that a password is never shown."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import func, make_url, select, text

from broker.embedded.postgres import EmbeddedPostgres
from broker.store.engine import open_store, reading, writing
from broker.store.errors import StoreUnavailableError, StoreUrlRefusedError
from broker.store.postgres import driver_options
from broker.store.tables import store_version


@pytest.mark.parametrize("spelled", ["postgresql://u:p@h:5/d", "postgresql+pg8000://u:p@h:5/d"])
def test_either_spelling_means_the_permissive_driver(spelled: str):
    url, options = driver_options(make_url(spelled))
    assert url.drivername == "postgresql+pg8000"
    assert options["timeout"] == 30 and options["ssl_context"] is None


def test_tls_is_as_strict_as_it_was_asked_for():
    _, checked = driver_options(make_url("postgresql://u@h/d?sslmode=verify-full"))
    assert checked["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert checked["ssl_context"].check_hostname
    _, unchecked = driver_options(make_url("postgresql://u@h/d?sslmode=require&timeout=7"))
    assert unchecked["ssl_context"].verify_mode is ssl.CERT_NONE
    assert unchecked["timeout"] == 7


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@h/d?sslmode=verify-ca",
        "postgresql://u:hidden@h/d?connect_timeout=2",
        "postgresql://u:hidden@h/d?timeout=soon",
        "postgresql+psycopg://u:hidden@h/d",
        "mysql://u:hidden@h/d",
        "hidden",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str):
    with pytest.raises(StoreUrlRefusedError) as refused:
        open_store(url)
    assert "hidden" not in str(refused.value)
    assert "[store.url_refused]" in str(refused.value)


@pytest.mark.integration
def test_a_wrong_password_is_unavailable_not_a_crash(postgres: EmbeddedPostgres):
    name = f"store_{uuid.uuid4().hex[:12]}"
    postgres.create_role_and_database(name)
    with pytest.raises(StoreUnavailableError, match="28P01"):
        open_store(f"postgresql://{name}:wrong@127.0.0.1:{postgres.port}/{name}")
    postgres.drop_database(name)


@pytest.mark.integration
def test_a_session_that_the_server_ends_is_said_and_the_next_one_works(postgres: EmbeddedPostgres):
    name = f"store_{uuid.uuid4().hex[:12]}"
    postgres.create_role_and_database(name)
    engine = open_store(postgres.url(name, name))

    def write_while_the_session_is_ended() -> None:
        with writing(engine) as connection:
            own = connection.scalar(select(func.pg_backend_pid()))
            with postgres.connect() as operator:
                operator.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailableError):
        write_while_the_session_is_ended()
    with reading(engine) as connection:  # a session that waits in the pool, ended meanwhile
        waiting = connection.scalar(select(func.pg_backend_pid()))
    with postgres.connect() as operator:
        operator.execute("SELECT pg_terminate_backend(%s, 5000)", [waiting])
    with reading(engine) as connection:
        assert connection.scalar(select(store_version.c.version)) is not None
        assert connection.scalar(select(func.pg_backend_pid())) != waiting
    engine.dispose()
    postgres.drop_database(name)


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("own-postgres"), fsync=False)
    try:
        server.up()
        yield server
    finally:
        server.destroy()


@pytest.mark.integration
def test_a_server_that_was_away_serves_again(own_postgres: EmbeddedPostgres):
    own_postgres.create_role_and_database("store")
    engine = open_store(own_postgres.url("store", "store"))
    own_postgres.down()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError), reading(engine) as connection:
            connection.scalar(select(store_version.c.version))
    own_postgres.up()
    with writing(engine) as connection:
        assert connection.scalar(select(store_version.c.version)) is not None
    engine.dispose()
