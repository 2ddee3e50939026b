"""The short way by itself: exactly when it is taken, and what it gives, word for word.

Where it is not taken the long way says the same, so nothing but these tests sees that it is left too often.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.gate.express import ExpressPlan, express
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import Memory, OpenProposal, Parked, Reasserted, RecordState
from broker.rules import rules_of
from schemas.codec import VALUE_LENGTH_MAX
from schemas.envelope import HEADER_LENGTH_MAX
from tests.gate_parts import FLAT, Bench, map_texts, object_document

AT_MS = 1_795_000_000_000
TIME = b"2026-11-24T10:00:00.123Z"
ADA: dict[str, Any] = {"customer_id": "C-1", "name": "Ada", "email": None, "phone": None, "credit_limit": 5}


class Short:
    """A fresh plan, so that nothing of it was made before the test began."""

    def __init__(self) -> None:
        self.bench = Bench(rules=rules_of(map_texts(object_document(fields={}), [FLAT]), 7))
        self.plan: ExpressPlan = self.bench.rules.express["crm", "customer"]

    def value(self, **changed: Any) -> bytes:
        return self.bench.rules.readers["customer"].encode(ADA | changed)

    def state(self, **changed: Any) -> RecordState:
        made = RecordState(self.value(), 4, (("crm", "seq:0:0001", None),))
        return made._replace(**changed)

    def taken(self, state: RecordState | None, event: str = "seq:0:0002", **more: Any) -> Any:
        headers = more.pop("headers", headers_of(event.encode()))
        key, at_ms = more.pop("key", b"C-1"), more.pop("at_ms", AT_MS)
        value = more.pop("value", None) or self.value(name="Eve")
        return express(more.pop("plan", self.plan), state, key, value, headers, at_ms)


def headers_of(event: bytes, **changed: Any) -> tuple[tuple[str, bytes], ...]:
    usual = {
        "specversion": ("ce_specversion", b"1.0"),
        "id": ("ce_id", event),
        "source": ("ce_source", b"/crm"),
        "type": ("ce_type", b"customer.upsert"),
        "time": ("ce_time", TIME),
        "fields": ("ce_fields", b"*"),
    }
    return tuple((usual | changed).values())


def revision(number: int, event: bytes, owners: bytes, changed: bytes, value: bytes) -> Outgoing:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"customer/C-1@%d" % number),
        ("ce_source", b"/solesource"),
        ("ce_type", b"customer.authoritative"),
        ("ce_time", TIME),
        ("ce_causationid", b"crm/" + event),
        ("ce_revision", b"%d" % number),
        ("ce_changed", changed),
        ("ce_owners", b"crm@" + owners),
        ("ce_decision", b"7:%d" % AT_MS),
    ]
    return Outgoing(Destination.AUTHORITATIVE, b"C-1", value, headers, "customer")


@pytest.mark.parametrize(
    ("event", "quoted"),
    [
        (b"seq:0:0002", b"seq:0:0002"),
        (b"seq:0:0002/a%b", b"seq:0:0002/a%25b"),
        (b"seq:0:0002/a;b", b"seq:0:0002/a%3Bb"),
        (b"seq:0:0002/a=b", b"seq:0:0002/a%3Db"),
    ],
)
def test_a_newer_image_word_for_word(event: bytes, quoted: bytes) -> None:
    short = Short()
    value = short.value(name="Eve", email="e", phone="1")
    before = short.state(recent=((AT_MS - 5, b"older"),), memory=Memory(held={"erp": "x"}))
    after, outgoing = short.taken(before, event.decode(), value=value)
    recent = ((AT_MS - 5, b"older"), (AT_MS, before.value))
    assert after == RecordState(value, 5, (("crm", event.decode(), None),), recent, before.memory)
    assert outgoing == revision(5, event, quoted, b"email,name,phone", value)


def test_a_new_record_word_for_word() -> None:
    short = Short()
    value = short.value()
    after, outgoing = short.taken(None, "seq:0:0001", value=value)
    assert after == RecordState(value, 1, (("crm", "seq:0:0001", None),))
    told = b"credit_limit,customer_id,name"
    assert outgoing == revision(1, b"seq:0:0001", b"seq:0:0001", told, value)


def test_terms_begin_at_their_moment_and_end_before_the_next() -> None:
    short = Short()
    plan = replace(short.plan, since_ms=10, until_ms=20)
    taken = [short.taken(short.state(), plan=plan, at_ms=ms) is not None for ms in (9, 10, 19, 20)]
    assert taken == [False, True, True, False]


@pytest.mark.parametrize(
    ("event", "taken"),
    [
        ("seq:0:0002", True),
        ("seq:0:0002/x", True),
        ("time:0:1", True),
        ("any:0:1", True),
        ("seq:1:0001", False),
        ("plain", False),
        ("seq:0:0001", False),
        ("seq:0:0001/x", False),
        ("seq:0:0000", False),
        ("Zoë", False),
    ],
)
def test_events_that_follow(event: str, *, taken: bool) -> None:
    short = Short()
    assert (short.taken(short.state(), event) is not None) is taken


def test_a_later_count_follows_itself() -> None:
    short = Short()
    assert short.taken(short.state(owners=(("crm", "seq:3:0001", None),)), "seq:3:0002") is not None


@pytest.mark.parametrize(
    ("event", "taken"),
    [("seq:0:1", True), ("time:0:1", True), ("any:0:1", True), ("seq:1:1", False), ("plain", False)],
)
def test_events_that_create(event: str, *, taken: bool) -> None:
    assert (Short().taken(None, event) is not None) is taken


@pytest.mark.parametrize(
    ("key", "taken"),
    [("", False), ("C", True), ("k" * 512, True), ("k" * 513, False), ("Zoë", False)],
)
def test_keys_that_create(key: str, *, taken: bool) -> None:
    short = Short()
    value = short.value(customer_id=key)
    assert (short.taken(None, value=value, key=key.encode()) is not None) is taken


def test_who_may_not_create_does_not() -> None:
    short = Short()
    assert short.taken(None, plan=replace(short.plan, creates=False)) is None
    assert short.taken(short.state(), plan=replace(short.plan, creates=False)) is not None
    assert short.taken(None, value=short.value(customer_id="C-2")) is None, "another key in its value"
    assert short.taken(None, value=short.value()[:-1]) is None, "cut off"


OTHERS = {
    "specversion": ("ce_specversion", b"0.3"),
    "id": ("ce_ID", b"seq:0:0002"),
    "source": ("ce_source", b"/erp"),
    "type": ("ce_type", b"order.upsert"),
    "time": ("ce_when", TIME),
    "fields": ("ce_field", b"*"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_header_must_be_the_usual_one(name: str) -> None:
    short = Short()
    usual = headers_of(b"seq:0:0002")
    assert short.taken(short.state(), headers=usual) is not None
    assert short.taken(short.state(), headers=headers_of(b"seq:0:0002", **{name: OTHERS[name]})) is None
    assert short.taken(short.state(), headers=usual[:-1]) is None
    assert short.taken(short.state(), headers=(*usual, ("more", b"x"))) is None


@pytest.mark.parametrize(
    "time",
    [b"", b"2026-11-24T10:00:00Z", b"2026-11-24T10:00:00.123", b"2026-13-24T10:00:00.123Z", b"x" + TIME],
)
def test_times_that_are_looked_at_closely(time: bytes) -> None:
    short = Short()
    headers = headers_of(b"seq:0:0002", time=("ce_time", time))
    assert short.taken(short.state(), headers=headers) is None


def test_an_event_id_has_a_length() -> None:
    short = Short()
    longest = b"seq:0:" + b"2" * (HEADER_LENGTH_MAX - 6)
    assert short.taken(short.state(), headers=headers_of(longest)) is not None
    assert short.taken(short.state(), headers=headers_of(longest + b"2")) is None
    assert short.taken(short.state(), headers=headers_of(b"")) is None


def test_a_value_has_a_length_and_a_frame() -> None:
    short = Short()
    assert short.taken(short.state(), value=short.value(name="x" * VALUE_LENGTH_MAX)) is None
    assert short.taken(short.state(), value=b"\0\0\0\0\x65" + short.value(name="Eve")[5:]) is None
    usual = headers_of(b"seq:0:0002")
    assert express(short.plan, short.state(), b"C-1", None, usual, AT_MS) is None


def test_what_the_record_must_be() -> None:
    short = Short()
    other_frame = b"\0\0\0\0\x65" + short.value()[5:]
    for value in (None, other_frame, short.value(name="Eve"), short.value(customer_id="C-2", name="Eve")):
        assert short.taken(short.state(value=value)) is None, value
    both = (("crm", "seq:0:0001", None), ("erp", "x", frozenset({"name"})))
    for owners in ((), both, (("crm", "seq:0:0001", frozenset({"name"})),), (("erp", "seq:0:0001", None),)):
        assert short.taken(short.state(owners=owners)) is None, owners


QUESTION = OpenProposal(
    proposal_id="p", case_id=None, field="name", owner="crm", value=b"", opened_ms=1, expires_ms=2
)
PARKED = Parked(
    system="erp",
    event_id="x",
    received_ms=1,
    source_time_ms=1,
    topic="t",
    partition=0,
    offset=0,
    fields=None,
    value=b"",
)
BRAKE = Reasserted(system="erp", field="name", count=1, last_ms=1, pending=True)


@pytest.mark.parametrize(
    ("memory", "taken"),
    [
        (Memory(), True),
        (Memory(held={"crm": "seq:0:0000", "erp": "seq:0:0002"}), True),
        (Memory(reassertions=(BRAKE,)), True),
        (Memory(held={"crm": "seq:0:0002"}), False),
        (Memory(proposals=(QUESTION,)), False),
        (Memory(parked=(PARKED,)), False),
    ],
)
def test_what_waits_beside_the_record(memory: Memory, *, taken: bool) -> None:
    short = Short()
    assert (short.taken(short.state(memory=memory)) is not None) is taken


class Shared(Short):
    """The plan of an owner beside another one."""

    def __init__(self, system: str = "erp") -> None:
        self.bench = Bench(rules=rules_of(map_texts(object_document(), [FLAT]), 7))
        self.plan = self.bench.rules.express[system, "customer"]

    def state(self, **changed: Any) -> RecordState:
        limit = frozenset({"credit_limit"})
        owners = (("crm", "seq:0:0001", None), ("erp", "seq:0:0005", limit))
        return RecordState(self.value(), 4, owners)._replace(**changed)

    def sent(
        self, fields: bytes, event: bytes = b"seq:0:0006", state: RecordState | None = None, **values: Any
    ) -> Any:
        headers = headers_of(event, source=self.plan.source, fields=("ce_fields", fields))
        return self.taken(state or self.state(), headers=headers, value=self.value(**values))


def test_an_owner_beside_another_one_has_its_fields_put_into_the_record() -> None:
    erp, crm = Shared(), Shared("crm")
    after, outgoing = erp.sent(b"credit_limit", name="not the ERP's", credit_limit=9)
    assert after.value == outgoing.body == erp.value(credit_limit=9)
    assert after.owners == (("crm", "seq:0:0001", None), ("erp", "seq:0:0006", frozenset({"credit_limit"})))
    headers = dict(outgoing.headers)
    assert headers["ce_owners"] == b"crm@seq:0:0001;erp@seq:0:0006=credit_limit"
    assert headers["ce_changed"] == b"credit_limit" and headers["ce_causationid"] == b"erp/seq:0:0006"
    assert (after.revision, after.recent[-1][1]) == (5, erp.value())
    full, _ = crm.sent(b"*", name="Eve", phone="1")
    assert full.value == crm.value(name="Eve", phone="1") and full.owners[1] == erp.state().owners[1]


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        (b"*", {"name": "Eve", "credit_limit": 9}),
        (b"credit_limit,name", {"name": "Eve", "credit_limit": 9}),
        (b"name", {"name": "Eve", "credit_limit": 9}),
        (b"credit_limit,other", {"credit_limit": 9}),
        (b"credit_limit", {"name": "Eve"}),
        (b"*,credit_limit", {"credit_limit": 9}),
        (b"", {"credit_limit": 9}),
        (b"\xff", {"credit_limit": 9}),
        (None, {"credit_limit": 9}),
    ],
)
def test_what_an_owner_beside_another_one_must_list(fields: Any, values: Any) -> None:
    assert Shared().sent(fields, **values) is None


def test_fields_of_others_may_come_back_beside_its_own() -> None:
    erp = Shared()
    for fields in (b"*", b"credit_limit,name", b"name,credit_limit,name", b"customer_id,credit_limit"):
        after, outgoing = erp.sent(fields, credit_limit=9)
        assert (
            after.value == erp.value(credit_limit=9)
            and dict(outgoing.headers)["ce_changed"] == b"credit_limit"
        )


def test_named_fields_word_for_word() -> None:
    short, name = Short(), frozenset({"name"})
    value = short.value(name="Eve", email="not named")
    after, outgoing = short.taken(
        short.state(), headers=headers_of(b"seq:0:0002", fields=("ce_fields", b"name")), value=value
    )
    owners = (("crm", "seq:0:0001", None), ("crm", "seq:0:0002", name))
    assert after == RecordState(short.value(name="Eve"), 5, owners, ((AT_MS, short.value()),))
    told = b"seq:0:0001;crm@seq:0:0002=name"
    assert outgoing == revision(5, b"seq:0:0002", told, b"name", short.value(name="Eve"))
    assert short.taken(short.state(owners=owners), "seq:0:0002", value=short.value(name="Eve")) is None
    whole, _ = short.taken(short.state(owners=owners), "seq:0:0003", value=short.value(name="Zoe"))
    assert whole.owners == (("crm", "seq:0:0003", None),)


@pytest.mark.parametrize(
    ("fields", "event", "taken"),
    [
        (b"name", "seq:0:0003", True),
        (b"name", "seq:0:0002", False),
        (b"email", "seq:0:0002", False),  # the same event for other fields: one group, the long way's
        (b"email", "seq:0:0001", False),
        (b"email", "time:0:1", True),
        (b"email", "seq:1:0001", False),
        (b"name,email", "seq:0:0003", True),
        (b"customer_id,name", "seq:0:0003", True),
        (b"credit_limit", "seq:0:0003", False),
        (b"name,no_such", "seq:0:0003", False),
    ],
)
def test_events_that_follow_what_was_said_of_these_fields(fields: bytes, event: str, *, taken: bool) -> None:
    crm = Shared("crm")
    groups = (("crm", "seq:0:0001", None), ("crm", "seq:0:0002", frozenset({"name"})))
    state = crm.state(owners=(*groups, crm.state().owners[1]))
    sent = crm.sent(fields, event.encode(), state=state, name="Eve", email="e", credit_limit=9)
    assert (sent is not None) is taken


def test_what_was_said_in_an_earlier_term_is_the_long_ways() -> None:
    erp, limit = Shared(), frozenset({"credit_limit"})
    never = (("crm", "seq:0:0001", None), ("erp", "", limit))
    for memory, taken in ((Memory(), True), (Memory(former=(("erp", "seq:0:0009", limit),)), False)):
        state = erp.state(owners=never, memory=memory)
        assert (erp.sent(b"*", credit_limit=9, state=state) is not None) is taken
    crm, name = Shared("crm"), frozenset({"name"})
    owners = (("crm", "seq:0:0001", None), ("crm", "", name), crm.state().owners[1])
    for fields, taken in ((b"name", False), (b"*", False), (b"email", True)):
        memory = Memory(former=(("crm", "seq:0:0009", name),))
        sent = crm.sent(fields, name="Eve", email="e", state=crm.state(owners=owners, memory=memory))
        assert (sent is not None) is taken, fields


def test_the_key_is_of_this_record_where_it_is_listed() -> None:
    erp, crm = Shared(), Shared("crm")
    assert crm.sent(b"*", customer_id="C-2", name="Eve") is None
    assert erp.sent(b"customer_id,credit_limit", customer_id="C-2", credit_limit=9) is None
    after, _ = erp.sent(b"credit_limit", customer_id="C-2", credit_limit=9)
    assert after.value == erp.value(credit_limit=9), "what is not listed is not read"


def test_whose_the_fields_are_is_as_today() -> None:
    erp, limit = Shared(), frozenset({"credit_limit"})
    crm = ("crm", "seq:0:0001", None)
    others = frozenset({"credit_limit", "phone"})
    for owners in ((crm,), (crm, ("billing", "seq:0:0005", limit)), (crm, ("erp", "seq:0:0005", others)), ()):
        assert erp.sent(b"credit_limit", credit_limit=9, state=erp.state(owners=owners)) is None, owners
    assert erp.sent(b"credit_limit", b"seq:0:0005", credit_limit=9) is None, "its own last event counts"
    first, _ = erp.sent(
        b"credit_limit", b"seq:0:0001", credit_limit=9, state=erp.state(owners=(crm, ("erp", "", limit)))
    )
    assert first.owners[1] == ("erp", "seq:0:0001", limit)


def test_what_it_said_in_an_earlier_term_only_the_long_way_knows() -> None:
    former = Memory(former=(("crm", "seq:0:0007", frozenset({"name"})),))
    short = Short()
    never_since = short.state(owners=(("crm", "", None),), memory=former)
    assert short.taken(never_since) is None
    assert short.taken(short.state(memory=former)) is not None


def test_creating_where_fields_have_several_owners_takes_the_long_way() -> None:
    crm = Shared("crm")
    headers = headers_of(b"seq:0:0002", fields=("ce_fields", b"*"))
    assert crm.taken(None, headers=headers) is None
