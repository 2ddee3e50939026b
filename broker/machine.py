"""All of the broker on one machine: Kafka, topics and rights, then gate, control and console under one supervisor."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

from broker.embedded.jars import OnProgress
from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.running import Running
from broker.kafka.admin import CONSOLE, CONTROL, GATE, admin_client
from broker.kafka.estate import allowed, prepare, publish_map
from broker.rules import rules_of
from broker.settings import Settings
from broker.supervise import Supervisor
from ownership.reading import mask_keys

ADMIN = "admin"
PORTS_TRIED = 50
Say = Callable[[str], None]


def free_port_from(host: str, first: int) -> int:
    """The first free port from `first` on. Raises OSError when none of the next fifty is."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    msg = f"no free port from {first} to {first + PORTS_TRIED - 1} on {host}"
    raise OSError(msg)


class Machine(Running):
    """One machine's broker; `with Machine(...)` leaves no process behind."""

    def __init__(
        self, settings: Settings, *, say: Say, brief: bool = False, on_progress: OnProgress | None = None
    ) -> None:
        self._brief = brief
        self._given = settings
        self._say = say
        self._on_progress = on_progress
        self.kafka: EmbeddedKafka | None = None
        self.settings = settings
        self.supervisor = Supervisor(settings.home)

    def up(self) -> None:
        """Start everything; returns when the processes are started, not when they have caught up."""
        self.start_kafka()
        self.start_processes()

    def start_kafka(self) -> None:
        """Kafka, its topics, credentials and ACLs, and the map on it."""
        given = self._given
        documents = given.map_documents()
        ownership_map = rules_of(
            documents, 0
        ).ownership_map  # one with faults stops here, before anything starts
        users = [GATE, CONTROL, CONSOLE, *ownership_map.systems]
        bootstrap, credentials = given.bootstrap, given.credentials_path
        if bootstrap:
            self._say(f"Kafka at {bootstrap} is used, as KAFKA_BOOTSTRAP_SERVERS says.")
            passwords = json.loads(credentials.read_text("utf-8"))
        else:
            self.kafka = EmbeddedKafka(
                given.embedded_kafka_dir, brief=self._brief, on_progress=self._on_progress
            )
            self.kafka.up()
            bootstrap = self.kafka.bootstrap
            passwords = {user: self.kafka.credentials(user) for user in users}
        self.settings = given.model_copy(
            update={
                "bootstrap": bootstrap,
                "credentials_file": credentials.resolve(),
                "home": given.home.resolve(),
                "map_dir": Path(str(given.map_dir)).resolve(),
                "console_port": free_port_from(given.host, given.console_port),
                "control_port": free_port_from(given.host, given.control_port),
                "gate_port": free_port_from(given.host, given.gate_port + 1),
            }
        )
        for number in mask_keys(ownership_map):
            self.settings.mask_key(
                number
            )  # I7: said now, and not found out by a reader that receives nothing
        admin = admin_client(self.settings.access(ADMIN))
        allowed(admin, self.settings.access(ADMIN), documents)
        prepare(
            admin,
            documents,
            {user: passwords[user] for user in users if user in passwords},
            partitions=given.partitions,
            slots=given.slots,
            replicas=given.replicas,
        )
        publish_map(self.settings.access(CONTROL), documents, "up")

    def start_processes(self) -> None:
        """Gate, control and console."""
        self.supervisor.environment = self.environment()
        for name in ("gate", "control", "console"):
            self.supervisor.start(name, ["broker.cli", name])

    def start_connector(self, name: str, config: Path) -> None:
        """A connector, from its YAML file."""
        self.supervisor.start(f"connector-{name}", ["connectors.sdk", str(config.resolve())])

    def environment(self) -> dict[str, str]:
        """What the processes are told."""
        found = self.settings
        return {
            "KAFKA_BOOTSTRAP_SERVERS": found.bootstrap,
            "SOLESOURCE_CREDENTIALS_FILE": str(found.credentials_path),
            "SOLESOURCE_HOME": str(found.home),
            "SOLESOURCE_MAP_DIR": str(found.map_dir),
            "SOLESOURCE_PARTITIONS": str(found.partitions),
            "SOLESOURCE_SLOTS": str(found.slots),
            "SOLESOURCE_DATABASE_URL": found.store_url,
            "SOLESOURCE_HOST": found.host,
            "SOLESOURCE_CONSOLE_PORT": str(found.console_port),
            "SOLESOURCE_CONTROL_PORT": str(found.control_port),
            "SOLESOURCE_GATE_PORT": str(found.gate_port),
            "SOLESOURCE_USERS_FILE": str(found.users_path),
        }

    @property
    def console_url(self) -> str:
        """Where the console is."""
        return f"http://{self.settings.host}:{self.settings.console_port}"

    def down(self) -> None:
        """End every process that was started here."""
        self.supervisor.stop_all()
        if self.kafka is not None:
            self.kafka.down()
            self.kafka = None
