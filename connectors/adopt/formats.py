"""What a foreign record tells: of which row, what it is now, and whether it is gone. Pure.

Debezium: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events
CloudEvents, structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#33-structured-content-mode
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.adopt.avro_values import schema_named
from connectors.adopt.connect_types import ConnectSchema, Reading, iso_moment
from connectors.adopt.errors import Unmapped
from connectors.adopt.json_values import ConnectReader

Values = Callable[[bytes], tuple[Any, ConnectSchema | None]]
"""The bytes of a key or a value -> (what they say, its schema). Raises Unmapped."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """One record of a foreign topic."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Columns:
    """A row, or a key of several columns, and how columns are read that say more than JSON can."""

    values: Mapping[str, Any]
    readings: Mapping[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a foreign record tells."""

    row: Columns | None
    time_ms: int
    gone: bool = False
    event: Mapping[str, Any] = field(default_factory=dict)
    """What is said about the change, for expressions."""
    before: Columns | None = None
    lsn: int | None = None
    """PostgreSQL's own order, where Debezium tells it."""
    snapshot: bool = False
    """Read from the table, not from the log: it shows what was there at `lsn` or later."""
    tombstone: bool = False
    """Kafka's word that the key is gone, without a word about the change."""


Reader = Callable[[Foreign], Told | None]
"""None: it says nothing about any row."""


def reader_of(form: str, avro: Values) -> Reader:
    """What reads the records of one topic, those in Avro as `avro` does. It raises Unmapped."""
    read, tell = {
        "debezium": (ConnectReader().read, _debezium),
        "debezium-avro": (avro, _debezium),
        "json": (ConnectReader().read, _row),
        "avro": (avro, _row),
        "cloudevents": (ConnectReader().read, _cloudevent),
    }[form]

    def told(record: Foreign) -> Told | None:
        if record.value is None:
            return Told(None, _time(record.time_ms), gone=True, tombstone=True)
        return tell(record, *read(record.value))

    return told


class KeyReader:
    """Reads Kafka's keys: columns, or a text."""

    def __init__(self, avro: Values | None = None) -> None:
        """avro: how those are read that begin as a value in Avro does, which no text does."""
        self._read, self._avro = ConnectReader().read, avro

    def read(self, key: bytes | None) -> Columns | str | None:
        """None where there is no key. What is not JSON is a text; a number stays spelled as it is. Raises Unmapped."""
        if key is None:
            return None
        if self._avro is not None and schema_named(key) is not None:
            return _columns(*self._avro(key), "a key")
        try:
            found, schema = self._read(key)
        except Unmapped:
            found, schema = None, None
        if isinstance(found, dict):
            return _struct(found, schema)
        if isinstance(found, str) or schema is not None:
            return str(found)
        try:
            return key.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unmapped("a key that is not UTF-8") from error


def _struct(found: Mapping[str, Any], schema: ConnectSchema | None) -> Columns:
    return Columns(found, {} if schema is None else schema.readings)


def _row(record: Foreign, found: Any, schema: ConnectSchema | None) -> Told:
    if found is None:
        return Told(None, _time(record.time_ms), gone=True)
    return Told(_columns(found, schema, "a row"), _time(record.time_ms))


def _columns(found: Any, schema: ConnectSchema | None, what: str) -> Columns:
    if not isinstance(found, dict):
        raise Unmapped(f"{what} that is no object")
    return _struct(found, schema)


def _debezium(record: Foreign, found: Any, schema: ConnectSchema | None) -> Told | None:
    if found is None:
        return Told(None, _time(record.time_ms), gone=True, tombstone=True)
    if not isinstance(found, dict) or not isinstance(op := found.get("op"), str):
        raise Unmapped("not a change as Debezium writes it: an object with `op`")
    if op == "m":  # a message in the log: no row
        return None
    if op == "t":
        raise Unmapped("the table was emptied (truncate), and nothing says which records are gone")
    if op not in ("c", "r", "u", "d"):
        raise Unmapped("an `op` that Debezium does not have")
    source = found.get("source")
    source = source if isinstance(source, dict) else {}
    before = found.get("before")
    return Told(
        row=None if op == "d" else _columns(found.get("after"), schema and schema.part("after"), "`after`"),
        time_ms=_time(source.get("ts_ms"), found.get("ts_ms"), record.time_ms),
        event={name: found[name] for name in found if name not in ("before", "after")},
        before=_columns(before, schema and schema.part("before"), "`before`")
        if op == "u" and before is not None
        else None,
        gone=op == "d",
        lsn=_lsn(source),
        snapshot=op == "r",
    )


def _lsn(source: Mapping[str, Any]) -> int | None:
    lsn = source.get("lsn")
    if source.get("connector") != "postgresql" or lsn is None:
        return None
    if type(lsn) is not int or not 0 <= lsn < 2**64:
        raise Unmapped("a `source.lsn` that is none")
    return lsn


def _time(*told: Any) -> int:
    """The first that is a moment after 1970; a snapshot may know none, and Kafka says -1 where there is none."""
    return next((ms for ms in told if type(ms) is int and 0 < ms < 2**53), 0)


def _ms(moment: Any) -> int:
    return int(iso_moment(moment).timestamp() * 1000)


def _cloudevent(record: Foreign, found: Any, _: ConnectSchema | None) -> Told:
    if not isinstance(found, dict) or found.get("specversion") != "1.0":
        raise Unmapped("not a CloudEvent in structured mode: an object with `specversion` 1.0")
    for name in ("id", "source", "type"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise Unmapped(f"a CloudEvent without `{name}`")
    row = found.get("data")
    if "data_base64" in found:
        raise Unmapped("a CloudEvent whose data is not JSON")
    moment = found.get("time")
    return Told(
        row=None if row is None else _columns(row, None, "`data`"),
        time_ms=_time(None if moment is None else _ms(moment), record.time_ms),
        event={name: found[name] for name in found if name != "data"},
    )
