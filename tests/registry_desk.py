"""A registry of few words for tests: answers over HTTP as Confluent's does, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.gate_parts import CUSTOMER, map_texts

ABSENT = {"error_code": 40403, "message": "Schema not found"}
VIP = {"name": "vip", "type": ["null", "boolean"], "default": None}
BUYER = {**CUSTOMER, "name": "Buyer", "namespace": "com.shop", "fields": [*CUSTOMER["fields"], VIP]}
"""A contract of customers elsewhere: another name, and a field more."""


class RegistryDesk:
    """What it says by path, and the calls it got: (path, its Authorization header)."""

    def __init__(self, schemas: Mapping[int, Any]) -> None:
        self.said: dict[str, Any] = {}
        self.gives: dict[str, int] = {}
        """Path to the id that is given to what is registered there; nobody may register anywhere else."""
        self.calls: list[tuple[str, str]] = []
        self.port = 0
        for number, document in schemas.items():
            self.knows(number, document)

    def knows(self, number: int, document: Any, **more: Any) -> None:
        self.said[f"/schemas/ids/{number}"] = {"schema": json.dumps(document), **more}

    def asked(self, number: int) -> int:
        """How many times it was asked for an id."""
        return sum(path == f"/schemas/ids/{number}" for path, _ in self.calls)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def open(self) -> Iterator[RegistryDesk]:
        """While it answers; opened again, at the same address."""
        desk = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                desk.calls.append((self.path, self.headers["authorization"] or ""))
                found = desk.said.get(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found or ABSENT).encode())

            def do_POST(self) -> None:
                desk.calls.append((self.path, self.headers["authorization"] or ""))
                self.rfile.read(int(self.headers["content-length"]))
                found = desk.gives.get(self.path)
                self.send_response(200 if found else 403)
                self.end_headers()
                self.wfile.write(json.dumps({"id": found} if found else ABSENT).encode())

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Answering)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def map_folder(home: Path, desk: RegistryDesk, patch: pytest.MonkeyPatch) -> Path:
    """A folder with a map, whose commands ask this registry."""
    folder = home / "map"
    folder.mkdir()
    for name, text in map_texts().items():
        (folder / name).write_text(text)
    patch.setenv("SOLESOURCE_REGISTRY_URL", desk.url)
    return folder
