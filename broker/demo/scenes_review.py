"""The second half of the story: people decide held writes, hostile records, and the gate killed at work."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

from confluent_kafka import Producer

from broker import topics
from broker.demo.scenes import SUBJECT
from broker.demo.systems import customer_id
from broker.demo.world import ASK_ERP_S, REVIEWER, World
from broker.gate.reason import BY_CODE
from schemas.envelope import change_headers
from schemas.keys import partition_of

ASKED = customer_id(7)
SUGGESTED = "accounts@example.com"
EDITED = 334
ROUNDS = 60
"""334 customers 60 times each: many revisions per record, so that an order or a gap would show."""
KILL_AT = 6000


def review(world: World) -> None:
    """5. The case is listed, shown as a difference, and decided; another one is put to the owner."""
    tell, console = world.narrator, world.console
    tell.step(5, f"{REVIEWER}, who reviews held writes, decides in the console")
    world.erp.change_email(ASKED, SUGGESTED)
    tell.say(f"ERP   a user changes the e-mail of {ASKED} to {SUGGESTED}; the CRM owns it")
    tell.wait("Two held writes are listed", lambda: len(console.cases()), total=2, trouble=world.trouble)
    by_key = {case["key"]: case for case in console.cases()}
    keep, ask = by_key[SUBJECT], by_key[ASKED]
    for case in (keep, ask):
        tell.differences(
            f"{case['case_id']}: customer {case['key']}, written by {case['system']}", _differences(case)
        )
    console.decide(keep["case_id"], "keep", "Do-not-call belongs in another field.")
    console.decide(ask["case_id"], "ask_owner", "The customer's bookkeeping moved to this address.")
    tell.wait(
        "The first case is closed: keep the owner's value",
        lambda: _state(world, keep) == "closed",
        trouble=world.trouble,
    )
    tell.wait("The CRM's users find the suggestion", lambda: len(world.crm.inbox()), trouble=world.trouble)
    suggestion = world.crm.inbox()[0]
    values = f"{suggestion['field']} {suggestion['current']} -> {suggestion['proposed']}"
    tell.say(f"inbox of the CRM: {values}: {suggestion['note']}")
    world.crm.change(ASKED, email=json.loads(suggestion["proposed"]))
    tell.say("CRM   the team agrees and makes it its own write")
    tell.wait(
        "The question is closed: accepted", lambda: _state(world, ask) == "closed", trouble=world.trouble
    )
    closed = console.case(ask["case_id"])
    tell.expect(closed["result"] == "accepted", f"case {ask['case_id']} is closed as {closed['result']}")


def _differences(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "field": verdict["field"],
            "in force": verdict["authoritative"],
            "attempted": verdict["attempted"],
            "owner": verdict["owner"],
            "verdict": verdict["verdict"],
        }
        for verdict in case["verdicts"]
        if verdict["verdict"] != "unchanged"
    ]


def _state(world: World, case: dict[str, Any]) -> str:
    return str(world.console.case(case["case_id"])["state"])


def hostile(world: World) -> None:
    """6. A system without rights, a forged source, unreadable bytes: each held with its reason; nothing else stops."""
    tell, seen = world.narrator, world.watch.seen
    tell.step(6, "Three records that must not get through")
    before = len(seen.cases)
    key = customer_id(8)
    value = world.rules.readers["customer"].encode(
        {"customer_id": key, "name": "Mallory", "email": None, "phone": None, "credit_limit": None}
    )
    _publish(world, "billing", key, value, claim="billing", event="any:0/demo-1")
    _publish(world, "erp", key, value, claim="crm", event="any:0/demo-2")
    _publish(world, "crm", key, value[:9] + b"\xff\xff\xff", claim="crm", event="any:0/demo-3")
    world.crm.change(key, name="Still working")
    wanted = {"billing": "system_not_listed", "erp": "claim_mismatch", "crm": "unreadable"}
    tell.wait("Held, each with its reason", lambda: len(seen.cases) - before, total=3, trouble=world.trouble)
    found = {case["system"]: case["reason"] for case in seen.cases[before:]}
    rows = [(system, found.get(system), BY_CODE[reason].sentence) for system, reason in wanted.items()]
    tell.table("Held", ("written by", "reason", "in words"), rows)
    tell.expect(
        found == wanted, "a listed system without rights, a forged source and unreadable bytes are held"
    )
    tell.wait(
        "The next edit went through",
        lambda: world.erp.row(key)["name"] == "Still working",
        trouble=world.trouble,
    )
    refused: list[str] = []
    producer = Producer(world.machine.settings.access("erp").librdkafka_options())
    producer.produce(
        topics.changes("crm", "customer"), value, key, on_delivery=lambda e, _: refused.append(e.name())
    )
    producer.flush(15)
    tell.expect(
        refused == ["TOPIC_AUTHORIZATION_FAILED"], "Kafka itself refuses erp's principal on crm's topic"
    )


def _publish(world: World, system: str, key: str, value: bytes, *, claim: str, event: str) -> None:
    producer = Producer(world.machine.settings.access(system).librdkafka_options())
    headers = change_headers(
        event_id=event, system=claim, object_name="customer", time_ms=1_764_000_000_000, fields=None
    )
    partition = partition_of(key.encode(), world.machine.settings.partitions)
    producer.produce(topics.changes(system, "customer"), value, key, partition, headers=headers)
    producer.flush(15)


def killed(world: World) -> None:
    """7. The gate is killed with SIGKILL in the middle of 20,000 changes: nothing lost, nothing doubled."""
    tell, supervisor = world.narrator, world.machine.supervisor
    total = ROUNDS * EDITED
    tell.step(7, f"The gate is killed in the middle of {total:,} changes of the CRM")
    before = _from_crm(world)
    work = threading.Thread(target=world.crm.rounds, args=(range(1, ROUNDS + 1), EDITED), daemon=True)
    work.start()
    tell.wait(
        "Changes accepted before the kill",
        lambda: _from_crm(world) - before,
        total=KILL_AT,
        timeout_s=90,
        trouble=world.trouble,
    )
    gate = supervisor.pid("gate")
    assert gate is not None
    os.kill(gate, signal.SIGKILL)
    tell.say(f"kill -9 {gate}, after {_from_crm(world) - before} of {total} changes")
    tell.wait(
        "All changes accepted by the gate that was started again",
        lambda: _from_crm(world) - before,
        total=total,
        timeout_s=120,
        trouble=world.trouble,
    )
    work.join()
    tell.expect(
        supervisor.restarts("gate") >= 1, f"the gate was started again, process {supervisor.pid('gate')}"
    )
    last = f"+44 {ROUNDS:04d} "
    tell.wait(
        "The ERP shows every last phone number",
        lambda: world.erp.phones(last),
        total=EDITED,
        timeout_s=120,
        every_s=ASK_ERP_S,
        trouble=world.trouble,
    )


def _from_crm(world: World) -> int:
    """Revisions that a change of the CRM brought about."""
    return world.watch.seen.accepted_from["crm"]
