"""The invariants of design section 6 over whole histories (I1 to I7), and that the log says what the slot knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import NO_RECORD, RecordState
from broker.lane.fold import remembering
from broker.lane.judged import Judged
from broker.lane.ledger import verify
from broker.rules import Rules, rules_of
from ownership.map import OwnershipMap
from schemas.authoritative import format_owners, parse_authoritative, parse_owners
from schemas.version import version_of
from tests.gate_parts import BESIDE_AN_OUTCOME, FLAT, T0, Bench, Record, encoded, map_texts
from tests.histories import FEWER, changing_laws, histories, laws, record_of, rules_of_law
from tests.oracle_words import Again, Law, Step, Write
from tests.reopened import SHELF, reopened

pytestmark = pytest.mark.timeout(900)

History = list[Step]


def told(law: Law, history: History, cuts: Sequence[int] = (), rules: Rules | None = None) -> Bench:
    """The history judged in batches of the given sizes, the rest one by one."""
    bench = Bench(rules=rules or rules_of_law(law))
    records = [record_of(bench, step) for step in history]
    for size in cuts:
        batch, records = records[:size], records[size:]
        if batch:
            bench.judge(*batch)
    for record in records:
        bench.judge(record)
    return bench


def authoritative(bench: Bench) -> Iterable[Outgoing]:
    return (o for _, o in bench.written if o.destination is Destination.AUTHORITATIVE)


@FEWER
@given(law=laws(), history=histories())
def test_what_holds_after_every_history(law: Law, history: History) -> None:
    bench = told(law, history)
    only_the_owners_values_are_authoritative(bench, law, history)
    every_change_has_one_outcome(bench, history)
    revisions_rise_and_versions_never_fall(bench, law)
    cases_carry_the_original_bytes(bench)
    the_log_says_what_the_slot_knows(bench)


def only_the_owners_values_are_authoritative(bench: Bench, law: Law, history: History) -> None:
    # I1: every value of every revision was sent by its field's owner, or is null because nobody sent one
    sent: dict[str, set[Any]] = {name: {None} for name in law.owners}
    for step in history:
        if isinstance(step, Write) and not step.deletes:
            for name in law.owned_by(step.system) & set(step.values):
                sent[name].add(step.values[name])
    for outgoing in authoritative(bench):
        if outgoing.body is not None:
            assert isinstance(outgoing.body, bytes)
            for name, value in bench.rules.readers["customer"].decode(outgoing.body).items():
                assert value in sent[name], name


def every_change_has_one_outcome(bench: Bench, history: History) -> None:
    # I2, I3: one ledger record per batch; account, positions and chain hold together
    account: Counter[str] = sum((Counter(record["account"]) for record in bench.ledger), Counter())
    assert account.total() == sum(isinstance(step, Write) for step in history)
    assert sum(record["commands"] for record in bench.ledger) == sum(
        not isinstance(s, Write) for s in history
    )
    assert verify(bench.ledger) == []
    assert sum(record["revisions"] for record in bench.ledger) == len(list(authoritative(bench)))
    assert bench.memory.positions == {f"{topic}/0": offset for topic, offset in bench.offsets.items()}


def revisions_rise_and_versions_never_fall(bench: Bench, law: Law) -> None:
    # I4
    revision: Counter[bytes] = Counter()
    last: dict[tuple[bytes, str, str], str] = {}
    for outgoing in authoritative(bench):
        envelope = parse_authoritative(outgoing.headers)
        revision[outgoing.key] += 1
        assert envelope.revision == revision[outgoing.key]
        state = RecordState(owners=envelope.owners)
        for name, owner in law.owners.items():
            event = state.version_of(owner, name)
            before = last.get((outgoing.key, owner, name))
            if event and before:
                assert not version_of(event).older_than(version_of(before)), name
            if event:
                last[outgoing.key, owner, name] = event


def cases_carry_the_original_bytes(bench: Bench) -> None:
    # I6
    log = {(record.topic, record.offset): record for record in bench.log}
    for _, outgoing in bench.written:
        encoded(outgoing)
        if outgoing.destination is Destination.QUARANTINE:
            assert isinstance(outgoing.body, dict)
            if outgoing.body["reason"] in BESIDE_AN_OUTCOME:
                continue  # not a change of its own
            record = log[outgoing.body["topic"], outgoing.body["offset"]]
            assert outgoing.body["value"] == record.value and outgoing.key == record.key
            expired = outgoing.body["reason"] == "parked_expired"
            assert expired or outgoing.body["headers"] == dict(record.headers)


def the_log_says_what_the_slot_knows(bench: Bench) -> None:
    # I3: a slot that opens finds in authoritative and state what the slot before it knew
    found, known = reopened(bench), bench.memory.states.get(SHELF, {})
    assert found.states.get(SHELF, {}) == known
    assert found.connections.get(SHELF, {}) == bench.memory.connections.get(SHELF, {})
    for state in known.values():
        if state.value is None and state.memory.grave is not None:
            assert remembering(NO_RECORD, state.memory) == state, "its tombstone may be compacted away"


@FEWER
@given(law=laws(), history=histories(), cuts=st.lists(st.integers(1, 9), max_size=4))
def test_batches_make_no_difference(law: Law, history: History, cuts: list[int]) -> None:
    # I5
    one, other = told(law, history), told(law, history, cuts)
    every_change_has_one_outcome(other, history)
    assert [o for _, o in one.written] == [o for _, o in other.written]
    assert one.memory.states == other.memory.states
    assert one.memory.gate_time_ms == other.memory.gate_time_ms
    waiting = {key for keys in one.memory.waiting.values() for key in keys}
    assert waiting == {key for keys in other.memory.waiting.values() for key in keys}


@FEWER
@given(law=laws(), history=histories())
def test_a_batch_that_was_not_committed_leaves_no_trace(law: Law, history: History) -> None:
    # I3: judged again after a crash, the same comes of it
    bench = Bench(rules=rules_of_law(law))
    for step in history:
        record = record_of(bench, step)
        before = replace(bench.memory, states={shelf: dict(s) for shelf, s in bench.memory.states.items()})
        lost = _judged(bench, record)
        assert bench.memory == before
        kept = bench.judge(record)
        assert (lost.outgoing, lost.ledger) == (kept.outgoing, kept.ledger)


def _judged(bench: Bench, record: Record) -> Judged:
    from broker.lane.judge import Judge

    return Judge(bench.memory, "worker").judge(bench.rules, [record])


@FEWER
@given(history=histories())
def test_without_a_map_nothing_is_accepted(history: History) -> None:
    # I7
    rules = rules_of(map_texts(), 1)
    bench = Bench(
        rules=replace(rules, ownership_map=OwnershipMap(version=1, digest=""), readers={}, express={})
    )
    maker = Bench(rules=rules)
    for step in history:
        bench.judge(record_of(maker, step))
    assert not list(authoritative(bench)) and not bench.memory.states.get(("customer", 0))
    account: Counter[str] = sum((Counter(record["account"]) for record in bench.ledger), Counter())
    assert account.keys() <= {"quarantined"}


@FEWER
@given(law=laws(), history=histories())
def test_who_owns_nothing_changes_nothing(law: Law, history: History) -> None:
    # I7: an unlisted system and one without a field leave every value as it is
    bench = told(law, [s for s in history if isinstance(s, Write) and s.system in ("ghost", "billing")])
    assert all(
        state.value is None and state.revision == 0
        for state in bench.memory.states.get(("customer", 0), {}).values()
    )


# -- the short way


def flat(history: History) -> History:
    def step(one: Step) -> Step:
        if isinstance(one, Again):
            again = step(one.write)
            assert isinstance(again, Write)
            return replace(one, write=again)
        if not isinstance(one, Write) or one.deletes:
            return one
        limit = one.values["credit_limit"]
        return replace(one, values=one.values | {"credit_limit": None if limit is None else int(limit)})

    return [step(one) for one in history]


@FEWER
@given(law=laws() | changing_laws(), history=histories())
def test_the_short_way_is_the_long_way(law: Law, history: History) -> None:
    rules = rules_of_law(law, FLAT)
    short = told(law, flat(history), rules=rules)
    long = told(law, flat(history), rules=replace(rules, express={}, echoes={}))
    assert short.memory.states == long.memory.states
    assert [_plain(o) for _, o in short.written] == [_plain(o) for _, o in long.written]
    assert short.ledger == long.ledger


def _plain(outgoing: Outgoing) -> Outgoing:
    return outgoing._replace(headers=tuple(outgoing.headers))


def change_of_bytes(value: bytes) -> st.SearchStrategy[bytes]:
    """The value with one byte changed, put in or taken out."""
    place, byte = st.integers(5, len(value)), st.integers(0, 255)
    return st.builds(
        lambda at, new, cut, put: value[:at] + (bytes([new]) if put else b"") + value[at + cut :],
        place,
        byte,
        st.integers(0, 2),
        st.booleans(),
    )


@FEWER
@given(data=st.data(), again=st.booleans())
def test_the_short_way_reads_what_the_long_way_reads(data: st.DataObject, *, again: bool) -> None:
    law = Law(
        dict.fromkeys(("customer_id", "name", "email", "phone", "credit_limit"), "crm"), "crm", "crm", {}, {}
    )
    rules = rules_of_law(law, FLAT)
    first = {"name": "Ada", "email": "Zoë", "phone": None, "credit_limit": 300}
    ways = []
    value = None
    for way in (rules, replace(rules, express={}, echoes={})):
        bench = Bench(rules=way)
        if again:
            bench.judge(bench.upsert("crm", "seq:0:01", first))
        record = bench.upsert("crm", "seq:0:02", first)
        value = value or data.draw(change_of_bytes(record.value or b""))
        record.value = value
        seen = bench.see(record)
        ways.append((seen.outcome, seen.after, [_plain(o) for o, _ in seen.judged.outgoing]))
    assert ways[0] == ways[1]


EVENT = st.text(st.characters(codec="utf-8"), max_size=20)
NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
FIELD = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
OWNER = st.tuples(NAME, EVENT, st.none() | st.frozensets(FIELD, min_size=1))


@FEWER
@given(owners=st.lists(OWNER, max_size=5).map(tuple))
@example(owners=(("crm", "a;b=c%3D%253B@/", None),))
def test_owners_are_read_as_they_were_written(owners: Any) -> None:
    assert parse_owners(format_owners(owners)) == owners


def test_the_gates_time_never_goes_back() -> None:
    bench = Bench()
    bench.judge(bench.tick(at_ms=T0 + 5), bench.tick(at_ms=T0))
    bench.judge(bench.tick(at_ms=T0 + 1))
    assert bench.memory.gate_time_ms == T0 + 5
