"""How long the pages of governing take with a thousand objects in the map: a real server, one reader at a time."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles

import httpx2
import uvicorn

from benchmarks.decide import map_of_many
from benchmarks.rows import NOBODY, Measured, Row, at_most
from broker.access import KafkaAccess
from broker.clock import now_ms
from broker.console.app import make_app
from broker.console.settings import ConsoleSettings
from broker.console.users import make_token, make_user
from broker.embedded.files import free_port
from broker.published import PublishedMap
from broker.store.engine import open_store, writing
from broker.store.versions import index_versions
from ownership.load import digest_of

MANY, TIMES = 1_000, 100
PAGES = {
    "Ownership": "/ownership?page=5",
    "one object": "/ownership/objects/object0500",
    "Approvals": "/approvals",
    "a system": "/ownership/systems/crm",
}
BAR_MS = 300.0
"""Nobody has set one: what a person takes for at once, three times over."""


def pages() -> list[Row]:
    """The 95th of a hundred of each page; the first one, which compiles the map, is told beside it."""
    home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
    engine, port = open_store(f"sqlite:///{home / 'console.db'}"), free_port()
    documents = map_of_many("object", MANY)
    with writing(engine) as connection:
        index_versions(connection, [PublishedMap(1, digest_of(documents), documents, "bench", now_ms())])
    users = home / "users.json"
    make_user(users, "ana")
    settings = ConsoleSettings(
        kafka=KafkaAccess("127.0.0.1:1"), database_url="", users_file=users, port=port,
        audit_key=home / "key.pem", anchors=home / "anchors.jsonl",
    )  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(make_app(settings, engine), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        return _rows(f"http://127.0.0.1:{port}", make_token(users, "ana"), documents)
    finally:
        server.should_exit = True
        thread.join(10)
        engine.dispose()


def _rows(base: str, token: str, documents: dict[str, str]) -> list[Row]:
    found = []
    with httpx2.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        first = _once(client, "/ownership")
        print(f"the first page, which compiles {MANY:,} objects: {first:.0f} ms", flush=True)
        some = sorted(name.removesuffix(".yaml") for name in documents if name.endswith(".yaml"))
        for title, address in PAGES.items():
            place = address.replace("object0500", some[len(some) // 2])
            turns = [_once(client, place) for _ in range(TIMES)]
            row = Measured("ours", quantiles(turns, n=20)[18], turns)
            found.append(at_most(f"page {title}, {MANY:,} objects, p95", row, NOBODY, "ms", BAR_MS))
    return found


def _once(client: httpx2.Client, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return (time.perf_counter() - began) * 1000
