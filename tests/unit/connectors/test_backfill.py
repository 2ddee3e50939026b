"""A backfill's versions against the gate's own rules, and the words in which it speaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from broker.cli.backfill import Lines, summary_text
from connectors.postgres import CONNECTOR
from connectors.postgres.backfill import version_of_reading
from connectors.postgres.lsn import version_at
from connectors.postgres.position import Position
from connectors.postgres.source import PostgresSource
from connectors.sdk.backfill import BackfillNotOffered, ObjectUnknown
from connectors.sdk.backfill_loop import Order, differ, run_backfill, told
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.memory import memory_connector
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from connectors.tryton.backfill import mark_of
from connectors.tryton.ledger import Published
from connectors.tryton.parties import Image
from schemas.version import event_id
from tests.connector_parts import MAP_FOLDER, context_of
from tests.gate_parts import Bench

C = 0x16B37480
"""Where a slot stands; a record of the log begins at it."""


def reading(confirmed: int = C, shown: int = C) -> str:
    """The event id of a row that was read then."""
    return event_id(version_of_reading(confirmed, shown), "C-1")


def live(lsn: int, index: int = 1) -> str:
    """The event id of a change that was committed there."""
    return event_id(version_at(lsn, index))


def test_a_reading_stands_between_what_is_on_kafka_and_what_is_not() -> None:
    version = version_of_reading(C, C + 400)
    assert version_at(C - 32, 99_999_999).older_than(version)
    assert version.older_than(version_at(C, 1)), "a commit exactly at C is not on Kafka yet"
    assert version.older_than(version_at(C, 0)), "nor is a snapshot that begins at C"
    assert version_of_reading(C, C).older_than(version), "a later reading may show more"
    assert version.older_than(version_of_reading(C + 8, C + 8))
    far = version_of_reading(C, C + (1 << 40))
    assert version.older_than(far) and far.older_than(version_at(C, 0))


def test_a_row_that_was_never_told_is_filled_in_and_a_later_change_wins() -> None:
    gate = Bench()
    assert gate.see(gate.upsert("crm", reading(), {"name": "Read"})).outcome == "accepted"
    assert gate.see(gate.upsert("crm", live(C), {"name": "Edited"}, fields=["name"])).outcome == "accepted"
    assert (gate.values() or {})["name"] == "Edited"


def test_a_change_that_passed_in_between_is_not_overwritten() -> None:
    gate = Bench()
    gate.see(gate.upsert("crm", live(C - 32), {"name": "Old", "email": "a@example.com"}))
    gate.see(gate.upsert("crm", live(C + 64), {"name": "New"}, fields=["name"]))
    assert (
        gate.see(gate.upsert("crm", reading(), {"name": "Old", "email": "a@example.com"})).outcome == "stale"
    )
    assert (gate.values() or {})["name"] == "New"


def test_a_field_that_was_lost_is_filled_in_beside_one_that_is_newer() -> None:
    gate = Bench()
    gate.see(gate.upsert("crm", live(C - 32), {"name": "Old", "email": None}))
    gate.see(gate.upsert("crm", live(C + 64), {"name": "New"}, fields=["name"]))
    seen = gate.see(gate.upsert("crm", reading(), {"name": "Old", "email": "a@example.com"}))
    assert seen.outcome == "accepted"
    assert {"name": "New", "email": "a@example.com"}.items() <= (gate.values() or {}).items()


def test_a_record_that_ended_in_between_does_not_come_back() -> None:
    gate = Bench()
    gate.see(gate.upsert("crm", live(C - 32), {"name": "A"}))
    gate.see(gate.delete("crm", live(C + 64)))
    assert gate.see(gate.upsert("crm", reading(), {"name": "A"})).outcome == "stale"
    assert gate.values() is None


def test_what_is_told_twice_is_a_duplicate_or_an_echo_and_never_held() -> None:
    gate = Bench()
    gate.see(gate.upsert("crm", reading(), {"name": "A"}))
    assert gate.see(gate.upsert("crm", reading(), {"name": "A"})).outcome == "duplicate"
    assert gate.see(gate.upsert("crm", reading(C, C + 64), {"name": "A"})).outcome == "echo"
    assert gate.see(gate.upsert("crm", reading(C + 64, C + 64), {"name": "A"})).outcome == "echo"


def test_a_change_that_was_held_is_made_good_by_a_later_reading_at_the_same_place() -> None:
    gate = Bench()
    early = gate.see(gate.upsert("crm", live(C + 64), {"name": "New"}, fields=["name"]))
    assert early.reason == "incomplete_record", "the gate did not know the record"
    gate.see(gate.upsert("crm", reading(C, C), {"name": "Old"}))
    assert gate.see(gate.upsert("crm", reading(C, C + 128), {"name": "New"})).outcome == "accepted"
    assert (gate.values() or {})["name"] == "New"


def test_an_end_that_came_too_early_is_told_again_and_a_new_life_is_left_alone() -> None:
    gate = Bench()
    assert gate.see(gate.delete("crm", live(C + 64))).outcome == "echo"
    gate.see(gate.upsert("crm", reading(), {"name": "A"}))
    assert gate.see(gate.delete("crm", reading(C, C + 128))).outcome == "accepted"
    gate.see(gate.upsert("crm", live(C + 256), {"name": "B"}))
    assert gate.see(gate.delete("crm", reading(C, C + 192))).outcome == "stale"
    assert (gate.values() or {})["name"] == "B"


def image(changed: datetime, name: str = "A") -> Image:
    return Image(1, "C-1", True, "1", changed, {"name": name})


def test_a_party_keeps_its_write_date_unless_it_was_written_lately() -> None:
    now = datetime(2026, 11, 24, 12, 0, 0)  # noqa: DTZ001 - Tryton's dates are naive
    settled, old, lately = now - timedelta(minutes=1), now - timedelta(hours=1), now - timedelta(seconds=1)
    assert mark_of(image(old), None, settled) == "2026-11-24T11:00:00.000000"
    assert mark_of(image(lately), None, settled) == "2026-11-24T11:59:58.999999"
    # Told last with this content under a later date (a part is gone since): that is its version.
    later = "2026-11-24T11:30:00.000000"
    assert mark_of(image(old), Published(image(old).digest, later), settled) == later
    # Told last with another content: the source may have written that since this party was read.
    assert mark_of(image(old), Published(image(old, "B").digest, later), settled) < later


EVENT = ChangeEvent("customer", "C-1", version_of_reading(C, C), 1, {"name": "A", "email": None})


def test_only_the_fields_that_were_asked_for_are_told() -> None:
    assert told(EVENT, None) is EVENT
    assert told(EVENT, frozenset({"name", "phone"})).fields == {"name"}
    assert told(replace(EVENT, fields=frozenset({"email"})), frozenset({"name", "email"})).fields == {"email"}
    end = replace(EVENT, values={}, deletes=True)
    assert told(end, frozenset({"name"})) is end
    assert differ(EVENT, replace(EVENT, values={"name": "B", "email": None}))
    assert not differ(EVENT, replace(EVENT, version=version_of_reading(C, C + 8)))


def test_a_connector_without_a_backfill_says_so(tmp_path: Path) -> None:
    config = ConnectorConfig.model_validate(
        {
            "system": "crm",
            "adapter": "memory",
            "kafka": {"bootstrap": "127.0.0.1:1", "username": "crm", "password": {"env": "HOME"}},
            "contracts": MAP_FOLDER,
            "store": tmp_path / "store.sqlite",
            "objects": {"customer": {}},
        }
    )

    def run(object_name: str) -> None:
        work = run_backfill(config, Order(object_name), asyncio.Event(), [].append, memory_connector())
        asyncio.run(work)

    with pytest.raises(
        BackfillNotOffered, match=r"adapter memory offers no backfill \[backfill.not_offered\] "
    ):
        run("customer")
    with pytest.raises(ObjectUnknown, match=r"no object order \[backfill.unknown\] Name an object under"):
        run("order")


def test_lines_are_few_and_plain() -> None:
    lines = Lines("customer")
    begun = lines.line_of({"step": "begun", "about": 100, "done": 40})
    assert begun == "customer: goes on after 40 records, about 100 records in all"
    said = [lines.line_of({"step": "published", "done": done}) for done in range(41, 101)]
    assert 10 <= sum(map(bool, said)) <= 20
    assert said[0] == "customer: 41 records are in Kafka"
    waiting = [lines.line_of({"step": "waiting", "seconds": s, "behind": 9}) for s in range(1, 11)]
    assert [line for line in waiting if line] == [
        "customer: waiting for live changes to go first (5 s)",
        "customer: waiting for live changes to go first (10 s)",
    ]


def test_the_summary_says_what_is_left_to_do() -> None:
    done = {"system": "crm", "object": "customer", "published": 7, "seconds": 2.0, "waited_s": 0.5}
    whole = summary_text({**done, "finished": True, "unusable": 0})
    assert whole == "7 records of crm's customer published in 2.0 s; for 0.5 s live changes went first."
    part = summary_text({**done, "finished": False, "unusable": 2})
    assert "2 records have a key that cannot be published" in part
    assert "start it again" in part


def test_an_idle_slot_moves_only_to_where_a_record_began() -> None:
    store = Store(":memory:")
    mapping = {"table": "customers", "key": "customer_id", "fields": {"customer_id": "customer_id"}}
    settings = {"dsn": "postgresql://crm@127.0.0.1/crm"}
    source = CONNECTOR.build(context_of("crm", settings=settings, mapping=mapping, store=store)).source
    assert isinstance(source, PostgresSource)
    source._position = Position(C)
    source._move_on_idle(C + 96, C + 64)  # durable up to the middle of a record, perhaps a commit's
    assert source._position == Position(C)
    source._move_on_idle(C + 200, C + 128)
    assert source._position == Position(C + 96), "the record that began there was not read past"
