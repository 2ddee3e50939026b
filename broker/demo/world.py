"""Everything the demo needs, brought up and taken down again: two real systems, Kafka, the broker, two connectors."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.console.users import make_token, make_user
from broker.demo.configs import MAP_DIR, write_configs
from broker.demo.console_client import ConsoleClient
from broker.demo.narrator import Narrator
from broker.demo.systems import Crm, Erp
from broker.demo.watch import Watch
from broker.embedded.postgres import EmbeddedPostgres
from broker.embedded.running import Running
from broker.embedded.tryton import EmbeddedTryton
from broker.machine import Machine
from broker.rules import rules_of
from broker.settings import Settings
from schemas.registry import envelopes

CUSTOMERS = 1000
REVIEWER = "olivia"
ASK_ERP_S = 0.4
"""How often the ERP is asked for a count while it works: each question takes its time from the work."""


class World(Running):
    """The demo's world; `with World(...)` leaves no process behind."""

    def __init__(self, home: Path, narrator: Narrator) -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self.home = home.resolve()
        self.narrator = narrator
        self.postgres = EmbeddedPostgres(self.home / "postgres")
        self.machine = Machine(
            Settings(home=self.home, map_dir=MAP_DIR, slots=8),
            say=narrator.say,
            brief=True,
            on_progress=self._jar,
        )
        self.jars = 0
        self.jars_total = 1
        self._closing: list[Callable[[], object]] = []

    def _jar(self, progress: Any) -> None:
        self.jars, self.jars_total = progress.index, progress.total

    def up(self) -> None:
        """Bring the systems and the broker up, side by side."""
        failures: list[BaseException] = []
        jobs = [
            self._background(self._start_kafka, failures),
            self._background(self._start_systems, failures),
        ]
        self.narrator.wait(
            "Kafka, PostgreSQL and Tryton start (the first time, they are fetched)",
            lambda: bool(failures) or not any(job.is_alive() for job in jobs),
            timeout_s=280,
        )
        for job in jobs:
            job.join()
        if failures:
            raise failures[0]
        self._write_environment()
        self.rules = rules_of(self.machine.settings.map_documents(), 1)
        self.watch = Watch(self.machine.settings.access("admin"), envelopes().codec)
        self._closing.append(self.watch.close)
        self.watch.start()
        self.configs = write_configs(self.machine.settings, self.crm, self.erp)
        self.console = ConsoleClient(self.machine.console_url, self.token)
        self._closing.append(self.console.close)
        self.narrator.wait("Gate, control and console start", self._ready, timeout_s=60, trouble=self.trouble)

    def _background(self, work: Callable[[], None], failures: list[BaseException]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told to the main thread, which raises it
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _start_kafka(self) -> None:
        self.machine.start_kafka()
        users = self.machine.settings.users_path
        make_user(users, REVIEWER)
        self.token = make_token(users, REVIEWER)
        self.machine.start_processes()  # they need Kafka alone, and start while the systems do

    def _start_systems(self) -> None:
        self.postgres.up()
        self._closing.append(self.postgres.down)
        self.crm = Crm(self.postgres)
        self._closing.append(self.crm.close)
        self.crm.fill(CUSTOMERS)
        tryton = EmbeddedTryton(self.home / "tryton", self.postgres)
        tryton.up()
        self._closing.append(tryton.down)
        self.erp = Erp(tryton)
        self._closing.append(self.erp.close)

    def _ready(self) -> bool:
        return self.console.healthy()

    def _write_environment(self) -> None:
        """`. var/demo/env` lets the command line talk to the running demo."""
        lines = [f"export {name}={value!r}" for name, value in sorted(self.machine.environment().items())]
        (self.home / "env").write_text("\n".join(lines) + "\n", "utf-8")

    def start_connector(self, name: str) -> None:
        """Start the connector of crm or erp."""
        self.machine.start_connector(name, self.configs[name])

    def trouble(self) -> str:
        """The ends of the processes' logs, for when something expected did not happen."""
        supervisor = self.machine.supervisor
        return "\n".join(f"--- {name}\n{supervisor.log_tail(name)[-1500:]}" for name in supervisor.names())

    def values(self, value: bytes | None) -> dict[str, Any]:
        """An authoritative value, read."""
        return {} if value is None else dict(self.rules.readers["customer"].decode(value))

    def down(self) -> None:
        """Take everything down, last brought up first."""
        self.machine.supervisor.stop_all()
        while self._closing:
            self._closing.pop()()
        self.machine.down()
