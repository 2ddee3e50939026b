"""What Kafka Connect and Debezium mean by the types that they name in a schema. Pure.

https://kafka.apache.org/41/javadoc/org/apache/kafka/connect/data/package-summary.html (Decimal, Date, Time, Timestamp),
https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types (io.debezium...).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import cached_property
from typing import Any

from connectors.adopt.errors import Unmapped

Reading = Callable[[Any], Any]
"""A value as it is on the topic -> what it means. Raises Unmapped."""

_EPOCH, _FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)
_EXACT = Context(prec=100)
_SCALE_MAX = 100


def _told(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Unmapped(f"{what} is told as {type(value).__name__}")
    return value


def octets(value: Any) -> bytes:
    """Bytes: as they are, or base64 of them where JSON has them."""
    if type(value) is bytes:
        return value
    try:
        return base64.b64decode(_told(value, str, "a value of bytes"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unmapped("a text that is not base64") from error


def unscaled(scale: int) -> Reading:
    """A decimal told as the bytes of its unscaled number."""

    def read(value: Any) -> Decimal:
        stored = octets(value)
        if not 0 < len(stored) <= 32:
            raise Unmapped(f"a decimal of {len(stored)} bytes")
        return Decimal(int.from_bytes(stored, "big", signed=True)).scaleb(-scale, _EXACT)

    return read


def _variable(value: Any) -> Decimal:
    found = _told(value, dict, "a decimal of variable scale")
    scale = _told(found.get("scale"), int, "a scale")
    if abs(scale) > _SCALE_MAX:
        raise Unmapped(f"a decimal with a scale beyond {_SCALE_MAX}")
    number: Decimal = unscaled(scale)(found.get("value"))
    return number


def days(value: Any) -> date:
    """Days since 1970-01-01."""
    try:
        return _FIRST_DAY + timedelta(days=_told(value, int, "a date"))
    except OverflowError as error:
        raise Unmapped("a date beyond the years 1 to 9999") from error


def since_epoch(per_second: int) -> Reading:
    """A moment, counted in so many parts of a second since 1970. Microseconds are the finest that can be kept."""

    def read(value: Any) -> datetime:
        counted = _told(value, int, "a moment") * 1_000_000
        if counted % per_second:
            raise Unmapped("a moment finer than microseconds")
        try:
            return _EPOCH + timedelta(microseconds=counted // per_second)
        except OverflowError as error:
            raise Unmapped("a moment beyond the years 1 to 9999") from error

    return read


def within_day(per_second: int) -> Reading:
    """A time of day, counted in so many parts of a second since midnight."""
    moment = since_epoch(per_second)

    def read(value: Any) -> time:
        found: datetime = moment(value)
        if found.date() != _FIRST_DAY:
            raise Unmapped("a time of day of more than 24 hours")
        return found.time()

    return read


def iso_moment(value: Any) -> datetime:
    """A moment in ISO 8601, with its zone."""
    try:
        found = datetime.fromisoformat(_told(value, str, "a moment"))
    except ValueError as error:
        raise Unmapped("a text that is not a moment in ISO 8601") from error
    if found.tzinfo is None:
        raise Unmapped("a moment without a time zone")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise Unmapped("a moment beyond the years 1 to 9999") from error


_NAMED: Mapping[str, Reading] = {
    "org.apache.kafka.connect.data.Date": days,
    "org.apache.kafka.connect.data.Time": within_day(1_000),
    "org.apache.kafka.connect.data.Timestamp": since_epoch(1_000),
    "io.debezium.time.Date": days,
    "io.debezium.time.Time": within_day(1_000),
    "io.debezium.time.MicroTime": within_day(1_000_000),
    "io.debezium.time.NanoTime": within_day(1_000_000_000),
    "io.debezium.time.Timestamp": since_epoch(1_000),
    "io.debezium.time.MicroTimestamp": since_epoch(1_000_000),
    "io.debezium.time.NanoTimestamp": since_epoch(1_000_000_000),
    "io.debezium.time.ZonedTimestamp": iso_moment,
    "io.debezium.data.VariableScaleDecimal": _variable,
}


class ConnectSchema:
    """A schema as JsonConverter writes it, looked through once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._parts: dict[str, ConnectSchema] = {}

    @cached_property
    def readings(self) -> Mapping[str, Reading]:
        """Column of the struct -> how it is read, for those of which the schema says more than JSON does."""
        found = {str(field.get("field")): _reading(field, 0) for field in self._fields()}
        return {name: reading for name, reading in found.items() if reading is not None}

    def part(self, name: str) -> ConnectSchema | None:
        """The schema of one column that is a struct itself."""
        if name not in self._parts:
            document = next((field for field in self._fields() if field.get("field") == name), None)
            if document is None:
                return None
            self._parts[name] = ConnectSchema(document)
        return self._parts[name]

    def _fields(self) -> list[Mapping[str, Any]]:
        fields = self._document.get("fields") if self._document.get("type") == "struct" else None
        return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _reading(schema: Any, depth: int) -> Reading | None:
    if not isinstance(schema, Mapping) or depth > 32:
        return None
    name, kind = schema.get("name"), schema.get("type")
    if name == "org.apache.kafka.connect.data.Decimal":
        return _or_null(unscaled(_scale(schema)))
    if isinstance(name, str) and name in _NAMED:
        return _or_null(_NAMED[name])
    if kind == "bytes":
        return _or_null(octets)
    if kind == "array" and (item := _reading(schema.get("items"), depth + 1)):
        return _or_null(_each(item))
    return None


def _scale(schema: Mapping[str, Any]) -> int:
    try:
        scale = int((schema.get("parameters") or {})["scale"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unmapped("a decimal whose schema names no scale") from error
    if abs(scale) > _SCALE_MAX:
        raise Unmapped(f"a decimal with a scale beyond {_SCALE_MAX}")
    return scale


def _each(item: Reading) -> Reading:
    return lambda value: [item(part) for part in _told(value, list, "a list")]


def _or_null(reading: Reading) -> Reading:
    return lambda value: None if value is None else reading(value)
