"""A console on loopback with commands around it, as on another machine, and servers that are no console."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.concurrency import run_in_threadpool
from typer.testing import CliRunner, Result

from broker.cli.governed import engine_of
from broker.cli.root import app as commands
from broker.clock import now_ms
from broker.console.app import ConsoleServer
from broker.console.settings import ConsoleSettings
from broker.console.users import make_user
from broker.embedded.files import free_port
from broker.store.engine import Engine
from ownership.plan import Plan, written
from tests.console_store import console
from tests.governed_map import NEW_OWNER, in_force, plan, with_replay

WORDS = ["--title", "Names to the ERP", "--reason", "It knows them better."]
PEOPLE = ("rita", "ana", "sam", "pia", "fay")
NOWHERE = {"SOLESOURCE_DATABASE_URL": "", "KAFKA_BOOTSTRAP_SERVERS": "", "SOLESOURCE_CONSOLE_URL": ""}


class Way:
    """In front of the console: remembers what came, and can do something before a change or lose its answer."""

    def __init__(self, app: Any) -> None:
        self._app, self.state = app, app.state
        self.came: list[tuple[str, str, dict[str, str]]] = []
        self.before: list[Callable[[], object]] = []
        self.lose = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.came.append((scope["method"], scope["path"], headers))
        if scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        if self.before:
            await run_in_threadpool(self.before.pop(0))
        if self.lose:
            self.lose -= 1
            await self._app(scope, receive, _unheard)
            # Less comes than was announced: uvicorn closes the connection.
            told = [(b"content-length", b"1000"), (b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": told})
            return
        await self._app(scope, receive, send)


async def _unheard(_message: Any) -> None:
    pass


class Branch:
    """A running console with a map in force; people with tokens and nothing else, and people on its database."""

    def __init__(self, folder: Path, port: int, scheme: str) -> None:
        app, self.engine, _, self.settings = console(folder, port=port)
        self.folder, self.url = folder, f"{scheme}://127.0.0.1:{port}"
        self.way = Way(app)
        in_force(self.engine)
        self._tokens: dict[str, Path] = {}
        for name in PEOPLE:
            make_user(self.settings.users_file, name)

    def token_file(self, name: str) -> Path:
        if name not in self._tokens:
            users = {"SOLESOURCE_USERS_FILE": str(self.settings.users_file)}
            made = CliRunner().invoke(commands, ["user", "token", name], env=NOWHERE | users)
            assert made.exit_code == 0, made.output
            self._tokens[name] = self.folder / f"{name}.token"
            self._tokens[name].write_text(made.stdout)
        return self._tokens[name]

    def far(self, name: str) -> dict[str, str]:
        """Settings of a machine that has a token and nothing else."""
        return NOWHERE | {
            "SOLESOURCE_HOME": str(self.folder / "elsewhere"),
            "SOLESOURCE_CONSOLE_URL": self.url,
            "SOLESOURCE_CONSOLE_TOKEN_FILE": str(self.token_file(name)),
        }

    def by_console(self, name: str, *arguments: str) -> Result:
        return invoke(self.far(name), *arguments)

    def on_database(self, name: str, *arguments: str) -> Result:
        return invoke(near(self.folder, self.settings), *arguments, "--by", name)

    def looked_at(self, *arguments: str) -> Result:
        """A command that only reads, on the database."""
        return invoke(near(self.folder, self.settings), *arguments)


def near(folder: Path, settings: ConsoleSettings) -> dict[str, str]:
    """Settings of the machine that has the database and the audit's key."""
    return NOWHERE | {
        "SOLESOURCE_HOME": str(folder / "near"),
        "SOLESOURCE_DATABASE_URL": f"sqlite:///{folder / 'console.db'}",
        "SOLESOURCE_AUDIT_KEY_FILE": str(settings.audit_key),
        "SOLESOURCE_AUDIT_ANCHORS": str(settings.anchors),
    }


def invoke(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(commands, list(arguments), env=environment)


def said(result: Result) -> str:
    """What a command printed; a refusal as the line that people see."""
    if result.exception is not None:
        assert hasattr(result.exception, "code"), result.exception
        return str(result.exception)
    assert result.exit_code == 0, result.output
    return result.stdout


def fresh(**change: Any) -> Plan:
    """A plan that was replayed just now."""
    return with_replay(plan(**change), at_ms=now_ms())


def file_of(folder: Path, made: Plan) -> str:
    """Its file."""
    path = folder / f"{made.hash[:8]}.json"
    path.write_text(written(made))
    return str(path)


def drafted(branch: Branch, by: str = "rita") -> str:
    """A request that somebody began by the console."""
    file = file_of(branch.folder, fresh(**NEW_OWNER))
    name: str = json.loads(said(branch.by_console(by, "request", "draft", file, *WORDS, "--json")))["request"]
    return name


@contextmanager
def branch_in(folder: Path, certificate: Path | None = None, key: Path | None = None) -> Iterator[Branch]:
    """Runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    branch = Branch(folder, port, "https" if certificate else "http")
    server = ConsoleServer(
        uvicorn.Config(
            branch.way,
            host="127.0.0.1",
            port=port,
            log_level="critical",
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield branch
    finally:
        server.should_exit = True
        thread.join(10)
        dispose(branch.engine, engine_of(f"sqlite:///{folder / 'console.db'}"))


def certificate_in(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(now_ms() / 1000, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def dispose(*engines: Engine) -> None:
    for engine in engines:
        engine.dispose()


class Impostor:
    """A server that is no console: gives the same answer to everything, and remembers who came with what."""

    def __init__(self) -> None:
        self.status, self.headers = 200, {"content-type": "application/json"}
        self.pieces: Iterable[bytes] = [b"{}"]
        self.tokens: list[str | None] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.tokens.append(self.headers.get("authorization"))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in outer.pieces:
                        self.wfile.write(piece)
                except OSError:
                    pass  # whoever asked has heard enough

            do_POST = do_GET  # noqa: N815 - names of http.server
            do_CONNECT = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
