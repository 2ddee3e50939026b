"""Looking through bytes from outside: what Avro's own libraries would not write, or not read, is not read."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.codec import Codec
from schemas.errors import UnreadableValue
from schemas.walk import DECIMAL_BYTES_MAX, PARTS_MAX, walker_of
from tests.fuzz.hostile import varint as long

FRAME = b"\x00\x00\x00\x00\x07"
ENUM = {"type": "enum", "name": "e", "symbols": ["a", "b"]}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
PAIR = {
    "type": "record",
    "name": "pair",
    "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "long"}],
}


def codec_of(avro: Any) -> Codec:
    document = {"type": "record", "name": "r", "fields": [{"name": "a", "type": avro}]}
    return Codec.of_document(7, document)


def walk(avro: Any, datum: bytes) -> None:
    walker_of(codec_of(avro).schema(7))(FRAME + datum)


@pytest.mark.parametrize(
    ("avro", "values"),
    [
        ("int", [0, 1, -1, 63, 64, -65, 2**31 - 1, -(2**31)]),
        ("long", [0, 64, -65, 2**31, 2**63 - 1, -(2**63)]),
        ("boolean", [True, False]),
        ("string", ["", "é" * 100, "x" * 20_000]),
        ("bytes", [b"", b"x" * 300]),
        (ENUM, ["a", "b"]),
        (MONEY, []),
        ("float", [1.5]),
        ("double", [float("nan")]),
        ({"type": "fixed", "name": "f", "size": 3}, [b"abc"]),
        (["null", "string", PAIR], [None, "x", {"x": 1, "y": -(2**40)}]),
        ({"type": "array", "items": PAIR}, [[], [{"x": 1, "y": 2}] * 100]),
        ({"type": "map", "values": ["null", PAIR]}, [{}, {"k": None, "l": {"x": 1, "y": 2}}]),
        (
            {
                "type": "record",
                "name": "two",
                "fields": [{"name": "p", "type": PAIR}, {"name": "q", "type": "pair"}],
            },
            [{"p": {"x": 1, "y": 2}, "q": {"x": 3, "y": 4}}],
        ),
    ],
    ids=str,
)
def test_what_is_written_passes(avro: Any, values: list[Any]) -> None:
    codec = codec_of(avro)
    for value in values:
        walker_of(codec.schema(7))(codec.encode(7, {"a": value}))


@pytest.mark.parametrize(
    ("avro", "datum", "said"),
    [
        ("int", long(2**31), "too large"),
        ("int", long(-(2**31) - 1), "too large"),
        ("int", long(2**40), "more than 5 bytes"),
        ("int", b"\x80\x80\x00", "shortest"),
        ("long", long(2**63), "too large"),
        ("long", b"\xff" * 20 + b"\x01", "more than 10 bytes"),
        ("long", b"\xff" * 1000 + b"\x00", "more than 10 bytes"),
        ("long", b"\x80" * 9 + b"\x00", "shortest"),
        ("boolean", b"\x02", "neither 0 nor 1"),
        ("boolean", b"\xff", "neither 0 nor 1"),
        (ENUM, long(-1), "a symbol that there is not"),
        (ENUM, long(2), "a symbol that there is not"),
        (["null", "int"], long(2), "a branch of a union"),
        (["null", "int"], long(-1), "a branch of a union"),
        ("string", long(-3), "a length that is negative"),
        ("string", long(5) + b"abcd", "beyond the end"),
        ("bytes", long(2**62), "beyond the end"),
        (MONEY, long(DECIMAL_BYTES_MAX + 1) + b"x" * (DECIMAL_BYTES_MAX + 1), "a decimal of more than"),
        (MONEY, b"\0", "a decimal of no bytes"),
        ("double", b"1234567", "beyond the end"),
        ("int", b"", "end within the datum"),
        ("int", b"\x80", "end within the datum"),
        ("int", b"\x02\x02", "1 bytes are left over"),
        ({"type": "array", "items": "int"}, long(2**40) + b"\x02", f"more than {PARTS_MAX} values"),
        (
            {"type": "array", "items": PAIR},
            long(PARTS_MAX // 2 + 1) + b"\x02" * 9,
            f"more than {PARTS_MAX} values",
        ),
        (
            {"type": "array", "items": "int"},
            long(-2) + long(5) + b"\x02\x02\x00",
            "beyond the end|another length",
        ),
        (
            {"type": "array", "items": "int"},
            long(-2) + long(1) + b"\x02\x02\x00",
            "a block of another length",
        ),
        ({"type": "map", "values": "int"}, long(1) + long(3) + b"ab", "beyond the end"),
        ({"type": "array", "items": "int"}, long(1) + b"\x02", "end within the datum"),
    ],
    ids=repr,
)
def test_what_is_spelled_otherwise_is_not_read(avro: Any, datum: bytes, said: str) -> None:
    with pytest.raises(UnreadableValue, match=said):
        walk(avro, datum)


def test_blocks_that_say_their_length_pass() -> None:
    walk({"type": "array", "items": "int"}, long(-2) + long(2) + b"\x02\x04" + long(1) + b"\x06" + b"\x00")


def test_a_type_in_another_shell_and_by_its_name() -> None:
    shelled = {"type": {"type": "array", "items": "long"}}
    fields = [
        {"name": "p", "type": PAIR},
        {"name": "q", "type": {"type": "pair"}},
        {"name": "r", "type": shelled},
    ]
    avro = {"type": "record", "name": "three", "fields": fields}
    datum = long(1) + long(2) + long(3) + long(4) + long(1) + long(5) + long(0)
    walk = walker_of(avro)
    walk(bytes(5) + datum)
    with pytest.raises(UnreadableValue):
        walk(bytes(5) + datum[:-1])
