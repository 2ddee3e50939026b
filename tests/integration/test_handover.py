"""Handovers and orders on a real Kafka: one owner at every position, through kills; what is paused waits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from broker.clock import now_ms
from broker.commands import command_value
from broker.kafka.estate import publish_map
from broker.lane.ledger import verify
from schemas.authoritative import parse_authoritative
from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate, estate_of, map_documents

pytestmark = pytest.mark.integration
BACKLOG = 8_000


@pytest.fixture
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("handover"))


def publish(estate: Estate, **changed: Any) -> None:
    """The next map version: the demo's, with changes to customer.yaml."""
    documents = map_documents()
    documents["customer.yaml"] = yaml.safe_dump(yaml.safe_load(documents["customer.yaml"]) | changed)
    publish_map(estate.access("control"), documents, "test")


def handed_over(at_s: float, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at_s, UTC).isoformat()
    return {"handover": [{"field": "phone", "to": "erp", "valid_from": moment, **more}]}


def revisions(estate: Estate, key: str) -> list[tuple[Any, Any]]:
    return [
        (parse_authoritative(m.headers()), estate.registry.codec.decode(m.value()))
        for m in estate.read("authoritative.customer")
        if m.key() == key.encode()
    ]


def cases(estate: Estate, reason: str) -> list[dict[str, Any]]:
    return [case for case in estate.envelopes("quarantine") if case["reason"] == reason]


def order(
    estate: Estate, command: str, *, key: bytes = b"", partitions: Any = range(PARTITIONS), **more: Any
) -> None:
    producer = Producer(estate.access("console").librdkafka_options())
    for partition in partitions:
        value = command_value(command, command_id=f"K-{partition}", by="test", issued_ms=1, **more)
        producer.produce("commands.customer", value, key, partition)
    assert producer.flush(20) == 0


def now_s() -> float:
    return now_ms() / 1000


def kill(worker: Any) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)


def test_the_new_owners_changes_wait_for_the_former_owners_backlog(estate: Estate) -> None:
    key, send = "C-1", estate.send
    send("crm", key, {"name": "Ada", "phone": "0"})
    for number in range(BACKLOG):
        send("crm", key, {"phone": f"crm {number}"}, fields=["phone"], wait=False)
    estate.producer("crm").flush(60)
    send("erp", key, {"phone": "too early"}, fields=["phone"])
    cut_s = now_s() + 1.5
    publish(estate, **handed_over(cut_s))
    time.sleep(max(0.0, cut_s - now_s()) + 0.5)
    send("erp", key, {"phone": "erp 1"}, fields=["phone"])
    send("crm", key, {"phone": "too late"}, fields=["phone"])
    worker = estate.start_gate()
    time.sleep(3.5)  # in the midst of the backlog, or waiting at the barrier
    kill(worker)
    estate.start_gate()
    estate.settle(BACKLOG + 4, timeout_s=90)

    told = revisions(estate, key)
    assert [envelope.revision for envelope, _ in told] == list(range(1, len(told) + 1))  # I4
    writers = [envelope.causation[0] for envelope, _ in told if "phone" in envelope.changed]
    assert writers == ["crm"] * (BACKLOG + 1) + ["erp"], "all of the former owner's, then the new one's"
    assert told[-1][1]["phone"] == "erp 1"
    (early,) = cases(estate, "not_owner")
    (late,) = cases(estate, "late_owner")
    assert early["system"] == "erp" and late["system"] == "crm"
    assert late["verdicts"][0]["owner"] == "erp" and late["verdicts"][0]["epoch"] == 2
    for slot in range(4):
        assert verify([r for r in estate.envelopes("ledger") if r["slot"] == slot]) == []
    assert solesource(estate, "ledger", "verify", "--rejudge")["faults"] == []


def _whole_logs(estate: Estate) -> str:
    return "".join(path.read_text() for path in estate.home.glob("gate-*.log"))


def test_a_break_glass_change_ends_by_itself_and_can_be_taken_back(estate: Estate) -> None:
    estate.start_gate()
    send = estate.send
    send("crm", "C-1", {"name": "Ada", "phone": "0"})
    began_s = now_s()
    publish(
        estate, **handed_over(began_s, until=_iso(began_s + 6), reason="crm is down", approved_by="sales")
    )
    _until_map(estate, 2)
    send("erp", "C-1", {"phone": "1"}, fields=["phone"])
    send("crm", "C-1", {"phone": "2"}, fields=["phone"])
    estate.settle(3)
    time.sleep(max(0.0, began_s + 6.3 - now_s()))
    send("crm", "C-1", {"phone": "3"}, fields=["phone"])
    send("erp", "C-1", {"phone": "4"}, fields=["phone"])
    estate.settle(5)
    assert [values["phone"] for envelope, values in revisions(estate, "C-1") if envelope.changed] == [
        "0",
        "1",
        "3",
    ]
    assert [case["system"] for case in cases(estate, "late_owner")] == ["crm", "erp"]


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def _until_map(estate: Estate, version: int) -> None:
    deadline = time.monotonic() + 20
    while f'"version": {version}' not in _whole_logs(estate):
        assert time.monotonic() < deadline, _whole_logs(estate)
        time.sleep(0.2)


def test_a_paused_system_waits_through_a_kill_and_goes_on_where_it_was(estate: Estate) -> None:
    worker = estate.start_gate()
    send = estate.send
    send("crm", "C-1", {"name": "Ada"})
    estate.settle(1)
    order(estate, "pause", system="crm", note="too many held writes")
    _until_trail(estate, "paused", PARTITIONS)
    for number in range(20):
        send("crm", f"C-{number + 2}", {"name": f"n{number}"})
    send("erp", "C-1", {"name": "Eve"}, fields=["name"])
    assert estate.settle(2)["received"] == 2, "the other system's changes go on"
    kill(worker)
    estate.start_gate()
    send("erp", "C-1", {"name": "Eve 2"}, fields=["name"])
    time.sleep(1.0)
    assert estate.settle(3)["received"] == 3, "it is still paused"
    order(estate, "resume", system="crm")
    account = estate.settle(23)
    assert account["accepted"] == 21 and account["quarantined"] == 2


def _until_trail(estate: Estate, kind: str, count: int) -> None:
    deadline = time.monotonic() + 30
    while sum(line["kind"] == kind for line in estate.envelopes("trail")) < count:
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.3)


def test_a_reset_is_confirmed_and_a_held_write_judged_again(estate: Estate) -> None:
    estate.start_gate()
    send, key = estate.send, "C-1"
    send("crm", key, {"name": "Ada"}, event_id="seq:0:0000000000000009")
    send("crm", key, {"name": "Eve"}, event_id="seq:1:0000000000000001")
    send("erp", key, {"phone": "1"}, fields=["phone"], event_id="time:0:1")
    estate.settle(3)
    (anew,), (foreign,) = cases(estate, "unrecorded_reset"), cases(estate, "not_owner")
    partition = partition_of(key.encode(), PARTITIONS)

    def again(case: dict[str, Any], attempt: int) -> None:
        held = {
            name: case[name]
            for name in ("case_id", "system", "headers", "value", "topic", "partition", "offset")
        }
        order(estate, "redrive", key=key.encode(), partitions=[partition], attempt=attempt, **held)

    again(anew, 1)
    order(estate, "source_reset", system="crm", incarnation=1, note="restored from a backup")
    again(anew, 2)
    publish(
        estate, fields={"credit_limit": {"system_of_record": "erp"}, "phone": {"system_of_record": "erp"}}
    )
    _until_map(estate, 2)
    again(foreign, 1)
    again(foreign, 2)
    again(foreign, 6)
    _until_trail(estate, "redriven", 4)
    _until_trail(estate, "command_refused", 1)
    told = [line for line in estate.envelopes("trail") if line["kind"] in ("redriven", "case_closed")]
    assert [(line["case_id"], line["kind"], line["result"]) for line in told] == [
        (anew["case_id"], "redriven", "quarantined"),
        (anew["case_id"], "redriven", "accepted"),
        (anew["case_id"], "case_closed", "redriven"),
        (foreign["case_id"], "redriven", "accepted"),
        (foreign["case_id"], "case_closed", "redriven"),
        (foreign["case_id"], "redriven", "duplicate"),
        (foreign["case_id"], "case_closed", "overtaken"),
    ]
    last, values = revisions(estate, key)[-1]
    assert values["name"] == "Eve" and values["phone"] == "1"
    said = why(estate, "erp/time:0:1")
    assert said["outcome"] == "quarantined" and said["reason"] == "not_owner" and said["map_version"] == 1
    assert [step["result"] for step in said["since"]] == [
        "accepted",
        "redriven",
        "duplicate",
        "overtaken",
        "refused",
    ]
    assert why(estate, "crm/seq:0:0000000000000009")["revision"] == 1
    assert why(estate, foreign["case_id"])["offset"] == said["offset"]
    verified = solesource(estate, "ledger", "verify", "--rejudge")
    assert verified["faults"] == [] and verified["rejudged"], (
        "four batches, two maps, commands: all come out the same"
    )
    assert last.owned_by("erp", values) == {"phone", "credit_limit"}


def solesource(estate: Estate, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "broker.cli", *words, "--json"],
        env=estate.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def why(estate: Estate, change: str) -> Any:
    return solesource(estate, "why", change)
