"""The wire under random and hostile bytes: what is written is read, and nothing but the promised errors is raised."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lane.ledger import chain_of, verify
from schemas.codec import Codec
from schemas.contract import make_contract
from schemas.envelope import change_headers, parse_change
from schemas.errors import MalformedEnvelope, SchemaError, UnreadableValue
from schemas.keys import murmur2, partition_of
from schemas.registry import envelopes
from schemas.walk import walker_of
from tests.envelopes import ledger
from tests.gate_parts import CUSTOMER, FIELDS, MONEY, Bench, encoded

pytestmark = pytest.mark.timeout(300)

RICH: dict[str, Any] = {
    "type": "record",
    "name": "rich",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "money", "type": ["null", MONEY]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "prices", "type": {"type": "map", "values": ["null", "double"]}},
        {"name": "colour", "type": {"type": "enum", "name": "colour", "symbols": ["RED", "BLUE"]}},
        {
            "name": "address",
            "type": ["null", {"type": "record", "name": "a", "fields": [{"name": "zip", "type": "int"}]}],
        },
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "flag", "type": "boolean"},
        {"name": "hash", "type": {"type": "fixed", "name": "hash", "size": 4}},
    ],
}
CODEC = Codec({100: make_contract(CUSTOMER, 100).schema, 101: make_contract(RICH, 101).schema})
WALKS = {number: walker_of(CODEC.schema(number)) for number in (100, 101)}
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
LIMITS = st.decimals(Decimal("-99999999999999.99"), Decimal("99999999999999.99"), places=2)
CUSTOMERS = st.fixed_dictionaries(
    {name: st.none() | TEXT for name in FIELDS[1:4]}
    | {"customer_id": TEXT, "credit_limit": st.none() | LIMITS}
)
RICHES = st.fixed_dictionaries(
    {
        "id": TEXT,
        "money": st.none() | LIMITS,
        "tags": st.lists(TEXT, max_size=4),
        "prices": st.dictionaries(TEXT, st.none() | st.floats(allow_nan=False), max_size=3),
        "colour": st.sampled_from(["RED", "BLUE"]),
        "address": st.none() | st.fixed_dictionaries({"zip": st.integers(-(2**31), 2**31 - 1)}),
        "at": st.none(),
        "flag": st.booleans(),
        "hash": st.binary(min_size=4, max_size=4),
    }
)
VALUES = st.one_of(
    CUSTOMERS.map(lambda record: CODEC.encode(100, record)),
    RICHES.map(lambda record: CODEC.encode(101, record)),
)


@given(customer=CUSTOMERS, rich=RICHES)
def test_what_is_written_is_read(customer: dict[str, Any], rich: dict[str, Any]) -> None:
    assert CODEC.decode(CODEC.encode(100, customer)) == customer
    assert CODEC.decode(CODEC.encode(101, rich)) == rich


def decoded(value: bytes) -> dict[str, Any] | None:
    try:
        return CODEC.decode(value)
    except SchemaError:
        return None


@given(value=VALUES, data=st.data())
def test_a_truncated_value_is_never_read(value: bytes, data: st.DataObject) -> None:
    assert decoded(value[: data.draw(st.integers(0, len(value) - 1))]) is None


@given(value=VALUES, data=st.data())
def test_altered_bytes_are_read_or_refused(value: bytes, data: st.DataObject) -> None:
    altered = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    record = decoded(bytes(altered))
    if record is not None:  # whatever can be read can be written again: a merge never fails on it
        schema_id = int.from_bytes(altered[1:5], "big")
        assert decoded(CODEC.encode(schema_id, record)) is not None


@given(tail=st.binary(max_size=200), schema_id=st.sampled_from([100, 101]))
def test_any_bytes_are_read_or_refused(tail: bytes, schema_id: int) -> None:
    decoded(b"\0" + schema_id.to_bytes(4, "big") + tail)
    decoded(tail)


@given(value=VALUES, data=st.data())
def test_what_was_looked_through_is_what_is_read(value: bytes, data: st.DataObject) -> None:
    """All that Avro writes passes; what passes and is read is spelled as it would be written."""
    WALKS[value[4]](value)
    altered = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        altered[data.draw(st.integers(5, len(altered) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(altered)
    try:
        WALKS[changed[4]](changed)
    except UnreadableValue:
        return
    record = decoded(changed)
    if record is None:  # a text that is none, a date that is none
        return
    written = CODEC.encode(changed[4], record)
    assert repr(CODEC.decode(written)) == repr(record)
    if record.get("credit_limit", record.get("money")) is not None:
        return  # Avro gives decimals no one spelling: -1.28 is 80 in Java and ff80 in Python
    if changed[4] == 100:
        assert written == changed
    else:  # lists may come in blocks of any size
        assert len(written) <= len(changed)


# -- keys


@given(key=st.binary(max_size=64), partitions=st.integers(1, 1000))
def test_a_key_has_one_place(key: bytes, partitions: int) -> None:
    assert 0 <= murmur2(key) < 2**32
    assert partition_of(key, partitions) == (_java_murmur2(key) & 0x7FFFFFFF) % partitions


def _java_murmur2(key: bytes) -> int:
    """As it stands in Java, on 32-bit integers with sign."""

    def int32(number: int) -> int:
        number &= 0xFFFFFFFF
        return number - 2**32 if number >= 2**31 else number

    def shifted(number: int, bits: int) -> int:
        return (number & 0xFFFFFFFF) >> bits

    m, h = 0x5BD1E995, int32(0x9747B28C ^ len(key))
    for i in range(len(key) // 4):
        k = int32(sum(byte << (8 * at) for at, byte in enumerate(key[4 * i : 4 * i + 4])) * m)
        k = int32((k ^ shifted(k, 24)) * m)
        h = int32(h * m) ^ k
    rest = key[len(key) & ~3 :]
    for at in range(len(rest) - 1, -1, -1):
        h = int32(h ^ (rest[at] << (8 * at)))
    if rest:
        h = int32(h * m)
    h = int32((h ^ shifted(h, 13)) * m)
    return int32(h ^ shifted(h, 15))


# -- headers

GOOD = change_headers(event_id="seq:0:1", system="crm", object_name="customer", time_ms=1, fields=["name"])
NAMES = st.sampled_from([name for name, _ in GOOD] + ["ce_unavailable", "traceparent"]) | st.text(max_size=5)
HOSTILE = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([value for _, value in GOOD]),
    st.sampled_from(
        [b"*", b",", b"customer.delete", b"9999-12-31T23:59:59.999999999Z", b"x" * 5000, b"\xff"]
    ),
    st.datetimes().map(lambda at: at.isoformat().encode() + b"Z"),
)


@given(extra=st.lists(st.tuples(NAMES, HOSTILE), max_size=40), drop=st.integers(0, 6))
def test_hostile_headers_are_read_or_malformed(extra: list[tuple[str, bytes]], drop: int) -> None:
    headers = [*GOOD[drop:], *extra]
    try:
        said = parse_change(headers)
    except MalformedEnvelope:
        return
    assert said.event_id and said.fields != frozenset()


@given(
    headers=st.lists(st.tuples(NAMES, HOSTILE), max_size=8),
    keep=st.booleans(),
    value=st.none() | st.binary(max_size=30) | VALUES,
    key=st.none() | st.binary(max_size=10) | st.just(b"C-1"),
    system=st.sampled_from(["crm", "erp", "billing", "ghost", "stranger"]),
)
def test_the_gate_stands_whatever_arrives(
    headers: Any, value: bytes | None, key: bytes | None, system: str, *, keep: bool
) -> None:
    # I2, I6: one outcome each, and whatever comes of it can be written
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    record = bench.upsert(system, "seq:0:02", {"name": "Eve"})
    record.key, record.value = key, value
    record.headers = (*(record.headers if keep else ()), *headers)
    seen = bench.see(record)
    assert seen.judged.account.total() == 1
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)


# -- the ledger


@st.composite
def ledgers(draw: st.DrawFn) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    positions: dict[str, int] = {}
    time_ms, chain = 0, b""
    for sequence in range(1, draw(st.integers(1, 6)) + 1):
        account = draw(
            st.dictionaries(st.sampled_from(["accepted", "echo", "stale"]), st.integers(1, 9), min_size=1)
        )
        place = draw(st.sampled_from(["changes.crm.customer/0", "changes.erp.customer/0"]))
        positions = positions | {place: positions.get(place, 0) + sum(account.values())}
        time_ms += draw(st.integers(0, 100))
        record = ledger(
            sequence, account=account, positions=positions, gate_time_ms=time_ms, previous_chain=chain
        )
        chain = record["chain"] = chain_of(record)
        records.append(record)
    return records


@given(records=ledgers())
def test_a_ledger_holds_and_travels(records: list[dict[str, Any]]) -> None:
    assert verify(records) == []
    registry = envelopes()
    number = registry.id_of("ledger")
    assert verify([registry.codec.decode(registry.codec.encode(number, record)) for record in records]) == []


@given(records=ledgers(), data=st.data())
def test_every_edit_of_a_ledger_is_found(records: list[dict[str, Any]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    name = data.draw(st.sampled_from(sorted(records[at])))
    before = records[at][name]
    after: Any = {
        int: lambda: before + 1,
        str: lambda: before + "x",
        bytes: lambda: before + b"x",
        dict: lambda: {**before, "new": 1},
    }[type(before)]()
    edited = [*records[:at], records[at] | {name: after}, *records[at + 1 :]]
    assert verify(edited)


@given(records=ledgers(), data=st.data())
def test_every_gap_insertion_and_swap_is_found(records: list[dict[str, Any]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    if at < len(records) - 1:  # that the last record is missing, only the log's end can tell
        assert verify([*records[:at], *records[at + 1 :]])
        assert verify([*records[:at], records[at + 1], records[at], *records[at + 2 :]])
    assert verify([*records[: at + 1], records[at], *records[at + 1 :]])
    forged = records[at] | {"worker": "forged"}
    forged["chain"] = chain_of(forged)
    if at < len(records) - 1:
        assert verify([*records[:at], forged, *records[at + 1 :]]), "what follows does not follow from it"
