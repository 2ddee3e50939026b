"""Control learns by which schemas systems write, while traffic flows: nothing is lost, nobody waits for a registry."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.kafka import estate as estate_module
from broker.kafka.estate import newest_map, publish_map
from schemas.codec import Codec
from schemas.learned import LEARNED, read_learned
from tests.estate import Estate, estate_of, map_documents
from tests.gate_parts import CUSTOMER
from tests.registry_desk import BUYER, RegistryDesk

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
LONGER = {**BUYER, "fields": [*BUYER["fields"], {"name": "since", "type": ["null", "int"], "default": None}]}
KEYLESS = {**CUSTOMER, "fields": CUSTOMER["fields"][1:]}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def desk() -> RegistryDesk:
    desk = RegistryDesk({7: BUYER, 12: LONGER, 13: KEYLESS})
    with desk.open():
        """To have a port."""
    return desk


@pytest.fixture(scope="module", autouse=True)
def running(estate: Estate, desk: RegistryDesk) -> None:
    estate.start_gate()
    with (estate.home / "control.log").open("ab") as log:
        environment = estate.environment(SOLESOURCE_REGISTRY_URL=desk.url)
        command = [sys.executable, "-m", "broker.cli", "control"]
        estate.workers.append(
            subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=estate.home)
        )


def by_schema(number: int, document: Any, key: str, **values: Any) -> bytes:
    """A value as a system writes it whose serializer takes schemas from the registry."""
    names = [field["name"] for field in document["fields"]]
    record = dict.fromkeys(names) | {"customer_id": key} | values
    return Codec.of_document(number, document).encode(number, record)


def until(what: Callable[[], Any], estate: Estate, timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        log = (estate.home / "control.log").read_text()[-3000:]
        assert time.monotonic() < deadline, f"{log}\n{estate.logs()}"
        time.sleep(0.3)
    return found


def name_of(estate: Estate, key: str) -> Any:
    """The customer's name in the newest revision; None = there is none."""
    values = [m.value() for m in estate.read("authoritative.customer") if m.key() == key.encode()]
    return estate.registry.codec.decode(values[-1])["name"] if values else None


def learned(estate: Estate) -> set[int]:
    return {one.schema_id for one in read_learned(newest_map(estate.access("control")).documents, LEARNED)}


def trail(estate: Estate, kind: str) -> list[dict[str, Any]]:
    return [line for line in estate.envelopes("trail") if line["kind"] == kind]


def cases(estate: Estate, key: str) -> list[str]:
    return [case["reason"] for case in estate.envelopes("quarantine") if case["key"] == key.encode()]


def test_what_was_held_is_judged_once_its_schema_is_known(estate: Estate, desk: RegistryDesk) -> None:
    with desk.open():
        estate.send("crm", "L-1", None, value=by_schema(7, BUYER, "L-1", name="Ada"))
        until(lambda: name_of(estate, "L-1") == "Ada", estate)
        assert learned(estate) == {7} and cases(estate, "L-1") == ["unknown_schema"]
        estate.send("crm", "L-1", None, value=by_schema(7, BUYER, "L-1", name="Eve", vip=True))
        until(lambda: name_of(estate, "L-1") == "Eve", estate)
        assert cases(estate, "L-1") == ["unknown_schema", "unknown_field"], "the field more is held alone"
    (line,) = [line for line in trail(estate, "redriven") if line["key"] == b"L-1"]
    assert (line["by"], line["result"]) == ("control", "accepted")


def test_what_was_learned_goes_along_with_the_next_map(estate: Estate) -> None:
    before = newest_map(estate.access("control")).version
    documents = map_documents()
    documents["customer.yaml"] = documents["customer.yaml"].replace("within one working day", "within a day")
    assert publish_map(estate.access("control"), documents, "test") == before + 1
    assert learned(estate) >= {7}
    assert publish_map(estate.access("control"), documents, "test") == before + 1, "the same files again"


def test_who_publishes_at_the_same_moment_as_another_is_not_passed_over(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both bear the next number, and the gate uses the first."""
    access = estate.access("control")
    before, told = newest_map(access), [map_documents(), map_documents()]
    for documents, words in zip(told, ("within two days", "within three days"), strict=True):
        documents["customer.yaml"] = documents["customer.yaml"].replace("within one working day", words)
    publish_map(access, told[0], "one")
    first = [before]
    monkeypatch.setattr(
        estate_module, "newest_map", lambda *asked: first.pop() if first else newest_map(*asked)
    )
    assert publish_map(access, told[1], "other") == before.version + 2
    found = newest_map(access)
    assert found.version == before.version + 2 and "three days" in found.documents["customer.yaml"]
    until(lambda: estate.events("map.read")[-1]["version"] == found.version, estate)


def test_an_id_that_the_registry_has_not_is_asked_for_once(estate: Estate, desk: RegistryDesk) -> None:
    with desk.open():
        for number in range(20):
            estate.send("crm", f"L-2{number}", None, value=by_schema(8, BUYER, f"L-2{number}", name="Ada"))
        until(lambda: desk.asked(8) > 0, estate)
        estate.send("crm", "L-2", {"name": "Ada"})
        until(lambda: name_of(estate, "L-2") == "Ada", estate)
        time.sleep(8)
    assert desk.asked(8) == 1 and cases(estate, "L-20") == ["unknown_schema"]


def test_a_registry_that_is_away_holds_up_nobody_else(estate: Estate, desk: RegistryDesk) -> None:
    estate.send("crm", "L-3", None, value=by_schema(12, LONGER, "L-3", name="Ada", since=3))
    until(lambda: cases(estate, "L-3") == ["unknown_schema"], estate)
    estate.send("crm", "L-4", {"name": "Bob"})
    until(lambda: name_of(estate, "L-4") == "Bob", estate, timeout_s=10)
    until(lambda: "registry.not_asked" in (estate.home / "control.log").read_text(), estate)
    assert name_of(estate, "L-3") is None
    with desk.open():
        until(lambda: name_of(estate, "L-3") == "Ada", estate)


def test_what_the_contract_cannot_read_stays_held_and_the_log_says_why(
    estate: Estate, desk: RegistryDesk
) -> None:
    datum = Codec.of_document(13, KEYLESS).encode(13, dict.fromkeys(f["name"] for f in KEYLESS["fields"]))
    with desk.open():
        estate.send("crm", "L-5", None, value=datum)
        until(lambda: "registry.schema_refused" in (estate.home / "control.log").read_text(), estate)
        time.sleep(5)
    refused = [
        line for line in (estate.home / "control.log").read_text().splitlines() if "schema_refused" in line
    ]
    assert len(refused) == 1 and "customer_id: has no default" in refused[0]
    assert desk.asked(13) == 1 and 13 not in learned(estate) and cases(estate, "L-5") == ["unknown_schema"]


def test_a_system_that_was_stopped_for_it_goes_on(estate: Estate, desk: RegistryDesk) -> None:
    for number in range(100):
        estate.send("crm", "L-6", {"name": f"good {number}"}, wait=False)
    estate.producer("crm").flush(20)
    until(lambda: name_of(estate, "L-6") == "good 99", estate)
    for number in range(150):
        value = by_schema(14, BUYER, "L-6", name=f"new {number}")
        estate.send("crm", "L-6", None, value=value, wait=False)
    estate.producer("crm").flush(20)
    until(lambda: trail(estate, "paused"), estate)
    desk.knows(14, BUYER)
    with desk.open():
        until(lambda: name_of(estate, "L-6") == "new 149", estate)
        (rose,) = [case for case in estate.envelopes("quarantine") if case["reason"] == "holds_rose"]
        until(
            lambda: any(line["case_id"] == rose["case_id"] for line in trail(estate, "case_closed")), estate
        )
    received = sum(1 for _ in estate.read("changes.crm.customer"))
    assert estate.settle(received)["received"] == received and estate.ledger_faults() == []
