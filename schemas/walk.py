"""Walks a datum by its schema before it is decoded: what is not spelled as Avro spells it is not read.

Pure. The decoder takes more than Avro knows: a long of 20 bytes, of which it drops bits; an int beyond 32 bits, on
which readers in Java fail; a boolean of 2; symbol -1 of an enum, which is the last one in Python. Each of them would
become another value (I6). And it takes lists as long as bytes allow: a value of 1 MiB could be a million records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.codec import FRAME_LENGTH
from schemas.contract import AvroSchema
from schemas.errors import UnreadableValue

PARTS_MAX = 10_000
"""Values in the lists and maps of one datum: a list of 1,000 records of 10 fields."""
DECIMAL_BYTES_MAX = 64
_INT, _LONG = (5, 0x0F), (10, 0x01)
"""Bytes of the longest zigzag varint, and its greatest last byte."""
_FIXED = {"null": 0, "float": 4, "double": 8}

_Step = Callable[[bytes, int, list[int]], int]
"""(value, where a part begins, parts that may still come) -> where it ends."""


class _Misspelled(Exception):
    """What is wrong, in words."""


def walker_of(schema: AvroSchema) -> Callable[[bytes], None]:
    """What looks through a framed value of a schema; it raises UnreadableValue."""
    step, _ = _step(schema, {})

    def walk(value: bytes) -> None:
        try:
            end = step(value, FRAME_LENGTH, [PARTS_MAX])
        except IndexError as error:
            msg = f"{len(value)} bytes end within the datum"
            raise UnreadableValue(msg) from error
        except _Misspelled as error:
            msg = f"{len(value)} bytes are not a datum: {error}"
            raise UnreadableValue(msg) from error
        if end != len(value):
            msg = f"{len(value) - end} bytes are left over after the datum"
            raise UnreadableValue(msg)

    return walk


def _step(schema: AvroSchema, named: dict[str, tuple[_Step, int]]) -> tuple[_Step, int]:
    """The step of a schema, and of how many parts its values are."""
    if isinstance(schema, list):
        return _union([_step(branch, named) for branch in schema])
    if isinstance(schema, str):
        return named[schema] if schema in named else (_plain(schema, {}), 1)
    kind = schema["type"]
    if kind == "record":
        fields = [_step(field["type"], named) for field in schema["fields"]]
        found = _record([step for step, _ in fields]), sum(parts for _, parts in fields)
    elif kind in ("array", "map"):
        item, parts = _step(schema["items" if kind == "array" else "values"], named)
        return _blocks(_record([_sized(None), item]) if kind == "map" else item, parts), 1
    elif kind == "enum":
        found = _enum(len(schema["symbols"])), 1
    elif kind == "fixed":
        found = _bytes(int(schema["size"])), 1
    elif isinstance(kind, str) and kind not in named:
        return _plain(kind, schema), 1
    else:
        return _step(kind, named)
    named[str(schema["name"])] = found
    return found


def _plain(kind: str, schema: Mapping[str, Any]) -> _Step:
    if kind in ("int", "long"):
        return _number(*(_INT if kind == "int" else _LONG))
    if kind == "boolean":
        return _boolean
    if kind in _FIXED:
        return _bytes(_FIXED[kind])
    return _sized(DECIMAL_BYTES_MAX if schema.get("logicalType") == "decimal" else None)


def _boolean(value: bytes, at: int, _: list[int]) -> int:
    if value[at] > 1:
        raise _Misspelled("a boolean that is neither 0 nor 1")
    return at + 1


def _varint(value: bytes, at: int, longest: int, greatest: int) -> int:
    """Where a varint ends; the shortest spelling alone is one."""
    first = at
    while value[at] > 127:
        at += 1
        if at - first == longest:
            raise _Misspelled(f"a number of more than {longest} bytes")
    length = at - first + 1
    if (length > 1 and value[at] == 0) or (length == longest and value[at] > greatest):
        raise _Misspelled("a number that is too large, or not spelled in the shortest way")
    return at + 1


def _number(longest: int, greatest: int) -> _Step:
    def number(value: bytes, at: int, _: list[int]) -> int:
        return at + 1 if value[at] < 128 else _varint(value, at, longest, greatest)

    return number


def _count(value: bytes, at: int) -> tuple[int, int]:
    """(a long, where it ends)."""
    if value[at] < 128:
        return (value[at] >> 1) ^ -(value[at] & 1), at + 1
    end = _varint(value, at, *_LONG)
    coded = 0
    for place in range(end - 1, at - 1, -1):
        coded = coded << 7 | value[place] & 127
    return (coded >> 1) ^ -(coded & 1), end


def _within(value: bytes, at: int, size: int) -> int:
    end = at + size
    if size < 0 or end > len(value):
        raise _Misspelled("a length that is negative, or beyond the end")
    return end


def _bytes(size: int) -> _Step:
    return lambda value, at, _: _within(value, at, size)


def _sized(longest: int | None) -> _Step:
    def sized(value: bytes, at: int, _: list[int]) -> int:
        size, at = _count(value, at)
        if longest is not None and size > longest:
            raise _Misspelled(f"a decimal of more than {longest} bytes")
        if longest is not None and size == 0:  # nought here, and an error in Java
            raise _Misspelled("a decimal of no bytes")
        return _within(value, at, size)

    return sized


def _enum(symbols: int) -> _Step:
    def enum(value: bytes, at: int, _: list[int]) -> int:
        index, at = _count(value, at)
        if not 0 <= index < symbols:
            raise _Misspelled("a symbol that there is not")
        return at

    return enum


def _union(branches: Sequence[tuple[_Step, int]]) -> tuple[_Step, int]:
    steps = [step for step, _ in branches]

    def union(value: bytes, at: int, left: list[int]) -> int:
        index, at = _count(value, at)
        if not 0 <= index < len(steps):
            raise _Misspelled("a branch of a union that there is not")
        return steps[index](value, at, left)

    return union, max((parts for _, parts in branches), default=1)


def _record(steps: Sequence[_Step]) -> _Step:
    def record(value: bytes, at: int, left: list[int]) -> int:
        for step in steps:
            at = step(value, at, left)
        return at

    return record


def _blocks(item: _Step, parts: int) -> _Step:
    def blocks(value: bytes, at: int, left: list[int]) -> int:
        while True:
            count, at = _count(value, at)
            if count == 0:
                return at
            told = -1
            if count < 0:  # a block may say how long it is, so that readers can pass it over
                count, (size, at) = -count, _count(value, at)
                told = _within(value, at, size)
            left[0] -= count * parts
            if left[0] < 0:
                raise _Misspelled(f"more than {PARTS_MAX} values in lists and maps")
            for _ in range(count):
                at = item(value, at, left)
            if told not in (-1, at):
                raise _Misspelled("a block of another length than it says")

    return blocks
