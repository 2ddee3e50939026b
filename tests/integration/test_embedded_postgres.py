"""The embedded PostgreSQL, for real: rights, logical replication, restart, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import psutil
import psycopg
import pytest

from broker.embedded.account import Account, place_for, reachable
from broker.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


def test_a_logical_slot_shows_committed_changes(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_role_and_database("slots", replication=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE customer (id int PRIMARY KEY, name text)")
        connection.execute("CREATE PUBLICATION all_customers FOR TABLE customer")
        connection.execute("SELECT pg_create_logical_replication_slot('embedded_test', 'pgoutput')")
        connection.execute("INSERT INTO customer VALUES (1, 'Ada')")
        rows = connection.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes("
            "'embedded_test', NULL, NULL, 'proto_version', '1', 'publication_names', 'all_customers')"
        ).fetchall()
        connection.execute("SELECT pg_drop_replication_slot('embedded_test')")
    inserts = [row[0] for row in rows if row[0][:1] == b"I"]
    assert len(inserts) == 1
    assert b"Ada" in inserts[0]


def test_a_role_enters_its_own_database_only(postgres: EmbeddedPostgres) -> None:
    postgres.create_role_and_database("inner")
    postgres.create_role("outer")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(postgres.url("inner", "outer"))
    wrong = postgres.url("inner", "inner").replace(postgres.password("inner"), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_creating_twice_changes_nothing(postgres: EmbeddedPostgres) -> None:
    assert postgres.create_role_and_database("twice") == postgres.create_role_and_database("twice")


def test_restart_keeps_data_and_port_and_leaves_no_process(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "p", fsync=False)
    try:
        before = server.up()
        url = server.create_role_and_database("kept")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        after = server.restart()
        assert after.port == before.port
        assert before.pid is not None
        assert not psutil.pid_exists(before.pid)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (42,)
        assert server.down()
        assert not server.status().running
    finally:
        server.destroy()


def test_a_folder_closed_to_the_account_gets_a_stand_in(tmp_path: Path) -> None:
    nobody = Account("nobody", 65534, 65534)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not reachable(closed / "cluster", nobody)
    assert place_for(closed / "cluster", None) == closed / "cluster"
