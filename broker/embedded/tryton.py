"""A real ERP on this machine: Tryton with parties and credit limits, on the embedded PostgreSQL.

It is prepared once (a currency, a company, two users) and kept as a PostgreSQL template and as a dump in
the cache, so that the next ERP is a copy. What is in it afterwards is the business of whoever uses it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from broker.embedded.child import Child, ChildSpec
from broker.embedded.errors import NotRunningError, SetupError
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
from broker.embedded.postgres import EmbeddedPostgres
from broker.embedded.running import Running
from broker.embedded.tryton_environment import TrytonEnvironment, clean_environ
from broker.embedded.tryton_rpc import TrytonSession, decimal

ADMIN_USER = "admin"
CONNECTOR_USER = "solesource"
# What the connector's user may do: write parties and their credit limits.
CONNECTOR_GROUPS = ("Party Administration", "Account Credit Limit")
ROLE = "tryton"
MODULES = ("ir", "res", "party", "account_credit_limit")
# Part of the template's name: raise it when the preparation below changes.
PREPARATION = 1
PREPARE_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class TrytonStatus:
    """Is it up, and where."""

    running: bool
    url: str | None
    database: str
    user: str
    pid: int | None
    log_file: str

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


class EmbeddedTryton(Running):
    """One ERP: a database of `postgres` and a server in front of it. `postgres` must be up.

    `tied`: it ends with this process. The first ever takes about a minute, the next ones two to four seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        postgres: EmbeddedPostgres,
        *,
        database: str = "erp",
        port: int = 0,
        tied: bool = True,
        cache: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.database = database
        self.user = CONNECTOR_USER
        self._postgres = postgres
        self._port = port
        self._tied = tied
        self._environment = TrytonEnvironment(cache)
        self._credentials_file = self._environment.home / f"credentials-{PREPARATION}.json"
        self._dump_file = self._environment.home / f"template-{PREPARATION}.dump"
        self._child = Child(self._spec([], 0, "server"))

    # --- life

    def up(self, timeout_s: float = 60.0) -> TrytonStatus:
        """Install, prepare, copy and serve: whatever of it is missing. Raises EmbeddedError."""
        if self._child.state() is not None:
            return self.status()
        self._environment.ensure()
        self._ensure_template()
        self._postgres.create_database(self.database, owner=ROLE, template=self._template())
        self._child = self._serve(self.database, self._choose_port(), "server", timeout_s)
        return self.status()

    def down(self, timeout_s: float = 10.0) -> bool:
        """End the server; the database stays. False if it was not running."""
        return self._child.stop(timeout_s)

    def status(self) -> TrytonStatus:
        state = self._child.state()
        port = int(state.facts["port"]) if state else 0
        return TrytonStatus(
            running=bool(state) and answers(port),
            url=f"http://{LOOPBACK}:{port}" if state else None,
            database=self.database,
            user=self.user,
            pid=state.pid if state else None,
            log_file=str(self._child.spec.log_file),
        )

    # --- who may log in

    @property
    def url(self) -> str:
        """Base URL of the server. Raises NotRunningError."""
        state = self._child.state()
        if state is None:
            raise NotRunningError("the embedded ERP is not up; call up() first")
        return f"http://{LOOPBACK}:{state.facts['port']}"

    @property
    def password(self) -> str:
        """Of the connector's user (`user`)."""
        return self.password_of(CONNECTOR_USER)

    def password_of(self, user: str) -> str:
        """Of `admin` or of the connector's user. Generated once per machine: templates carry their hashes."""
        return str((read_document(self._credentials_file) or {})[user])

    # --- the template

    def _template(self) -> str:
        # Named after the passwords it was made with: one made with others is not taken for it.
        mark = hashlib.sha256(self.password_of(ADMIN_USER).encode()).hexdigest()[:8]
        return f"tryton_template_{mark}"

    def _ensure_template(self) -> None:
        self._postgres.create_role(ROLE)
        with self._environment.locked():
            if not self._dump_file.exists():
                passwords = {ADMIN_USER: new_password(), CONNECTOR_USER: new_password()}
                write_document(self._credentials_file, passwords)
            if self._postgres.has_database(self._template()):
                return
            draft = f"{self._template()}_draft"
            self._postgres.drop_database(draft)
            self._postgres.create_database(draft, owner=ROLE)
            if self._dump_file.exists():
                self._postgres.restore(draft, ROLE, self._dump_file)
            else:
                self._prepare(draft)
                self._postgres.dump(draft, ROLE, self._dump_file)
            # The name says that it is complete: an interrupted preparation is begun again.
            self._postgres.rename_database(draft, self._template())

    def _prepare(self, database: str) -> None:
        secret = self.data_dir / ".admin-password"
        write_private(secret, self.password_of(ADMIN_USER) + "\n")
        argv = [*self._command("trytond-admin", database, 0), "--activate-dependencies"]
        argv += ["--email", "admin@example.com", "-u", *MODULES]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=PREPARE_TIMEOUT_S,
                check=False,
                env=clean_environ({"TRYTONPASSFILE": str(secret)}),
            )
        finally:
            secret.unlink()
        if done.returncode != 0:
            raise SetupError(f"Tryton's database could not be prepared: {done.stderr.strip()[-800:]}")
        server = self._serve(database, free_port(), "prepare", 60.0)
        try:
            self._first_records(f"http://{LOOPBACK}:{server.spec.facts['port']}", database)
        finally:
            server.stop()

    def _first_records(self, url: str, database: str) -> None:
        session = TrytonSession(url, database, ADMIN_USER, self.password_of(ADMIN_USER))
        try:
            currency = session.create(
                "currency.currency",
                {
                    "name": "Pound sterling",
                    "code": "GBP",
                    "numeric_code": "826",
                    "symbol": "\N{POUND SIGN}",
                    "rounding": decimal("0.01"),
                    "digits": 2,
                },
            )
            party = session.create("party.party", {"name": "Example Trading"})
            company = session.create("company.company", {"party": party, "currency": currency})
            belongs = {"companies": [["add", [company]]], "company": company}
            session.call("model.res.user.write", [session.user_id], belongs, {})
            wanted = ["name", "in", list(CONNECTOR_GROUPS)]
            groups = session.call("model.res.group.search", [wanted], 0, None, None, {})
            session.create(
                "res.user",
                {
                    **belongs,
                    "name": "SoleSource connector",
                    "login": CONNECTOR_USER,
                    "password": self.password_of(CONNECTOR_USER),
                    "groups": [["add", groups]],
                },
            )
        finally:
            session.close()

    # --- serving

    def _serve(self, database: str, port: int, name: str, timeout_s: float) -> Child:
        child = Child(self._spec(self._command("trytond", database, port), port, name))
        child.start()
        child.wait_until(
            lambda: answers(port) and self._logs_in(port, database),
            timeout_s=timeout_s,
            hint=f"Tryton on {LOOPBACK}:{port}, database {database}.",
        )
        return child

    def _command(self, program: str, database: str, port: int) -> list[str]:
        base = self._postgres.url(database, ROLE).rsplit("/", 1)[0]
        config = self.data_dir / f"{program}-{database}.conf"
        text = f"[database]\nuri = {base}/\n[web]\nlisten = {LOOPBACK}:{port}\n"
        write_private(config, f"{text}[session]\nauthentications = password\n")
        return [self._environment.program(program), "-c", str(config), "-d", database]

    def _spec(self, argv: list[str], port: int, name: str) -> ChildSpec:
        return ChildSpec(
            name="Tryton",
            argv=argv,
            marker=str(self.data_dir),
            log_file=self.data_dir / f"tryton-{name}.log",
            state_file=self.data_dir / f"tryton-{name}.json",
            env=clean_environ(),
            tied=self._tied,
            facts={"port": port},
        )

    def _choose_port(self) -> int:
        port_file = self.data_dir / "port.json"
        port = self._port or int((read_document(port_file) or {}).get("port", 0))
        if not port or not port_is_free(port):
            port = free_port()
        write_document(port_file, {"port": port})
        return port

    def _logs_in(self, port: int, database: str) -> bool:
        try:
            url = f"http://{LOOPBACK}:{port}"
            TrytonSession(url, database, ADMIN_USER, self.password_of(ADMIN_USER)).close()
        except httpx2.TransportError:
            return False
        return True


def forget_template(cache: Path | None = None) -> None:
    """Delete the environment and the dump in the cache: the next ERP is made from nothing."""
    shutil.rmtree(TrytonEnvironment(cache).home, ignore_errors=True)
