"""What can be wrong with a record itself, in words: `wrong: cut off`."""

from __future__ import annotations

from collections.abc import Callable

from schemas.codec import VALUE_LENGTH_MAX, frame
from schemas.keys import partition_of
from tests.gate_parts import Bench, Record

PARTITIONS = 4
"""Of an object in which a record can stand in the wrong place."""


def without(record: Record, *names: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(pair for pair in record.headers if pair[0] not in names)


def _header(name: str, value: bytes) -> Callable[[Bench, Record], None]:
    def wrong(_: Bench, record: Record) -> None:
        record.headers = (*without(record, name), (name, value))

    return wrong


def _lacks(name: str) -> Callable[[Bench, Record], None]:
    return lambda _, record: setattr(record, "headers", without(record, name))


def _key(key: bytes | None) -> Callable[[Bench, Record], None]:
    return lambda _, record: setattr(record, "key", key)


def _value(value: Callable[[bytes], bytes | None]) -> Callable[[Bench, Record], None]:
    return lambda _, record: setattr(record, "value", value(record.value or b""))


def _order(_: Bench, record: Record) -> None:
    record.topic = record.topic.replace(".customer", ".order")
    record.headers = (*without(record, "ce_type"), ("ce_type", b"order.upsert"))


def _wrong_place(bench: Bench, record: Record) -> None:
    bench.memory.partitions = {"customer": PARTITIONS}
    # Not 0 either: there the bench keeps what it knows, whatever murmur2 says.
    right = partition_of(record.key or b"", PARTITIONS)
    record.partition = next(place for place in range(1, PARTITIONS) if place != right)


def _many_headers(_: Bench, record: Record) -> None:
    record.headers += tuple((f"extra-{number}", b"") for number in range(32))


WRONG: dict[str, Callable[[Bench, Record], None]] = {
    "too large": _value(lambda _: frame(100) + b"x" * VALUE_LENGTH_MAX),
    "no key": _key(None),
    "a key longer than 512 bytes": _key(b"C" * 513),
    "a key in another spelling": _key("Zoe\u0308".encode()),  # e and a combining mark: not form NFC
    "no id": _lacks("ce_id"),
    "no time": _lacks("ce_time"),
    "a time without its zone": _header("ce_time", b"2026-11-25T10:00:00"),
    "an unknown operation": _header("ce_type", b"customer.rename"),
    "no field is listed": _header("ce_fields", b","),
    "more than 32 headers": _many_headers,
    "a delete with a value": _value(lambda _: b"x"),
    "no value": _value(lambda _: None),
    "claims to come from crm": _header("ce_source", b"/crm"),
    "claims to be an order": _header("ce_type", b"order.upsert"),
    "is about orders": _order,
    "an unknown contract": _value(lambda value: frame(999) + value[5:]),
    "cut off": _value(lambda value: value[:-1]),
    "something behind its end": _value(lambda value: value + b"\0"),
    "not in the wire format": _value(lambda _: b'{"name": "Ada"}'),
    "filed under C-2": _key(b"C-2"),
    "in the wrong place": _wrong_place,
}
