"""What happens to the lane in production, on real Kafka: records in the way, rights taken away, a sleeper that wakes,
rolling restarts, a new map, a Kafka that is not set up as planned.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from broker.clock import now_ms
from broker.kafka.admin import make_acls
from broker.kafka.estate import prepare, publish_map
from broker.lane.ledger import verify
from broker.rules import rules_of
from tests.estate import PARTITIONS, SLOTS, Estate, estate_of, map_documents

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("operation"))


@pytest.fixture(autouse=True)
def nobody_left(estate: Estate) -> Iterator[None]:
    yield
    estate.stop()
    estate.workers.clear()
    for path in estate.home.glob("gate-*.log"):
        path.unlink()


def until(what: Callable[[], Any], estate: Estate, timeout_s: float = 40.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, estate.logs()
        time.sleep(0.2)
    return found


def said(estate: Estate, event: str, worker: int = -1) -> list[dict[str, Any]]:
    """Lines of that event in the log of a worker: the one that was started last, or by number."""
    path = estate.home / f"gate-{range(len(estate.workers))[worker]}.log"
    lines = [line for line in path.read_text().splitlines() if line.startswith("{")]
    return [entry for line in lines if (entry := json.loads(line))["event"] == event]


def assert_ledger_holds(estate: Estate) -> None:
    by_slot: dict[int, list[Any]] = {}
    for record in estate.envelopes("ledger"):
        by_slot.setdefault(record["slot"], []).append(record)
    assert [fault for records in by_slot.values() for fault in verify(records)] == []


def test_a_record_in_the_way_is_held_and_its_batch_goes_on(estate: Estate) -> None:
    """I6, I10: its case, with the values as text for people, is larger than any record may be."""
    before = estate.account()["received"]
    keys = [f"W-{number}" for number in range(40)]
    for key in keys:
        estate.send("crm", key, {"name": "before"}, wait=False)
    estate.producer("crm").flush(20)
    estate.start_gate()
    estate.settle(before + 40)
    estate.stop()
    # One byte that JSON writes as six: 900,000 of them are a record in bounds, and their case is not.
    estate.send("crm", keys[0], {"name": "\x01" * 900_000}, wait=False)
    for number, key in enumerate(keys):
        estate.send("crm", key, {"name": f"after {number}"}, wait=False)
    estate.send("erp", keys[0], {"name": "\x02" * 900_000}, fields=["name"], wait=False)
    for key in keys:
        estate.send("erp", key, {"credit_limit": None}, fields=["credit_limit"], wait=False)
    for system in ("crm", "erp"):
        estate.producer(system).flush(20)
    estate.start_gate()
    account = estate.settle(before + 40 + 82, timeout_s=90)
    assert sum(count for name, count in account.items() if name != "received") == account["received"]
    (case,) = [case for case in estate.envelopes("quarantine") if case["reason"] == "not_writable"]
    assert (case["system"], case["by_reference"], case["value"]) == ("erp", True, None)
    assert len(case["sha256"]) == 32 and case["event_id"]
    assert "slot.failed" not in estate.logs()
    assert_ledger_holds(estate)


def test_a_right_taken_away_holds_nothing_and_stops_only_its_input(estate: Estate) -> None:
    estate.send("crm", "R-1", {"name": "Ada"})
    estate.start_gate()
    before = estate.settle(1)["received"]
    admin = estate.kafka.admin()
    refusals = AclBindingFilter(
        ResourceType.TOPIC,
        "refusals.",
        ResourcePatternType.PREFIXED,
        "User:gate",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    cases = len(estate.read("quarantine"))
    assert next(iter(admin.delete_acls([refusals]).values())).result(timeout=20)
    estate.send("erp", "R-1", {"name": "not erp's"}, fields=["name"])
    until(lambda: said(estate, "slot.input_stands_still"), estate)
    estate.send("crm", "R-1", {"name": "Grace"})  # the same record, another input
    estate.settle(before + 1)
    assert len(estate.read("quarantine")) == cases
    make_acls(admin, rules_of(map_documents(), 0).ownership_map)
    account = estate.settle(before + 2, timeout_s=60)
    assert account["quarantined"] >= 1
    assert_ledger_holds(estate)


def test_a_sleeper_that_wakes_takes_nothing_back(estate: Estate) -> None:
    """I3: past its session it finds its producer fenced, asks the group, and leaves the slots to whoever has them."""
    sleeper = estate.start_gate()
    until(lambda: len(said(estate, "slot.opened")) == SLOTS, estate)
    sleeper.send_signal(signal.SIGSTOP)
    before = estate.account()["received"]
    estate.start_gate()
    until(lambda: len(said(estate, "slot.opened")) == SLOTS, estate)
    for number in range(30):
        estate.send("crm", f"Z-{number % 5}", {"name": f"first {number}"})
    estate.settle(before + 30)
    sleeper.send_signal(signal.SIGCONT)
    for number in range(60):
        estate.send("crm", f"Z-{number % 5}", {"name": f"second {number}"})
        time.sleep(0.05)
    estate.settle(before + 90)
    until(
        lambda: len(said(estate, "slot.closed")) > 0, estate
    )  # the group shares the slots between the two again
    assert said(estate, "slot.failed") == []  # nobody fenced the worker that had them
    assert_ledger_holds(estate)


def test_a_rolling_restart_holds_nothing_up(estate: Estate) -> None:
    """SIGTERM: each batch in hand ends, the slots move, and the process is gone within ten seconds."""
    first, second = estate.start_gate(), estate.start_gate()
    until(lambda: said(estate, "slot.opened"), estate)
    before = estate.account()
    sent = 0
    for leaving in (first, second):
        for number in range(50):
            estate.send("crm", f"T-{number % 10}", {"name": f"{leaving.pid} {number}"}, wait=False)
        sent += 50
        leaving.send_signal(signal.SIGTERM)
        assert leaving.wait(10) == 0
        estate.start_gate()
    estate.producer("crm").flush(20)
    account = estate.settle(before["received"] + sent)
    assert account["received"] == before["received"] + sent
    assert account["accepted"] == before["accepted"] + sent  # and nothing was held
    assert "slot.failed" not in estate.logs() and "seat_given_back" not in estate.logs()
    assert_ledger_holds(estate)


def test_a_new_map_is_in_force_at_every_slot_without_a_pause(estate: Estate) -> None:
    estate.start_gate()
    until(lambda: len(said(estate, "slot.opened")) == SLOTS, estate)
    keys = [f"M-{number}" for number in range(4 * PARTITIONS)]
    documents = map_documents()
    description = yaml.safe_load(documents["customer.yaml"]) | {"description": "A customer, by another map."}
    started = time.monotonic()
    published_ms = 0
    for number in range(120):
        for key in keys:
            estate.send("crm", key, {"name": f"{number}"}, wait=False)
        estate.producer("crm").flush(20)
        if number == 40:
            version = publish_map(
                estate.access("control"),
                documents | {"customer.yaml": yaml.safe_dump(description)},
                "test",
            )
            published_ms = now_ms()
        if published_ms and now_ms() > published_ms + 3000:
            break
        time.sleep(0.05)
    assert time.monotonic() - started < 60
    records = [
        record for record in estate.envelopes("ledger") if record["gate_time_ms"] > published_ms + 2000
    ]
    assert {record["slot"] for record in records} == {record["slot"] for record in estate.envelopes("ledger")}
    assert {record["map_version"] for record in records} == {version}
    assert "slot.failed" not in estate.logs() and said(estate, "slot.closed") == []


def test_the_gate_does_not_start_on_a_kafka_that_is_set_up_otherwise(estate: Estate) -> None:
    """I7: with the writer's own times in the log, what came first could not be told."""
    entry = ConfigEntry("message.timestamp.type", "CreateTime")
    entry.incremental_operation = AlterConfigOpType.SET
    topic = ConfigResource(ConfigResource.Type.TOPIC, "changes.crm.customer", incremental_configs=[entry])
    admin = estate.kafka.admin()
    next(iter(admin.incremental_alter_configs([topic]).values())).result(timeout=20)
    worker = estate.start_gate()
    assert worker.wait(30) == 78
    (finding,) = said(estate, "gate.not_fit")
    assert finding["what"] == (
        "changes.crm.customer has message.timestamp.type=CreateTime, planned is LogAppendTime"
    )
    assert finding["what_to_do"] == "Run `solesource prepare`."
    done = prepare(admin, map_documents(), {}, partitions=PARTITIONS, slots=SLOTS)
    assert done.settings_mended == ("changes.crm.customer",)
    estate.start_gate()
    until(lambda: len(said(estate, "slot.opened")) == SLOTS, estate)
    assert prepare(admin, map_documents(), {}, partitions=PARTITIONS, slots=SLOTS).settings_mended == ()
