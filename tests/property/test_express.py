"""The short way gives exactly what the long way gives: same records, same states, same ledger, for any history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lane import judge as judge_module
from broker.lane.judge import Judge
from broker.lane.memory import SlotMemory
from broker.rules import Rules, rules_of
from schemas.codec import Codec
from schemas.contract import make_contract
from schemas.envelope import change_headers
from schemas.errors import SchemaError
from schemas.keys import partition_of
from schemas.spans import blank_of, differences_of, merging_of
from tests.gate_parts import CUSTOMER, Record

MAP = Path(__file__).parents[2] / "benchmarks" / "map"
DOCUMENTS = {path.name: path.read_text() for path in MAP.iterdir() if path.suffix != ".py"}
RULES = rules_of(DOCUMENTS, 7)


def long(rules: Rules) -> Rules:
    return replace(rules, express={}, echoes={})


LONG = long(RULES)
OWNED = (
    "{email: {system_of_record: shop}}",
    "{name: {system_of_record: shop}, phone: {system_of_record: shop}}",
)
SHARED = [
    rules_of(DOCUMENTS | {"account.yaml": f"{DOCUMENTS['account.yaml']}fields: {owned}\n"}, 7)
    for owned in OWNED
]
"""Maps under which an object's fields have two owners."""
NAMED = (None, None, ["name"], ["name", "phone"], ["account_id", "email"], ["email", "notes"], ["no_such"])
FIELDS = ("name", "email", "phone", "street", "city", "postcode", "notes")


values = st.sampled_from([None, "a", "a", "a", "a", "b", "b", "", "é", "x" * 70, "y" * 9000])


@st.composite
def records(draw: Any, offset: int) -> Record:
    """Mostly a usual one: how unusual ones go is seen often enough, and they lead nowhere."""
    key = draw(st.sampled_from(["A-1", "A-1", "A-1", "A-2", "Zoë"]))
    system = draw(st.sampled_from(["crm", "crm", "crm", "shop"]))
    deletes = draw(st.integers(0, 20)) == 0
    record = {"account_id": draw(st.sampled_from([*[key] * 9, "other"]))} | {
        f: draw(values) for f in FIELDS[:3]
    }
    value = RULES.codec.encode(200, dict.fromkeys(FIELDS) | record)
    cut = draw(st.sampled_from([*[0] * 10, 1, 7]))
    others = ["time:0:%04d/x", "any:0:%d", "id=%d;100%%", "seq:1:%04d"]
    event = draw(st.sampled_from([*["seq:0:%04d"] * 9, *others]))
    number = draw(st.sampled_from([offset, offset, offset, offset, draw(st.integers(0, 6))]))
    headers = change_headers(
        event_id=event % number,
        system=draw(st.sampled_from([*[system] * 9, "erp"])),
        object_name="account",
        time_ms=1_764_000_000_000 + draw(st.integers(0, 5000)),
        fields=draw(st.sampled_from(NAMED)),
        deletes=deletes,
    )
    if draw(st.integers(0, 19)) == 0:
        headers[draw(st.integers(0, len(headers) - 1))] = draw(
            st.sampled_from([("ce_time", b"2026-13-45T10:00:00.000Z"), ("ce_time", b"noon"), ("extra", b"1")])
        )
    if draw(st.integers(0, 19)) == 0:
        headers.reverse()
    partition = partition_of(key.encode(), 4) if draw(st.integers(0, 19)) else 0
    return Record(
        f"changes.{system}.account",
        partition,
        offset,
        1_764_000_000_000 + offset * 1000,
        key.encode(),
        None if deletes else value[: len(value) - cut],
        tuple(headers),
    )


@st.composite
def histories(draw: Any) -> list[Record]:
    """Records, and now and then one of before as another system sends it back."""
    history: list[Record] = []
    for offset in range(draw(st.integers(1, 25))):
        made = draw(records(offset))
        if history and draw(st.integers(0, 5)) == 0:
            of = draw(st.sampled_from(history))
            made = replace(made, key=of.key, value=of.value, partition=of.partition)
        history.append(made)
    return history


maps = st.sampled_from([RULES, *SHARED])


@given(histories(), maps, maps, st.integers(0, 25))
def test_the_short_way_is_the_long_way(history: list[Record], first: Rules, then: Rules, turn: int) -> None:
    """Also where another map comes into force in between."""
    told = {}
    for way in ("short", "long"):
        memory = SlotMemory(slot=0, partitions={"account": 4})
        judge = Judge(memory, "worker")
        outgoing, ledgers = [], []
        for number, record in enumerate(history):
            rules = first if number < turn else then
            judged = judge.judge(rules if way == "short" else long(rules), [record])
            judge.keep(judged)
            outgoing += [
                (o._replace(headers=tuple(o.headers)), partition) for o, partition in judged.outgoing
            ]
            ledgers.append(judged.ledger)
        told[way] = (outgoing, ledgers, memory.states)
    assert told["short"] == told["long"]


def test_the_short_way_is_taken_where_it_can_be() -> None:
    judge = Judge(SlotMemory(slot=0, partitions={"account": 4}), "worker")
    for offset, name in enumerate(("a", "b")):
        value = RULES.codec.encode(200, dict.fromkeys(FIELDS) | {"account_id": "A-1", "name": name})
        headers = change_headers(
            event_id=f"seq:0:{offset:04d}",
            system="crm",
            object_name="account",
            time_ms=1_764_000_000_000,
            fields=None,
        )
        place = partition_of(b"A-1", 4)
        record = Record(
            "changes.crm.account", place, offset, 1_764_000_000_000 + offset, b"A-1", value, tuple(headers)
        )
        judged = judge.judge(RULES, [record])
        judge.keep(judged)
        assert not judged.reasons, "the long way counts reasons; the short way has none"
        assert judged.account == {"accepted": 1}


def test_an_echo_takes_the_short_way_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    place, value = (
        partition_of(b"A-1", 4),
        RULES.codec.encode(200, dict.fromkeys(FIELDS) | {"account_id": "A-1"}),
    )

    def record(system: str, offset: int, event: str) -> Record:
        headers = change_headers(
            event_id=event, system=system, object_name="account", time_ms=1_764_000_000_000, fields=None
        )
        at = 1_764_000_000_000 + offset
        return Record(f"changes.{system}.account", place, offset, at, b"A-1", value, tuple(headers))

    for rules in (LONG, RULES):  # whether a count that began anew is confirmed, the long way knows
        judge = Judge(SlotMemory(slot=0, partitions={"account": 4}), "worker")
        judge.keep(judge.judge(rules, [record("crm", 0, "seq:0:01"), record("shop", 1, "seq:0:02")]))
        assert judge.judge(rules, [record("shop", 2, "seq:1:01")]).account == {"quarantined": 1}
    seen = []
    for rules in (LONG, RULES):
        judge = Judge(SlotMemory(slot=0, partitions={"account": 4}), "worker")
        judge.keep(judge.judge(rules, [record("crm", 0, "seq:0:01")]))
        if rules is RULES:
            monkeypatch.setattr(judge_module, "decide", None)  # whoever takes the long way fails
        judged = judge.judge(rules, [record("shop", 1, "seq:0:01"), record("shop", 2, "seq:0:02")])
        assert judged.account == {"echo": 2}
        seen.append((judged.outgoing, judged.reasons, judged.ledger["decisions_digest"]))
    assert seen[0] == seen[1]
    assert [line.body["revision"] for line, _ in seen[0][0]] == [1, 1]


CONTRACT = replace(
    make_contract(
        {
            "type": "record",
            "name": "walked",
            "fields": [
                {"name": "key", "type": "string"},
                {"name": "text", "type": ["null", "string"]},
                {"name": "count", "type": ["long", "null"]},
                {"name": "flag", "type": "boolean"},
                {"name": "size", "type": "int"},
            ],
        },
        300,
    ),
    key_field="key",
)
walked = st.fixed_dictionaries(
    {
        "key": st.text(max_size=300),
        "text": st.one_of(st.none(), st.text(max_size=20000)),
        "count": st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        "flag": st.booleans(),
        "size": st.integers(-(2**31), 2**31 - 1),
    }
)
CODEC = Codec({300: CONTRACT.schema})


@given(walked, walked, st.binary(max_size=3), st.integers(0, 400))
def test_what_is_walked_can_be_decoded(
    record: dict[str, Any], other: dict[str, Any], noise: bytes, place: int
) -> None:
    differences, blank = differences_of(CONTRACT), blank_of(CONTRACT)
    assert differences is not None and blank is not None
    known = CODEC.encode(300, other)
    if differences(known, blank.of(b"")) is None:
        return
    value = CODEC.encode(300, record)
    place = 5 + place % len(value)
    for given_ in (value, value[:place] + noise + value[place + len(noise) :]):
        found = differences(given_, known)
        if found is None:
            continue
        try:
            decoded = CODEC.decode(given_)
        except SchemaError as error:
            raise AssertionError(f"walked, but not decoded: {error}") from error
        assert CODEC.encode(300, decoded) == given_, "equal values have equal bytes"
        assert found == sum(
            1 << bit for bit, name in enumerate(CONTRACT.fields) if decoded[name] != other[name]
        )
        assert differences(given_, given_) == 0


@given(walked, walked, st.sets(st.sampled_from(CONTRACT.fields)), st.binary(max_size=3), st.integers(0, 800))
def test_what_is_merged_is_what_encoding_gives(
    record: dict[str, Any], there: dict[str, Any], taken: set[str], noise: bytes, place: int
) -> None:
    merging = merging_of(CONTRACT)
    assert merging is not None
    bits = sum(1 << CONTRACT.fields.index(name) for name in taken)
    given_, known = CODEC.encode(300, record), CODEC.encode(300, there)
    place = 5 + place % (2 * len(given_))  # half of the time nothing is spoiled
    for new, old in (
        (given_, known),
        (given_[:place] + noise + given_[place + len(noise) :], known),
        (known, given_[:place]),
    ):
        differs, merged = merging(new, old, bits)
        if differs is None:
            assert merged == old
            continue
        told, before = CODEC.decode(new), CODEC.decode(old)
        assert merged == CODEC.encode(300, before | {name: told[name] for name in taken})
        assert differs == sum(
            1 << bit for bit, name in enumerate(CONTRACT.fields) if told[name] != before[name]
        )


def test_a_contract_that_cannot_be_walked_has_no_short_way() -> None:
    decoded = replace(make_contract(CUSTOMER, 301), key_field="customer_id")
    assert merging_of(decoded) is None and differences_of(decoded) is None
    assert blank_of(decoded) is None
