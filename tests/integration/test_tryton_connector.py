"""Tryton connector against a real Tryton: every edit told once, nobody's edit overwritten unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from broker.embedded.tryton import EmbeddedTryton
from broker.embedded.tryton_rpc import TrytonSession, decimal
from connectors.sdk.adapter import Context
from connectors.sdk.backfill import KeyRange, SourceNeverRan
from connectors.sdk.backfill_loop import differ
from connectors.sdk.errors import ConnectionLost
from connectors.sdk.feedback import Proposal, ProposedField, Refusal
from connectors.sdk.sink import Applied, Failed, Retry, Skipped
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from connectors.tryton import CONNECTOR, TrytonSink, TrytonSource
from connectors.tryton.backfill import TrytonBackfill
from connectors.tryton.writes import PartyWrite
from tests.connector_parts import context_of, update_of

pytestmark = pytest.mark.integration

PREFIXES = (f"T{number}" for number in count(1))
ALL = "customer_id name email phone"


class Erp:
    """One connector for the parties whose codes begin with a prefix of this test, and a person who edits
    them.
    """

    def __init__(self, tryton: EmbeddedTryton, folder: Path) -> None:
        self.prefix = next(PREFIXES)
        self.person = TrytonSession(tryton.url, tryton.database, tryton.user, tryton.password)
        (folder / "password").write_text(tryton.password)
        self.context: Context = context_of(
            "erp",
            settings={
                "url": tryton.url,
                "database": tryton.database,
                "user": tryton.user,
                "password": {"file": "password"},
                "page": 50,
            },
            mapping={
                "key": "code",
                "fields": {
                    "customer_id": "code",
                    "name": "name",
                    "email": "contact:email",
                    "phone": "contact:phone",
                    "credit_limit": "credit_limit_amount",
                },
                "only": [["code", "like", f"{self.prefix}-%"]],
            },
            store=Store(":memory:"),
            folder=folder,
        )
        parts = CONNECTOR.build(self.context)
        assert isinstance(parts.source, TrytonSource)
        assert isinstance(parts.sink, TrytonSink)
        assert isinstance(parts.backfill, TrytonBackfill)
        self.source, self.sink, self.backfill = parts.source, parts.sink, parts.backfill

    def code(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def create(self, name: str, **values: Any) -> int:
        contacts = [{"type": "email", "value": f"{name}@example.com"}, {"type": "phone", "value": "+44 1"}]
        record = {
            "code": self.code(name),
            "name": f"Name {name}",
            "contact_mechanisms": [["create", contacts]],
        }
        return self.person.create("party.party", record | values)

    def write(self, party: int, **values: Any) -> None:
        self.person.call("model.party.party.write", [party], values, {"company": 1})

    def read(self, name: str) -> dict[str, Any]:
        found = self.person.call(
            "model.party.party.search_read",
            [["code", "=", self.code(name)]],
            0,
            None,
            None,
            ["name", "active", "email", "phone", "credit_limit_amount"],
            {"company": 1, "active_test": False},
        )
        return dict(found[0])

    async def drain(self) -> list[ChangeEvent]:
        events: list[ChangeEvent] = []
        position: str | None = None
        while True:
            batch = await self.source.read()
            await self.source.commit(batch.position)
            events.extend(batch.events)
            if not batch.events and batch.position == position:
                return events
            position = batch.position


@pytest.fixture
async def erp(tryton: EmbeddedTryton, tmp_path: Path) -> AsyncIterator[Erp]:
    found = Erp(tryton, tmp_path)
    await found.sink.open()
    yield found
    await found.source.close()
    await found.sink.close()
    await found.backfill.close()
    found.person.close()


async def test_snapshot_then_edits_of_party_contact_and_credit_limit(erp: Erp):
    for number in range(3):
        erp.create(f"old{number}")
    await erp.source.open(None)
    events = await erp.drain()
    assert sorted(event.key for event in events) == [erp.code(f"old{number}") for number in range(3)]
    assert events[0].fields is None
    assert events[0].values["email"] == "old0@example.com"

    party = erp.create("new", credit_limit_amount=decimal("500.00"))
    (created,) = await erp.drain()
    assert created.values["credit_limit"] == Decimal("500.00")
    assert created.values["phone"] == "+44 1"

    erp.write(party, credit_limit_amount=decimal("750.5"))
    (limit,) = await erp.drain()
    assert limit.values["credit_limit"] == Decimal("750.5")
    assert created.version.older_than(limit.version)

    # A contact mechanism by itself does not move the party's own write date.
    mechanism = erp.person.call(
        "model.party.contact_mechanism.search",
        [["party", "=", party], ["type", "=", "email"]],
        0,
        None,
        None,
        {},
    )
    erp.person.call("model.party.contact_mechanism.write", mechanism, {"value": "other@example.com"}, {})
    (contact,) = await erp.drain()
    assert contact.values["email"] == "other@example.com"
    assert limit.version.older_than(contact.version)
    assert len({event.event_id for event in (created, limit, contact)}) == 3


async def test_a_touched_party_says_nothing_and_a_restart_repeats_nothing(erp: Erp):
    party = erp.create("same")
    await erp.source.open(None)
    await erp.drain()
    erp.write(party, name="Name same")
    batch = await erp.source.read()
    assert batch.events == []
    await erp.source.close()
    await erp.source.open(batch.position)
    assert await erp.drain() == []


async def test_what_was_not_committed_is_told_again_under_its_id(erp: Erp):
    await erp.source.open(None)
    await erp.drain()
    before = (await erp.source.read()).position
    erp.create("again")
    first = await erp.source.read()
    await erp.source.close()
    await erp.source.open(before)
    second = await erp.source.read()
    assert [event.event_id for event in first.events] == [event.event_id for event in second.events] != []


async def test_bulk_creation_then_changes_of_all_kinds(erp: Erp):
    await erp.source.open(None)
    await erp.drain()
    updates = [
        update_of(
            erp.code(f"b{number}"),
            1,
            ALL,
            cause="crm",
            created=True,
            name=f"N{number}",
            email=f"b{number}@example.com",
            phone="0123 45" if number % 2 else None,
        )
        for number in range(120)
    ]
    assert await erp.sink.apply(updates) == [Applied()] * 120
    assert len(await erp.drain()) == 120  # the echo
    assert erp.read("b1")["phone"] == "0123 45"

    changes = [
        update_of(erp.code("b1"), 2, "phone", cause="crm", name="N1", phone=None),
        update_of(erp.code("b2"), 2, "phone email", cause="crm", email="x@example.com", phone="077"),
        update_of(erp.code("b3"), 2, "name", cause="crm", name="Other"),
        update_of(erp.code("b4"), 2, cause="crm", deleted=True),
        update_of(erp.code("none"), 2, cause="crm", deleted=True),
    ]
    outcomes = await erp.sink.apply(changes)
    assert outcomes[:4] == [Applied()] * 4
    assert isinstance(outcomes[4], Skipped)
    assert (await erp.sink.apply(changes))[:3] == [Applied()] * 3  # again: nothing differs
    assert erp.read("b1")["phone"] == ""
    assert (erp.read("b2")["email"], erp.read("b2")["phone"]) == ("x@example.com", "077")
    assert erp.read("b3")["name"] == "Other"
    assert not erp.read("b4")["active"]


async def test_an_edit_in_tryton_is_published_before_it_is_overwritten(erp: Erp):
    await erp.source.open(None)
    party = erp.create("edit")
    await erp.drain()
    erp.write(party, name="By a person")
    update = update_of(erp.code("edit"), 2, "name", cause="crm", name="By the broker")
    (outcome,) = await erp.sink.apply([update])
    assert isinstance(outcome, Retry)
    assert outcome.code == "tryton.unseen_edit"
    assert erp.context.nudge.is_set()
    assert erp.read("edit")["name"] == "By a person"

    (seen,) = await erp.drain()
    assert seen.values["name"] == "By a person"
    assert await erp.sink.apply([update]) == [Applied()]
    assert erp.read("edit")["name"] == "By the broker"
    # The sink's own write is no unseen edit: the next one need not wait for its echo.
    after = update_of(erp.code("edit"), 3, "name", cause="crm", name="Once more")
    assert await erp.sink.apply([after]) == [Applied()]


class EditedBetween(TrytonSink):
    """A person saves the party after the sink looked at it and before it writes."""

    edit: Callable[[], None]

    async def _write(self, writes: Sequence[PartyWrite]) -> None:
        if len(writes) == 2:
            await asyncio.to_thread(self.edit)
        await super()._write(writes)


async def test_tryton_compares_the_write_date_once_more(erp: Erp):
    await erp.source.open(None)
    party = erp.create("race")
    erp.create("calm")
    await erp.drain()
    sink = EditedBetween("erp", erp.sink._parties, erp.sink._ledger, asyncio.Event())
    sink.edit = lambda: erp.write(party, name="Person")
    updates = [update_of(erp.code(name), 2, "name", cause="crm", name="Broker") for name in ("race", "calm")]
    race, calm = await sink.apply(updates)
    assert isinstance(race, Retry)
    assert race.code == "tryton.ConcurrencyException"
    assert calm == Applied()
    assert erp.read("race")["name"] == "Person"


async def test_one_bad_party_is_one_bad_party(erp: Erp):
    await erp.source.open(None)
    erp.person.create("party.party", {"code": erp.code("dup") + "x", "name": "taken"})
    await erp.drain()
    good = update_of(erp.code("good"), 1, ALL, cause="crm", created=True, name="G")
    bad = update_of(erp.code("bad"), 1, ALL, cause="crm", created=True, name="B", email="no\x00text")
    missing = update_of(erp.code("gone"), 5, "name", cause="crm", name="x")
    outcomes = await erp.sink.apply([good, bad, missing])
    assert outcomes[0] == Applied()
    assert isinstance(outcomes[1], Retry | Failed)
    assert isinstance(outcomes[2], Retry)
    assert outcomes[2].code == "tryton.party_missing"


async def test_messages_become_notes_once(erp: Erp):
    party = erp.create("note")
    refusal = Refusal(
        "case-9",
        "customer",
        erp.code("note"),
        None,
        "not_owner",
        "Names belong to crm.",
        "Ask crm.",
        ("name",),
        {"name": "crm"},
        1,
    )
    proposal = Proposal(
        "prop-9",
        "customer",
        erp.code("note"),
        "crm",
        "kim",
        "please",
        (ProposedField("credit_limit", "1.00", "2.00"),),
        1,
        2,
    )
    for _ in range(2):
        await erp.sink.receive_refusal(refusal)
        await erp.sink.receive_proposal(proposal)
    notes = erp.person.call(
        "model.ir.note.search_read",
        [["resource", "=", f"party.party,{party}"]],
        0,
        None,
        None,
        ["message"],
        {},
    )
    assert sorted(note["message"] for note in notes) == [
        "Not accepted (name): Names belong to crm. Ask crm. [case-9]",
        "crm suggests [prop-9]: please\ncredit_limit: 2.00 instead of 1.00",
    ]


async def test_an_ended_session_is_renewed_and_a_wrong_password_is_a_connection_lost(
    erp: Erp, tmp_path: Path
):
    await erp.source.open(None)
    client = erp.source._parties.client
    client._headers = {"Authorization": "Session bm9ib2R5OjE6eA=="}
    await erp.drain()
    client._password = "wrong"
    with pytest.raises(ConnectionLost):
        await client.open()


async def test_parties_are_read_again_under_versions_that_no_later_edit_has(erp: Erp):
    parties = {name: erp.create(name) for name in ("a", "b", "c")}
    backfill = erp.backfill
    await erp.source.open(None)
    live = {event.key: event for event in await erp.drain()}
    position = (await erp.source.read()).position
    assert await backfill.open("customer", KeyRange(erp.code("a"), erp.code("b"))) == 2
    chunk = await backfill.chunk(None)
    assert [event.key for event in chunk.events] == [erp.code("a"), erp.code("b")]
    assert chunk.after is None
    assert chunk.events[0].values == live[erp.code("a")].values
    # Just written: another edit may still get the same write date, so the source's word counts for more.
    assert all(event.version.older_than(live[event.key].version) for event in chunk.events)
    assert await backfill.behind(chunk.mark, position) == 0
    erp.write(parties["b"], name="Later")
    again = await backfill.look_again([event.key for event in chunk.events])
    assert [differ(*pair) for pair in zip(chunk.events, again.events, strict=True)] == [False, True]
    assert await backfill.behind(again.mark, position) > 0
    (edit,) = await erp.drain()
    assert again.events[1].version.older_than(edit.version)
    assert chunk.events[1].version.older_than(again.events[1].version)
    assert await backfill.behind(again.mark, (await erp.source.read()).position) == 0
    with pytest.raises(SourceNeverRan):
        await backfill.behind(again.mark, None)
