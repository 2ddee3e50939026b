"""One PostgreSQL database with its connector on a whole estate: what the tests of a backfill stand on."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg

from broker.embedded.postgres import EmbeddedPostgres
from connectors.sdk.adapter import Connector
from connectors.sdk.backfill_loop import Order, Progress, run_backfill
from connectors.sdk.config import load_config
from connectors.sdk.runner import run_connector
from connectors.sdk.store import Store
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from tests.estate import MAP_DIR, ROOT, Estate

TABLE = (
    """CREATE TABLE customers (customer_id text PRIMARY KEY, name text NOT NULL, email text, phone text)"""
)
CONFIG = """
system: crm
adapter: postgres
kafka: {{bootstrap: "{bootstrap}", username: crm, password: {{file: credentials.json, key: crm}}}}
contracts: {contracts}
store: crm.sqlite
poll_interval_ms: 50
objects:
  customer:
    table: public.customers
    key: customer_id
    fields: {{customer_id: customer_id, name: name, email: email, phone: phone}}
    insert: false
settings: {{dsn: {{file: credentials.json, key: dsn}}, slot: {name}, publication: {name}, page: 500}}
"""
Revision = tuple[AuthoritativeEnvelope, dict[str, Any] | None]


class Crm:
    """The CRM: rows, and its connector as a process."""

    def __init__(self, estate: Estate, server: EmbeddedPostgres, folder: Path, name: str) -> None:
        self.estate = estate
        self.folder = folder
        self.name = name
        self.url = server.create_role_and_database(name, replication=True)
        self.application = psycopg.connect(self.url, autocommit=True)
        self.application.execute(TABLE)
        # The log tells only the columns that an update set: a record that was never told cannot grow out of it.
        self.application.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
        secrets = {"crm": estate.passwords["crm"], "dsn": self.url}
        (folder / "credentials.json").write_text(json.dumps(secrets))
        self.config = folder / "crm.yaml"
        self.config.write_text(CONFIG.format(bootstrap=estate.bootstrap, contracts=MAP_DIR, name=name))

    def run(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.application.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def rows(self) -> dict[str, tuple[Any, ...]]:
        return {row[0]: row[1:] for row in self.run("SELECT * FROM customers")}

    @contextmanager
    def connector(self) -> Iterator[None]:
        """The connector beside the test, past its snapshot."""
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        running = run_connector(load_config(self.config), stop)
        thread = threading.Thread(target=loop.run_until_complete, args=(running,))
        thread.start()
        try:
            self.until(lambda: '"object": null' in (self.position("source") or ""))
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(15)
            loop.close()

    def position(self, stream: str) -> str | None:
        store = Store(self.folder / "crm.sqlite")
        try:
            return store.position(stream)
        finally:
            store.close()

    def until(self, condition: Any, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.estate.logs()
            time.sleep(0.05)

    def never_told(self, count: int) -> None:
        """Rows of which the connector, which is not running, will never hear: the slot is moved past them."""
        self.run(
            "INSERT INTO customers SELECT 'C-' || lpad(n::text, 6, '0'), '0', n || '@example.com'"
            " FROM generate_series(1, %s) n",
            count,
        )
        self.run("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", self.name)

    def command(self, *options: str, module: str = "broker.cli") -> subprocess.Popen[str]:
        """The command, or the connector's side of it alone, as a process."""
        command = "backfill" if module == "broker.cli" else None
        arguments = [part for part in (command, str(self.config), "customer", *options) if part]
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def backfill(self, connector: Connector | None = None, **order: Any) -> Progress:
        """A backfill within the test."""
        steps: list[dict[str, Any]] = []
        config, asked = load_config(self.config), Order("customer", **order)
        done = asyncio.run(run_backfill(config, asked, asyncio.Event(), steps.append, connector))
        assert [steps[0]["step"], steps[-1]["step"]] == ["begun", "ended"]
        return done

    def stands_at(self) -> int:
        """How many records a backfill under way knows to be in Kafka."""
        return int(json.loads(self.position("backfill:customer") or '{"done": 0}')["done"])

    def settled(self) -> dict[str, list[Revision]]:
        """Once the gate has judged every change of the CRM: the history of each key."""
        sent = len(self.estate.read("changes.crm.customer"))
        self.estate.settle(sent)
        history: dict[str, list[Revision]] = {}
        for message in self.estate.read("authoritative.customer"):
            values = self.estate.registry.codec.decode(message.value()) if message.value() else None
            history.setdefault(message.key().decode(), []).append(
                (parse_authoritative(message.headers()), values)
            )
        return history

    def close(self) -> None:
        self.run(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            self.name,
        )
        self.application.close()


def in_force(history: dict[str, list[Revision]]) -> dict[str, tuple[Any, ...]]:
    """Key -> the CRM's values of every record that is there."""
    last = {key: revisions[-1][1] for key, revisions in history.items()}
    return {key: (v["name"], v["email"], v["phone"]) for key, v in last.items() if v is not None}


class Editors:
    """The application at work: every edit gives a row's name the next number, so that going back would show."""

    def __init__(self, crm: Crm, seed: int) -> None:
        self._url = crm.url
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.edits = 0

    def _work(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.wait(0.004):
                self.edits += 1
                key = f"C-{self._random.randint(1, 3300):06d}"
                choice = self._random.random()
                if choice < 0.7:
                    self._edit(connection, key)
                elif choice < 0.85:
                    connection.execute("DELETE FROM customers WHERE customer_id = %s", (key,))
                else:
                    connection.execute(
                        "INSERT INTO customers VALUES (%s, %s, 'new') ON CONFLICT (customer_id)"
                        " DO UPDATE SET name = excluded.name",
                        (key, str(self.edits)),
                    )

    def _edit(self, connection: Any, key: str) -> None:
        query = "UPDATE customers SET name = %s, phone = %s WHERE customer_id = %s"
        connection.execute(query, (str(self.edits), str(self.edits % 7), key))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def faults_of_order(history: dict[str, list[Revision]]) -> list[str]:
    """What went backwards: a name's number within a life, or a version of a field."""
    found = []
    for key, revisions in history.items():
        name, versions = -1, dict[str, str]()
        for envelope, values in revisions:
            if values is not None and int(values["name"]) < name:
                found.append(f"{key}@{envelope.revision}: an older value")
            name = max(name, int(values["name"])) if values is not None else name
            now = crm_versions(envelope)
            found += [f"{key}@{envelope.revision}: {f} older" for f in now if now[f] < versions.get(f, "")]
            versions |= now
    return found


def crm_versions(envelope: AuthoritativeEnvelope) -> dict[str, str]:
    """Field -> version of the CRM's last accepted write of it."""
    named = {name: event for _, event, names in envelope.owners for name in names or ()}
    rest = next((event for system, event, names in envelope.owners if names is None and system == "crm"), "")
    found = {name: named.get(name, rest) for name in ("name", "email", "phone")}
    return {name: event.partition("/")[0] for name, event in found.items() if event}
