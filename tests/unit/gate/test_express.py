"""The short way is left as soon as anything is unusual; what the long way then says is the same as without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.rules import rules_of
from schemas.contract import make_contract
from schemas.keys import KEY_LENGTH_MAX
from schemas.spans import blank_of, differences_of
from tests.gate_parts import CUSTOMER, FLAT, Bench, Seen, map_texts, object_document

RULES = rules_of(map_texts(object_document(fields={}), [FLAT]), 1)
USUAL = {
    "ce_specversion": b"1.0",
    "ce_id": b"seq:0:02",
    "ce_source": b"/crm",
    "ce_type": b"customer.upsert",
    "ce_time": b"2026-11-24T10:00:00.123Z",
    "ce_fields": b"*",
}


def judged(headers: Any, *, short: bool) -> Seen:
    bench = Bench(rules=RULES if short else replace(RULES, express={}))
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    record = bench.upsert("crm", "seq:0:02", {"name": "Eve"})
    record.headers = headers
    return bench.see(record)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "accepted"),
        ({"ce_time": b"2026-11-24T10:00:00Z"}, "accepted"),
        ({"ce_time": b"2026-13-24T10:00:00.123Z"}, "unreadable"),
        ({"ce_time": None}, "unreadable"),
        ({"ce_id": b""}, "unreadable"),
        ({"ce_id": None}, "unreadable"),
        ({"ce_id": b"x" * 4097}, "unreadable"),
        ({"ce_id": "Zoë".encode()}, "accepted"),
        ({"ce_id": b"a%b;c=d"}, "accepted"),
        ({"ce_id": b"seq:0:01"}, "quarantined"),
        ({"ce_id": b"seq:0:01/again"}, "quarantined"),
        ({"ce_id": b"seq:0:00"}, "stale"),
        ({"ce_id": b"seq:5"}, "accepted"),
        ({"ce_id": b"seq:0:03/again"}, "accepted"),
        ({"ce_id": b"seq:1:00"}, "quarantined"),
        ({"ce_id": b"time:0:00"}, "accepted"),
        ({"ce_specversion": b"0.3"}, "unreadable"),
        ({"ce_source": b"/erp"}, "quarantined"),
        ({"ce_type": b"order.upsert"}, "quarantined"),
        ({"ce_fields": b"name"}, "accepted"),
        ({"extra": b"x"}, "accepted"),
    ],
)
def test_both_ways_say_the_same(changed: dict[str, Any], outcome: str) -> None:
    headers = tuple((USUAL | changed).items())
    for given in (headers, tuple(reversed(headers))):
        one, other = judged(given, short=True), judged(given, short=False)
        assert one.outcome == other.outcome == outcome
        assert one.after == other.after
        for (short, _), (long, _) in zip(one.judged.outgoing, other.judged.outgoing, strict=True):
            assert short._replace(headers=()) == long._replace(headers=())
            assert tuple(short.headers) == tuple(long.headers)


@pytest.mark.parametrize("length", [1, 62, 63, 64, 65, KEY_LENGTH_MAX])
def test_a_key_is_compared_exactly(length: int) -> None:
    contract = replace(make_contract(FLAT, 100), key_field="customer_id")
    differences, blank = differences_of(contract), blank_of(contract)
    assert differences is not None and blank is not None
    key = "k" * length
    reader = RULES.readers["customer"]
    nothing = dict.fromkeys(("name", "email", "phone", "credit_limit"))

    def is_key(identifier: str) -> bool:
        return differences(reader.encode(nothing | {"customer_id": identifier}), blank.of(key.encode())) == 0

    assert is_key(key)
    before = [chr(2 * length & 0x7F), chr(2 * (length + 1) & 0x7F), "x"]
    assert (
        not any(is_key(first + key) for first in before) and not is_key(key[1:]) and not is_key("x" + key[1:])
    )


@pytest.mark.parametrize(
    ("avro", "walked"),
    [
        (["null", "string"], True),
        (["string", "null"], True),
        ({"type": "long"}, True),
        ("boolean", True),
        (["null", "string", "long"], False),
        (["string", "long"], False),
        ("double", False),
        ({"type": "array", "items": "string"}, False),
        ({"type": "int", "logicalType": "date"}, False),
        (["null", {"type": "bytes", "logicalType": "decimal", "precision": 5}], False),
    ],
)
def test_contracts_whose_values_need_not_be_decoded(avro: Any, *, walked: bool) -> None:
    document = {"type": "record", "name": "r", "fields": [{"name": "f", "type": avro}]}
    assert (differences_of(make_contract(document, 1)) is not None) is walked


def test_where_values_must_be_decoded_there_is_no_short_way() -> None:
    assert RULES.express.keys() == {("crm", "customer")}
    assert not rules_of(map_texts(object_document(fields={}), [CUSTOMER]), 1).express
    assert not rules_of(map_texts(object_document(), [CUSTOMER]), 1).express
    shared = rules_of(map_texts(object_document(), [FLAT]), 1).express
    assert shared.keys() == {("crm", "customer"), ("erp", "customer")}
