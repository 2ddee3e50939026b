"""Another number of partitions on a real Kafka, while systems write and read: nothing lost, doubled, or taken back."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka import KafkaError, Producer

from broker.agents.orders import send_everywhere
from broker.clock import now_ms
from broker.commands import command_value
from broker.gate.connections import PAUSE, RESUME
from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import newest_map, publish_map
from broker.repartition.plan import RepartitionRefused
from connectors.sdk.memory import MemorySource
from connectors.sdk.source import ChangeEvent
from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate, estate_of, map_documents
from tests.gate_parts import money
from tests.repartition_parts import (
    Cut,
    backwards,
    change,
    command,
    done,
    ends,
    eventually,
    map_folder,
    run,
    system,
    told,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(580)]
NOW = 6
"""Partitions afterwards."""
KEYS = [f"C-{number}" for number in range(60)]


@pytest.fixture
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("repartition"))


def name_of(key: str, number: int) -> ChangeEvent:
    return change(key, number, frozenset({"name"}), name=f"{key} {number}")


def credit_of(key: str, number: int) -> ChangeEvent:
    return change(key, number, frozenset({"credit_limit"}), credit_limit=money(number))


async def publishing(
    source: MemorySource, stop: asyncio.Event, tell: Callable[[str, int], ChangeEvent]
) -> int:
    """Tell change after change until stopped; how many."""
    number = 1000
    while not stop.is_set():
        for key in KEYS[number % 7 :: 7]:
            number += 1
            source.changes.append(tell(key, number))
        await asyncio.sleep(0.25)
    return number - 1000


async def test_systems_go_on_over_another_number_of_partitions(estate: Estate, tmp_path: Path) -> None:
    folder = map_folder(estate)
    estate.start_gate()
    control = command(estate, folder, "control")
    source = MemorySource([change(key, number + 1, name=key) for number, key in enumerate(KEYS)])
    async with (
        system(estate, tmp_path, "crm", source) as crm,
        system(estate, tmp_path, "erp", limits := MemorySource()) as erp,
        system(estate, tmp_path, "billing") as billing,
    ):
        await eventually(lambda: len(erp.records) == len(billing.records) == len(KEYS), estate)
        held = {"key": "C-1", "values": {"name": "Eve"}, "fields": ["name"], "event_id": "time:0:1"}
        await asyncio.to_thread(estate.send, "erp", **held)
        waiting = {"values": {"credit_limit": None}, "fields": ["credit_limit"]}
        await asyncio.to_thread(estate.send, "erp", "C-waits", waiting["values"], fields=["credit_limit"])
        await eventually(lambda: estate.account().get("parked", 0) == 1, estate)
        before = len(estate.read("authoritative.customer"))
        stop = asyncio.Event()
        writing = asyncio.gather(publishing(source, stop, name_of), publishing(limits, stop, credit_of))
        said = await asyncio.to_thread(
            done, estate, folder, "object", "repartition", "customer", "--partitions", str(NOW), "--json"
        )
        await asyncio.sleep(2)
        stop.set()
        count = sum(await writing)
        source.changes.append(change("C-waits", 9_000_000, name="Late"))
        last = {event.key: event.values["name"] for event in source.changes}
        for sink in (erp, billing):
            await eventually(
                lambda sink=sink: all(
                    sink.records.get(("customer", key), {}).get("name") == name for key, name in last.items()
                ),
                estate,
            )
        credit = {event.key: event.values["credit_limit"] for event in limits.changes}
        await eventually(
            lambda: all(
                crm.records["customer", key]["credit_limit"] == limit for key, limit in credit.items()
            ),
            estate,
        )
    found = json.loads(said[said.index("{\n") :])
    assert (found["generation"], found["map_version"], found["answered"]) == (2, 3, True), said
    assert found["records"] > before and found["not_judged"] == []
    assert [name for name in found["old_topics"] if name.startswith("commands")] == ["commands.customer"]
    _nothing_is_lost_or_doubled(estate, len(KEYS) + count + 1)
    for sink in (crm, erp, billing):
        assert backwards(sink) == []
    through = {m.partition(): m.offset() for m in estate.read("authoritative.customer.2")}
    for name in ("erp", "billing"):
        acks = {
            a["partition"]: a["through_offset"]
            for a in estate.envelopes(f"acks.{name}")
            if a["generation"] == 2
        }
        assert acks == through, "acknowledgements count in the new topics"
    await _what_waited_goes_on(estate, folder, held)
    await _syncs_are_current(estate, folder)
    control.terminate()
    control.communicate(timeout=20)
    assert estate.ledger_faults() == []
    assert "every batch follows" in done(estate, folder, "ledger", "verify", "--rejudge")
    assert "Late" in done(estate, folder, "explain", "customer/C-waits", "--json")
    event = f"crm/{source.changes[0].event_id}"
    assert "It brought about revision 1." in done(estate, folder, "why", event)
    assert "It brought about revision 1." in done(estate, folder, "why", f"crm/{source.changes[-1].event_id}")
    with pytest.raises(KafkaRefused, match="generation"):
        publish_map(estate.access("control"), map_documents(), "with files of before")


def _nothing_is_lost_or_doubled(estate: Estate, events: int) -> None:
    old, new = told(estate, "authoritative.customer"), told(estate, "authoritative.customer.2")
    for key, records in new.items():
        assert {partition for partition, *_ in records} == {partition_of(key.encode(), NOW)}
        assert [revision for _, revision, _ in records] == list(range(1, len(records) + 1)), key  # I4
        before = [(revision, value) for _, revision, value in old.get(key, [])]
        assert before == [(revision, value) for _, revision, value in records[: len(before)]]
    account = estate.account()
    wrote = sum(len(records) for records in new.values())
    assert events == account["accepted"], account  # I3
    assert wrote == events + 1, "and the owner's value once more, to the system whose write was held"
    assert any(len(new[key]) > len(old[key]) for key in KEYS), "it went on in the new topics"


async def _what_waited_goes_on(estate: Estate, folder: Path, held: dict[str, object]) -> None:
    """The case is decided, and what was sent before is known, in the new topics."""
    (case,) = [c for c in estate.envelopes("quarantine") if c["event_id"] == held["event_id"]]
    order = ("quarantine", "decide", case["case_id"], "ask_owner", "--by", "ana")
    await asyncio.to_thread(done, estate, folder, *order)
    await eventually(lambda: len(estate.envelopes("proposals.crm")) == 1, estate)
    assert estate.envelopes("proposals.crm")[0]["case_id"] == case["case_id"]
    duplicates, received = estate.account().get("duplicate", 0), estate.account()["received"]
    place = {"topic": "changes.erp.customer.2", "partition": partition_of(b"C-1", NOW)}
    await asyncio.to_thread(estate.send, "erp", **held, **place)
    crm = {"topic": "changes.crm.customer.2", "partition": partition_of(b"C-waits", NOW)}
    again = {"event_id": "seq:0:0000000009000000", "values": {"name": "Late"}}
    await asyncio.to_thread(estate.send, "crm", "C-waits", again["values"], event_id=again["event_id"], **crm)
    await asyncio.to_thread(estate.settle, received + 2, 120)
    assert estate.account()["duplicate"] == duplicates + 2
    parked = [v for k, v in told(estate, "authoritative.customer.2").items() if k == "C-waits"]
    assert len(parked[0]) == 1


async def _syncs_are_current(estate: Estate, folder: Path) -> None:
    """Control, which runs since before, looks at the new topics and sends its ticks there."""

    def current() -> bool:
        worker = command(estate, folder, "status", "--json")
        said, _ = worker.communicate(timeout=60)
        states = {(sync["source"], sync["sink"]): sync["state"] for sync in json.loads(said)["syncs"]}
        return states[("crm", "erp")] == "up_to_date" and states[("erp", "crm")] in ("up_to_date", "quiet")

    await eventually(current, estate)

    def ticks() -> int:
        return sum(b"tick" in (message.value() or b"") for message in estate.read("commands.customer.2"))

    await eventually(lambda: ticks() >= 2 * NOW, estate)  # one round of the command's, and of control's


def refused(estate: Estate, user: str, topic: str) -> bool:
    """Whether Kafka refuses a user's write to a topic."""
    errors: list[KafkaError] = []
    producer = Producer(estate.access(user).librdkafka_options())
    producer.produce(topic, b"", b"x", on_delivery=lambda error, _: errors.append(error) if error else None)
    producer.flush(20)
    return bool(errors) and errors[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


async def test_a_run_that_is_killed_while_it_copies_is_given_again(estate: Estate) -> None:
    folder = map_folder(estate)
    estate.start_gate()
    for number in range(9000):
        estate.send("crm", f"C-{number % 3000}", {"name": f"N{number}"}, wait=False)
    estate.producer("crm").flush(60)
    await asyncio.to_thread(estate.settle, 9000, 90)
    order = ("object", "repartition", "customer", "--partitions", str(NOW))
    worker = command(estate, folder, *order)
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("Copied:"):
            worker.send_signal(signal.SIGKILL)
            break
    worker.stdout.close()
    worker.wait(10)
    half = sum(await ends(estate, "authoritative.customer.2", NOW))
    assert 0 < half < 9000, "it was killed in the middle"
    assert newest_map(estate.access("control")).version == 2
    assert refused(estate, "crm", "changes.crm.customer"), "closed until it is given again"
    assert "has 6 partitions" in await asyncio.to_thread(done, estate, folder, *order)
    old, new = told(estate, "authoritative.customer"), told(estate, "authoritative.customer.2")
    assert {k: [r[1:] for r in v] for k, v in old.items()} == {k: [r[1:] for r in v] for k, v in new.items()}
    assert all({p for p, *_ in v} == {partition_of(k.encode(), NOW)} for k, v in new.items())
    assert refused(estate, "crm", "changes.crm.customer") and refused(estate, "control", "commands.customer")
    place = {"topic": "changes.crm.customer.2", "partition": partition_of(b"C-7", NOW)}
    estate.send("crm", "C-7", {"name": "Later"}, **place)
    await asyncio.to_thread(estate.settle, 9001, 120)
    assert len(told(estate, "authoritative.customer.2")["C-7"]) == 4
    assert "has 6 partitions" in await asyncio.to_thread(done, estate, folder, *order), "and once more"
    assert estate.ledger_faults() == []


async def test_a_run_may_be_cut_at_any_step_and_wants_another_number_then(estate: Estate) -> None:
    folder = map_folder(estate)
    worker = estate.start_gate()
    for number in range(100):
        estate.send("crm", f"C-{number}", {"name": f"N{number}"}, wait=False)
    estate.producer("crm").flush(20)
    await asyncio.to_thread(estate.settle, 100, 120)
    for step in ("looked", "made", "draining", "copied"):
        with pytest.raises(Cut):
            await run(estate, folder, 8, cut_at=step)
        estate.send("crm", f"C-{step}", {"name": step})  # in order left: writers may write
    with pytest.raises(Cut):
        await run(estate, folder, NOW, cut_at="switched")
    assert yaml.safe_load((folder / "customer.yaml").read_text())["partitions"] == NOW
    assert refused(estate, "crm", "changes.crm.customer"), "in force, and rights are not given yet"
    worker.kill()
    worker.wait(10)
    estate.start_gate()
    found = await run(estate, folder, NOW)
    assert (found.generation, found.answered, found.records) == (2, True, 0)
    new = told(estate, "authoritative.customer.2")
    assert len(new) == 104 and all(p == partition_of(k.encode(), NOW) for k, v in new.items() for p, *_ in v)
    found = await run(estate, folder, 2)
    assert (found.generation, found.answered, found.records) == (3, True, 104)
    assert {p for v in told(estate, "authoritative.customer.3").values() for p, *_ in v} == {0, 1}
    estate.send(
        "crm", "C-1", {"name": "On"}, topic="changes.crm.customer.3", partition=partition_of(b"C-1", 2)
    )
    await eventually(lambda: len(told(estate, "authoritative.customer.3")["C-1"]) == 2, estate)
    assert estate.ledger_faults() == []


async def test_what_cannot_be_judged_stops_it_and_writers_go_on(estate: Estate) -> None:
    folder = map_folder(estate)
    estate.start_gate()
    estate.send("crm", "C-1", {"name": "Ada"})
    await asyncio.to_thread(estate.settle, 1, 120)

    async def order(what: str) -> None:
        def value(_: str, number: int) -> bytes:
            return command_value(
                what, command_id=f"{what}/{number}", by="ana", system="crm", issued_ms=now_ms()
            )

        await send_everywhere(estate.access("console"), ["customer"], value)

    await order(PAUSE)
    await eventually(
        lambda: sum(line["kind"] == "paused" for line in estate.envelopes("trail")) == PARTITIONS, estate
    )
    estate.send("crm", "C-2", {"name": "Eve"})
    with pytest.raises(RepartitionRefused, match=r"changes\.crm\.customer/"):
        await run(estate, folder, NOW, wait_s=3)
    estate.send("crm", "C-3", {"name": "Eve"})
    assert newest_map(estate.access("control")).version == 2
    await order(RESUME)
    await asyncio.to_thread(estate.settle, 3, 120)
    await order(PAUSE)
    await eventually(
        lambda: sum(line["kind"] == "paused" for line in estate.envelopes("trail")) == 2 * PARTITIONS, estate
    )
    assert (await run(estate, folder, NOW)).answered, "a pause with nothing behind it is no hindrance"
    place = {"topic": "changes.crm.customer.2", "partition": partition_of(b"C-3", NOW)}
    estate.send("crm", "C-3", {"name": "Later"}, **place)
    await asyncio.sleep(3)
    assert estate.account()["received"] == 3, "what was paused is paused in the new partitions"
    await order(RESUME)
    await asyncio.to_thread(estate.settle, 4, 120)
