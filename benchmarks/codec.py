"""Microseconds to read and to write one value of a contract, beside the Avro library alone and beside doing it naively.

Needs no Kafka. All are measured in turns in one process; the least of many turns counts.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import Any

import fastavro

from benchmarks.decide import TURNS, Call, once
from benchmarks.records import MAP, Maker
from benchmarks.rows import Measured, Row, at_most
from schemas.codec import FRAME_LENGTH
from schemas.registry import FileRegistry

RECORDS, FEW = 2_000, 100
"""Of what takes long, fewer are done."""
WANTED = 1.5
"""At most so many times what the library takes: the rest is limits, and the check that nothing is left over."""


def codec() -> list[Row]:
    """A value of some 300 bytes in eight fields."""
    registry, rows = FileRegistry(MAP), list[Row]()
    entry, ours = registry.latest("account"), registry.codec
    number, document, schema = entry.schema_id, entry.document, ours.schema(entry.schema_id)
    values = [Maker(registry).own(n).value for n in range(RECORDS)]
    records = [ours.decode(value) for value in values]
    ways: dict[str, tuple[list[Call], list[Call], list[Call]]] = {
        "read": (
            [partial(ours.decode, value) for value in values],
            [partial(_read, schema, value) for value in values],
            [partial(_read_naively, document, value) for value in values[:FEW]],
        ),
        "written": (
            [partial(ours.encode, number, record) for record in records],
            [partial(_write, schema, record) for record in records],
            [partial(_write_naively, document, record) for record in records[:FEW]],
        ),
    }
    for way, kinds in ways.items():
        turns = [[once(calls) for calls in kinds] for _ in range(TURNS)]
        mine, alone, naive = (min(times) for times in zip(*turns, strict=True))
        name = f"a value of {len(values[0])} bytes {way}"
        rows += [
            at_most(name, Measured("ours", mine), Measured("fastavro alone", alone), "us", WANTED),
            at_most(
                f"{name}; its schema is compiled once",
                Measured("ours", mine),
                Measured("compiled for each value", naive),
                "us",
                0,
            ),
        ]
    return rows


def _read(schema: Any, value: bytes) -> Any:
    stream = BytesIO(value)
    stream.seek(FRAME_LENGTH)
    return fastavro.schemaless_reader(stream, schema, None)


def _read_naively(document: Any, value: bytes) -> Any:
    return _read(fastavro.parse_schema(document, _force=True), value)


def _write(schema: Any, record: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def _write_naively(document: Any, record: Any) -> bytes:
    return _write(fastavro.parse_schema(document, _force=True), record)
