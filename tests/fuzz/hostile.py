"""Hostile records from a seed: valid ones with bytes changed, and ones made by the grammar with a wrong turn in it."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

from schemas.codec import SCHEMA_HEADER, VALUE_LENGTH_MAX, frame
from tests.gate_parts import CUSTOMER, Bench, Record

BOX = {
    "type": "record",
    "name": "box",
    "fields": [{"name": "w", "type": "int"}, {"name": "h", "type": ["null", "float"]}],
}
COLOUR = {"type": "enum", "name": "colour", "symbols": ["A", "B", "C"]}
RICH: dict[str, Any] = {
    **CUSTOMER,
    "fields": [
        *CUSTOMER["fields"],
        {"name": "flag", "type": "boolean", "default": False},
        {"name": "count", "type": "long", "default": 0},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {
            "name": "at",
            "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "default": None,
        },
        {"name": "uid", "type": ["null", {"type": "string", "logicalType": "uuid"}], "default": None},
        {"name": "colour", "type": COLOUR, "default": "A"},
        {"name": "hash", "type": ["null", {"type": "fixed", "name": "hash", "size": 8}], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "boxes", "type": {"type": "array", "items": BOX}, "default": []},
        {"name": "prices", "type": {"type": "map", "values": ["null", "double"]}, "default": {}},
        {"name": "largest", "type": ["null", "box"], "default": None},
    ],
}
"""A contract with a bit of everything."""
NUMBERS = (
    0,
    1,
    -1,
    63,
    -64,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**40,
    2**63 - 1,
    2**63,
    -(2**63),
    2**70,
    20_000_000,
)
TEXTS = (
    b"",
    b"x",
    b"C-1",
    "é\u0308".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00",
    b"x" * 300,
    b"9" * 5_000,
)
_LEAVES = {"null": b"", "float": struct.pack("<f", 1.5), "double": struct.pack("<d", float("nan"))}


def varint(number: int) -> bytes:
    """A zigzag varint of any number, however large."""
    coded, out = (number << 1) ^ (-1 if number < 0 else 0), bytearray()
    while coded > 127:
        out.append(coded & 127 | 128)
        coded >>= 7
    return bytes([*out, coded])


class Grammar:
    """Data of a schema that take a wrong turn at some places."""

    def __init__(self, dice: random.Random, wrong: float) -> None:
        self._dice, self._wrong = dice, wrong

    def datum(self, schema: Any) -> bytes:
        if self._dice.random() < self._wrong:
            return self._elsewhere()
        if isinstance(schema, list):
            place = self._dice.randrange(len(schema))
            return varint(place) + self.datum(schema[place])
        if isinstance(schema, str):
            return self.datum(BOX) if schema == "box" else self._leaf(schema)
        make: dict[str, Callable[[Any], bytes]] = {
            "record": lambda one: b"".join(self.datum(field["type"]) for field in one["fields"]),
            "enum": lambda one: varint(self._dice.randrange(len(one["symbols"]))),
            "fixed": lambda one: self._dice.randbytes(one["size"]),
            "array": lambda one: self._blocks(lambda: self.datum(one["items"])),
            "map": lambda one: self._blocks(lambda: self._leaf("string") + self.datum(one["values"])),
        }
        kind = schema["type"]
        return make[kind](schema) if kind in make else self._leaf(kind)

    def _leaf(self, kind: str) -> bytes:
        if kind in _LEAVES:
            return _LEAVES[kind]
        if kind == "boolean":
            return bytes([self._dice.randrange(2)])
        if kind in ("int", "long"):
            return varint(self._dice.randrange(-(2**20), 2**20))
        text = self._dice.choice(TEXTS[:4])
        return varint(len(text)) + text

    def _blocks(self, item: Callable[[], bytes]) -> bytes:
        count = self._dice.choice((0, 1, 3, 40))
        items = b"".join(item() for _ in range(count))
        if count and self._dice.randrange(3) == 0:
            return varint(-count) + varint(len(items)) + items + b"\x00"
        return (varint(count) if count else b"") + items + b"\x00"

    def _elsewhere(self) -> bytes:
        dice = self._dice
        return dice.choice(
            (
                varint(dice.choice(NUMBERS)),
                varint(dice.choice(NUMBERS)) * dice.choice((2, 50)),
                b"\xff" * dice.choice((1, 9, 10, 11, 1000)),
                b"\x80" * dice.choice((1, 4, 9)) + b"\x00",
                varint(len(text := dice.choice(TEXTS))) + text,
                dice.randbytes(dice.randrange(40)),
                b"",
            )
        )


class Hostile:
    """The n-th hostile record of a seed, against records that are there."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self._bench, self._dice = bench, random.Random(seed)
        self._contract = bench.rules.readers["customer"].contract
        self._number = 0

    def good(self, system: str, key: str, **values: Any) -> Record:
        """A change as it should be."""
        self._number += 1
        told = {
            "flag": True,
            "count": self._number,
            "colour": "B",
            "tags": ["a"],
            "boxes": [{"w": 1, "h": None}],
        }
        told |= {"prices": {"x": 1.5}, "largest": {"w": 2, "h": 0.5}, "name": f"N{self._number}"}
        return self._bench.upsert(system, f"seq:0:{self._number:012}", told | values, key=key)

    def record(self) -> Record:
        """One more."""
        dice = self._dice
        record = self.good(dice.choice(("crm", "erp", "billing")), f"C-{dice.randrange(8)}")
        for change in dice.choices(
            (self._value, self._grammar, self._headers, self._wire), k=dice.choice((1, 1, 2))
        ):
            change(record)
        if dice.randrange(500) == 0:
            self._large(record)
        return record

    def _large(self, record: Record) -> None:
        """Longer than is read; or a list, spelled as it should be, of as many records as there is room for."""
        count = self._dice.choice((0, 1_000, 4_900, 20_000, 100_000, 400_000))
        if count == 0:
            record.value = frame(100) + self._dice.choice((b"\x00", b"\x02x", b"\xff")) * (
                VALUE_LENGTH_MAX // 2 + 10
            )
            return
        made = self.good(self._dice.choice(("crm", "billing")), "C-1", boxes=[{"w": 1, "h": None}] * count)
        record.topic, record.key, record.value, record.headers = (
            made.topic,
            made.key,
            made.value,
            made.headers,
        )

    def _value(self, record: Record) -> None:
        value, dice = bytearray(record.value or b""), self._dice
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(len(value) + 1)
            step = dice.randrange(6)
            if step == 0:
                value[at:at] = dice.randbytes(dice.randrange(1, 9))
            elif step == 1:
                del value[at : at + dice.randrange(1, 9)]
            elif step == 2:
                value[at:at] = varint(dice.choice(NUMBERS))
            elif step == 3:
                value[at:] = value[: dice.randrange(len(value) + 1)]
            elif value:
                at %= len(value)
                value[at] = dice.randrange(256) if step == 4 else value[at] ^ 1 << dice.randrange(8)
        record.value = bytes(value)

    def _grammar(self, record: Record) -> None:
        grammar = Grammar(self._dice, self._dice.choice((0.0, 0.02, 0.2)))
        record.value = frame(100) + grammar.datum(self._contract.schema)

    def _headers(self, record: Record) -> None:
        headers, dice = list(record.headers), self._dice
        for _ in range(dice.choice((1, 1, 3))):
            at = dice.randrange(len(headers) or 1)
            name, text = headers[at] if headers else ("ce_id", b"x")
            headers[at : at + 1] = self._instead(name, text or b"")
        if dice.randrange(4) == 0:
            dice.shuffle(headers)
        record.headers = tuple(headers)

    def _instead(self, name: str, text: bytes) -> list[tuple[str, Any]]:
        """What stands in the place of a header."""
        dice, other = self._dice, self._dice.choice(TEXTS)
        odd = dice.choice(("", "x" * 300, "ce_unavailable", "\u2028"))
        many = [(f"h{number}", b"x") for number in range(dice.choice((2, 60)))]
        choices: tuple[list[tuple[str, Any]], ...] = (
            [],
            [(name, None)],
            [(name, other)],
            [(name, text + other)],
            [(name, text), (name, text)],
            [(odd, other)],
            [(name, text), *many],
        )
        return dice.choice(choices)

    def _wire(self, record: Record) -> None:
        value, dice = record.value or b"", self._dice
        step = dice.randrange(5)
        if step == 0:
            record.value = dice.choice((b"", None, b"\x00", b"{}", b"null", frame(100), dice.randbytes(200)))
        elif step == 1:
            record.value = frame(dice.choice((0, 1, 7, 99, 101, 2**31, 2**32 - 1))) + value[5:]
        elif step == 2:
            record.value = bytes([dice.randrange(256)]) + value[1:]
        elif step == 3:
            named = dice.choice(
                (frame(100), b"\x01" + bytes(16), b"", b"\x01", dice.randbytes(dice.randrange(30)))
            )
            record.headers = (*record.headers, (SCHEMA_HEADER, named))
            record.value = value[5:]
        else:
            record.key = dice.choice((None, b"", b"\xff", b"C-1 ", "Zoe\u0308".encode(), b"x" * 600, b"C-99"))
