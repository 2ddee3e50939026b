"""The contract of an object changes while its changes flow: nothing is lost, no value becomes another one, and a stored
record is written anew when it is next changed, not before.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from broker.kafka.estate import publish_map
from schemas.codec import schema_id_of
from schemas.register import with_version
from schemas.registry import FileRegistry
from tests.estate import Estate, estate_of, map_documents

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
KEYS = [f"V-{number}" for number in range(40)]
UNTOUCHED = [f"U-{number}" for number in range(10)]
ROUNDS = 60


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("contract"))


def next_contract(documents: dict[str, str]) -> dict[str, str]:
    """The files with a version in which customers have a field more, and room for larger amounts."""
    document = copy.deepcopy(json.loads(documents["customer.avsc"]))
    (limit,) = [field for field in document["fields"] if field["name"] == "credit_limit"]
    limit["type"][1]["precision"] = 20
    vip = {
        "name": "vip",
        "type": ["null", "boolean"],
        "default": None,
        "doc": "Whether it is a special customer.",
    }
    document["fields"].append(vip)
    return documents | with_version(documents, "customer", document)


class Writers(threading.Thread):
    """The CRM and the ERP, round after round over all records, by the older contract and from some moment by both."""

    def __init__(self, estate: Estate, newer: FileRegistry) -> None:
        super().__init__(daemon=True)
        self.estate, self.newer = estate, newer
        self.both = threading.Event()
        self.last: dict[str, dict[str, Any]] = {key: {} for key in KEYS}
        self.sent = 0

    def run(self) -> None:
        for turn in range(ROUNDS):
            for number, key in enumerate(KEYS):
                self.name_it(key, f"name {turn}", newer=self.both.is_set() and (turn + number) % 2 == 0)
                if turn % 3 == 0:
                    self.limit_it(key, Decimal(turn) + Decimal("0.10"))
            time.sleep(0.2)

    def name_it(self, key: str, name: str, *, newer: bool) -> None:
        told: dict[str, Any] = {"customer_id": key, "name": name, "email": f"{name}@example.com"}
        if newer:
            told["vip"] = self.sent % 3 == 0
        self.last[key] |= told
        registry = self.newer if newer else self.estate.registry
        contract = registry.contract("customer")
        value = registry.codec.encode(contract.schema_id, dict.fromkeys(contract.fields) | told)
        self._send("crm", key, value, list(told))

    def limit_it(self, key: str, limit: Decimal) -> None:
        self.last[key]["credit_limit"] = limit
        record = dict.fromkeys(self.estate.registry.contract("customer").fields)
        value = self.estate.registry.codec.encode(100, record | {"customer_id": key, "credit_limit": limit})
        self._send("erp", key, value, ["credit_limit"])

    def _send(self, system: str, key: str, value: bytes, fields: list[str]) -> None:
        self.sent += 1
        self.estate.send(system, key, None, value=value, fields=fields, wait=False)


def test_a_contract_changes_while_its_changes_flow(estate: Estate) -> None:
    documents = next_contract(map_documents())
    newer = FileRegistry(documents={n: t for n, t in documents.items() if not n.endswith(".yaml")}, own=False)
    for key in (*KEYS, *UNTOUCHED):
        estate.send("crm", key, {"name": "first", "email": "first@example.com"}, wait=False)
    first = len(KEYS) + len(UNTOUCHED)
    estate.producer("crm").flush(30)
    estate.start_gate()
    estate.settle(first)
    writers = Writers(estate, newer)
    writers.start()
    time.sleep(3)
    publish_map(estate.access("control"), documents, "test")
    deadline = time.monotonic() + 30
    while estate.events("map.read")[-1]["version"] < 2:
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)
    writers.both.set()
    writers.join()
    for system in ("crm", "erp"):
        assert estate.producer(system).flush(30) == 0
    account = estate.settle(first + writers.sent)
    assert writers.sent > ROUNDS * len(KEYS)
    assert account["received"] == first + writers.sent == account["accepted"], (
        "each accepted, none lost or held"
    )
    assert estate.ledger_faults() == []
    newest = {m.key().decode(): m.value() for m in estate.read("authoritative.customer")}
    for key in KEYS:
        assert schema_id_of(newest[key]) == 101
        found = newer.codec.decode(newest[key])
        assert {name: found[name] for name in writers.last[key]} == writers.last[key], (
            "no value became another one"
        )
    for key in UNTOUCHED:
        assert schema_id_of(newest[key]) == 100, "not written anew before it is changed"
    estate.send("erp", UNTOUCHED[0], {"credit_limit": Decimal("7.50")}, fields=["credit_limit"])
    estate.settle(first + writers.sent + 1)
    (value,) = [m.value() for m in estate.read("authoritative.customer") if m.key() == UNTOUCHED[0].encode()][
        -1:
    ]
    assert schema_id_of(value) == 101
    found = newer.codec.decode(value)
    assert (found["name"], found["credit_limit"], found["vip"]) == ("first", Decimal("7.50"), None)
