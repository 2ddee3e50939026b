"""What another map would decide: every change that comes out otherwise is counted, and no other."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from broker.gate.outgoing import Destination
from broker.gate.state import RecordState
from broker.lane import judge as judge_module
from broker.lane import short_ways
from broker.lane.flips import SAMPLES_MAX, Flip, Flips, SideBySide, states_before
from broker.lane.judge import Judge
from broker.lane.memory import SlotMemory
from broker.rules import FOREVER_MS, Rules, rules_of
from tests.gate_parts import CUSTOMER, FLAT, T0, Bench, Record, map_texts, object_document

SHELF = ("customer", 0)
BEFORE: dict[str, Any] = {}
EMAIL: dict[str, Any] = {
    "fields": {"credit_limit": {"system_of_record": "erp"}, "email": {"system_of_record": "erp"}}
}
OTHERS: list[dict[str, Any]] = [
    EMAIL,
    {"fields": {}},
    {"system_of_record": "erp", "create": "erp", "delete": {"authority": "erp"}},
    {"systems": {"crm": {"read": "all"}, "erp": {"read": "all", "on_violation": "reject"}}},
    {"systems": {"crm": {"read": "all"}, "erp": {"read": "all", "state": "observe"}}},
]


CONTRACTS = {"decoded": CUSTOMER, "walked": FLAT}
"""Of the second, most takes the short ways, which both sides share."""


def rules(version: int, contract: dict[str, Any] = CUSTOMER, **document: Any) -> Rules:
    return rules_of(map_texts(object_document(**document), (contract,)), version)


def sides(
    after: dict[str, Any],
    states: dict[bytes, RecordState] | None = None,
    contract: dict[str, Any] = CUSTOMER,
) -> SideBySide:
    return SideBySide(rules(1, contract), rules(2, contract, **after), SHELF, 1, states or {})


def traffic(seed: int, count: int = 400, contract: dict[str, Any] = CUSTOMER) -> list[Record]:
    """Changes of all kinds of three systems, in order of arrival."""
    bench, dice = Bench(rules=rules(1, contract)), random.Random(seed)
    made: list[Record] = []
    for number in range(count):
        system = dice.choice(("crm", "crm", "erp", "billing"))
        key, event = f"C-{dice.randrange(12)}", f"seq:0:{dice.randrange(number + 1):06d}"
        values = {"name": f"N{dice.randrange(4)}", "email": f"e{dice.randrange(4)}", "credit_limit": None}
        fields = dice.choice((None, ["name"], ["email"], ["name", "email"]))
        if dice.random() < 0.05:
            made.append(bench.delete(system, event, key=key))
        elif dice.random() < 0.05:
            made.append(bench.upsert(system, event, {}, key=key, value=b"\0\0\0\0\x64nonsense"))
        else:
            made.append(bench.upsert(system, event, values, fields=fields, key=key))
    return made


def one_by_one(
    law: Rules, records: list[Record], states: dict[bytes, RecordState] | None = None
) -> list[str]:
    """Outcome and reason of each change, judged in a batch of its own and at length."""
    memory = SlotMemory(slot=0, partitions={"customer": 1}, states={SHELF: dict(states or {})})
    bench = Bench(rules=replace(law, express={}, echoes={}), memory=memory)
    found = []
    for record in records:
        seen = bench.see(record)
        found.append(f"{seen.outcome}: {seen.reason}" if seen.reason else seen.outcome)
    return found


def cases(law: Rules, records: list[Record]) -> list[Any]:
    """What somebody would have to review."""
    judged = Judge(SlotMemory(slot=0, partitions={"customer": 1}), "w").judge(law, records)
    return [outgoing for outgoing, _ in judged.outgoing if outgoing.destination is Destination.QUARANTINE]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
@pytest.mark.parametrize("after", OTHERS, ids=[str(sorted(one)) for one in OTHERS])
@pytest.mark.parametrize("seed", range(3))
def test_what_flips_is_what_judging_each_change_by_itself_says(
    after: dict[str, Any], seed: int, contract: dict[str, Any]
) -> None:
    records = traffic(seed, contract=contract)
    told = sides(after, contract=contract)
    for start in range(0, len(records), 50):  # states are carried from batch to batch
        told.judge(records[start : start + 50])
    laws = rules(1, contract), rules(2, contract, **after)
    was, now = [one_by_one(law, records) for law in laws]
    expected = Counter(
        (record.topic.split(".")[1], before, then)
        for record, before, then in zip(records, was, now, strict=True)
        if before != then
    )
    found: Counter[tuple[str, str, str]] = Counter()
    for flip, count in told.found.counts.items():
        found[flip.system, flip.before, flip.after] += count
    assert found == expected and expected, "a map that changes nothing proves nothing"
    assert told.found.judged == len(records)
    assert list(told.found.reviewed) == [len(cases(law, records)) for law in laws]


@pytest.mark.parametrize("after", OTHERS, ids=[str(sorted(one)) for one in OTHERS])
@pytest.mark.parametrize("seed", range(4))
def test_records_that_were_there_are_judged_under_the_new_terms(after: dict[str, Any], seed: int) -> None:
    laws, records = (rules(1, FLAT), rules(2, FLAT, **after)), traffic(seed, contract=FLAT)
    judge = Judge(SlotMemory(slot=0, partitions={"customer": 1}), "w")
    judge.keep(judge.judge(laws[0], records[:150]))
    states = dict(judge.memory.states[SHELF])
    told = sides(after, states, FLAT)
    for start in range(150, len(records), 50):
        told.judge(records[start : start + 50])
    was, now = [one_by_one(law, records[150:], states) for law in laws]
    expected = Counter((one, other) for one, other in zip(was, now, strict=True) if one != other)
    found: Counter[tuple[str, str]] = Counter()
    for flip, count in told.found.counts.items():
        found[flip.before, flip.after] += count
    assert found == expected and expected


def test_a_field_that_is_given_away_leaves_most_to_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the first change of a record under the new terms, and though the two plans differ."""
    bench = Bench(rules=rules(1, FLAT, fields={}))
    records = [
        bench.upsert("crm", f"seq:0:{n:02d}", {"name": f"N{n}"}, key=f"C-{n % 3}") for n in range(1, 30)
    ]
    judge = Judge(SlotMemory(slot=0, partitions={"customer": 1}), "w")
    judge.keep(judge.judge(rules(1, FLAT, fields={}), records[:6]))
    told = SideBySide(
        rules(1, FLAT, fields={}), rules(2, FLAT, **EMAIL), SHELF, 1, dict(judge.memory.states[SHELF])
    )
    monkeypatch.setattr(judge_module, "decide", None)  # whoever takes the long way fails
    told.judge(records[6:])
    assert told.found.judged == 23 and not told.found.counts


def test_what_both_sides_find_alike_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    real = short_ways.advance
    monkeypatch.setattr(short_ways, "advance", lambda *given: walked.append(given[2]) or real(*given))
    bench = Bench(rules=rules(1, FLAT, fields={}))
    records = [
        bench.upsert("crm", f"seq:0:{n:02d}", {"name": f"N{n}"}, key=f"C-{n % 3}") for n in range(1, 30)
    ]
    for after, times in (
        ({"on_violation": "reject"}, 1),
        ({"on_violation": "reject", "state": "observe"}, 1),
    ):
        walked.clear()
        erp = {"systems": {"crm": {"read": "all"}, "erp": {"read": "all", **after}}}
        law = rules(1, FLAT, fields={}), rules(2, FLAT, fields={}, **erp)
        SideBySide(*law, SHELF, 1, {}).judge(records)
        assert len(walked) == times * len(records)
    longer = {
        **FLAT,
        "fields": [*FLAT["fields"], {"name": "more", "type": ["null", "string"], "default": None}],
    }
    for law in (
        (rules(1, FLAT, fields={}), rules(2, longer, fields={})),  # another contract: other bytes
        (rules(1, FLAT, fields={}), rules(2, FLAT, fields={"email": {"system_of_record": "erp"}})),
    ):
        walked.clear()
        SideBySide(*law, SHELF, 1, {}).judge(records)
        assert len(walked) == 2 * len(records)


def test_records_that_share_headers_are_told_apart() -> None:
    bench = Bench(rules=rules(1, FLAT, fields={}))
    one = bench.upsert("crm", "seq:0:01", {"name": "Ada"}, key="C-1")
    other = bench.upsert("crm", "seq:0:01", {"name": "Eve"}, key="C-2")
    other.headers = one.headers
    told = SideBySide(rules(1, FLAT, fields={}), rules(2, FLAT, fields={}), SHELF, 1, {})
    told.judge([one, other])
    told.judge([bench.upsert("crm", "seq:0:02", {"name": "Ida"}, key="C-1")])
    assert not told.found.counts


@pytest.mark.parametrize("seed", range(3))
def test_the_same_map_flips_nothing(seed: int) -> None:
    told = sides(BEFORE, contract=FLAT)
    told.judge(traffic(seed, contract=FLAT))
    assert not told.found.counts and told.found.judged == 400


def test_a_flip_names_its_fields_and_where_it_is_seen() -> None:
    bench = Bench()
    told = sides(EMAIL)
    records = [bench.upsert("crm", "seq:0:01", {"name": "Ada", "email": "a"})]
    records += [
        bench.upsert("crm", f"seq:0:{n:02d}", {"email": f"e{n}"}, fields=["email"]) for n in range(2, 12)
    ]
    told.judge(records)
    flip = Flip("customer", "crm", "email", "accepted", "quarantined: not_owner")
    assert told.found.counts[flip] == 10
    assert told.found.samples[flip][0] == "changes.crm.customer/0/1 seq:0:02"
    assert len(told.found.samples[flip]) == SAMPLES_MAX


def test_terms_of_a_moment_can_hold_all_the_time() -> None:
    rule = {"field": "email", "to": "erp", "valid_from": "2099-01-01T00:00:00Z"}
    texts = map_texts(object_document(handover=[rule]))
    for at_ms, owner in ((T0, "crm"), (FOREVER_MS, "erp")):
        entry = rules_of(texts, 1, at_ms).ownership_map.objects["customer"]
        assert entry.at(0).owner_of("email") == entry.at(FOREVER_MS).owner_of("email") == owner
    assert rules_of(texts, 1).ownership_map.objects["customer"].at(FOREVER_MS).owner_of("email") == "erp"


def test_states_at_a_moment_from_what_compaction_left() -> None:
    bench = Bench()
    for number in range(4):
        bench.judge(bench.upsert("crm", f"seq:0:{number:02d}", {"name": f"N{number}"}, key="C-1"))
    bench.judge(bench.upsert("crm", "seq:0:09", {"name": "new"}, key="C-2"))
    written = [
        Record("authoritative.customer", 0, n, at, out.key, out.body, tuple(out.headers))  # type: ignore[arg-type]
        for n, (at, out) in enumerate(bench.written)
        if out.destination == "authoritative"
    ]
    exact, begun = states_before(written, written[2].timestamp)
    assert begun == 0 and exact[b"C-1"].revision == 2 and b"C-2" not in exact, "created since: not there then"
    compacted, begun = states_before(written[3:], written[2].timestamp)
    assert begun == 1 and compacted[b"C-1"].revision == 4 and b"C-2" not in compacted
    assert compacted[b"C-1"].version_of("crm", "name") == "", "as if nothing had been heard of it"
    late = sides({"system_of_record": "erp", "create": "erp", "delete": {"authority": "erp"}}, compacted)
    late.judge([bench.upsert("crm", "seq:0:03", {"name": "N3 again"}, fields=["name"])])
    ((flip, count),) = late.found.counts.items()
    assert (flip.before, flip.after.split(":")[0], count) == ("accepted", "quarantined", 1)


def test_what_was_found_of_many_partitions_adds_up() -> None:
    flip = Flip("customer", "crm", "email", "accepted", "stale")
    parts = [
        Flips(judged=3, counts=Counter({flip: 2}), samples={flip: ["a", "b", "c"]}, reviewed=(1, 2), begun=1)
        for _ in range(3)
    ]
    whole = Flips()
    for part in parts:
        whole.add(part)
    assert (whole.judged, whole.counts[flip], whole.reviewed, whole.begun) == (9, 6, (3, 6), 3)
    assert whole.samples[flip] == ["a", "b", "c", "a", "b"]
