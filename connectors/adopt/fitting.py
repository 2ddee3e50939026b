"""Fits what a column means into the type that the contract has for the field, or says why it does not fit. Pure.

Nothing is rounded, cut or turned into another type (I6): a number is no text, a text is no number, unless the mapping
says what is meant (`as:`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any

from connectors.adopt.errors import Unmapped
from schemas.contract import AvroSchema

Fit = Callable[[Any], Any]
_INT, _LONG = 2**31, 2**63
_EXACT = Context(prec=100)


def fitting(schema: AvroSchema) -> Fit:
    """What fits values into an Avro type; it raises Unmapped."""
    return _fitting(schema, {})


def _fitting(schema: AvroSchema, named: dict[str, Fit]) -> Fit:
    if isinstance(schema, list):
        return _union([_fitting(branch, named) for branch in schema if branch != "null"], "null" in schema)
    if isinstance(schema, str):
        return named[schema] if schema in named else _PLAIN[schema]
    kind = schema["type"]
    if not isinstance(kind, str):
        return _fitting(kind, named)
    found = _logical(schema) or _composed(schema, named)
    if found is None:
        return named[kind] if kind in named else _PLAIN[kind]
    if "name" in schema:
        named[str(schema["name"])] = found
    return found


def _logical(schema: Mapping[str, Any]) -> Fit | None:
    if schema.get("logicalType") == "decimal":
        return _decimal(int(schema["precision"]), int(schema.get("scale", 0)))
    return _LOGICAL.get(str(schema.get("logicalType")))


def _composed(schema: Mapping[str, Any], named: dict[str, Fit]) -> Fit | None:
    kind = schema["type"]
    if kind == "array":
        return _list(_fitting(schema["items"], named))
    if kind == "map":
        return _map(_fitting(schema["values"], named))
    if kind == "record":
        return _record({str(field["name"]): _fitting(field["type"], named) for field in schema["fields"]})
    if kind == "enum":
        return _enum(frozenset(schema["symbols"]))
    return _fixed(int(schema["size"])) if kind == "fixed" else None


def _no(value: Any, wanted: str) -> Unmapped:
    return Unmapped(f"the contract has {wanted}, and it is told as {type(value).__name__}")


def _only(kind: type, wanted: str) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is not kind:
            raise _no(value, wanted)
        return value

    return fit


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _no(value, "a text")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:  # half of a character, as JSON can spell it
            raise Unmapped("a text that is not Unicode") from error
    return value


def _integer(bound: int) -> Fit:
    def fit(value: Any) -> int:
        if type(value) is not int:
            raise _no(value, "a whole number")
        if not -bound <= value < bound:
            raise Unmapped("a whole number beyond what the contract's type can hold")
        return value

    return fit


def _double(value: Any) -> float:
    if type(value) not in (int, float, Decimal):
        raise _no(value, "a number")
    found = float(value)
    if type(value) is int and int(found) != value:
        raise Unmapped("a whole number that a double cannot hold exactly")
    return found


def _float(value: Any) -> float:
    found = _double(value)
    try:
        nearest: float = struct.unpack("f", struct.pack("f", found))[0]
    except OverflowError as error:
        raise Unmapped("a number that a float cannot hold") from error
    if float(f"{nearest:.6g}") != found and nearest != found:
        raise Unmapped("a number of more digits than a float holds")
    return found


def _decimal(precision: int, scale: int) -> Fit:
    def fit(value: Any) -> Decimal:
        if type(value) not in (int, Decimal):
            raise _no(value, "a decimal")
        number = Decimal(value)
        exponent = _EXACT.normalize(number).as_tuple().exponent
        if not isinstance(exponent, int) or -exponent > scale:
            raise Unmapped(f"a number of more than {scale} decimal places")
        if number.adjusted() >= precision - scale:
            raise Unmapped(f"a number of more than {precision - scale} digits before the point")
        return number

    return fit


def _moment(finest: int, *, zoned: bool) -> Fit:
    def fit(value: Any) -> datetime:
        if type(value) is not datetime:
            raise _no(value, "a moment")
        if value.microsecond % finest:
            raise Unmapped("a moment finer than milliseconds")
        return value if zoned else value.replace(tzinfo=None)

    return fit


def _time(finest: int) -> Fit:
    def fit(value: Any) -> time:
        if type(value) is not time:
            raise _no(value, "a time of day")
        if value.microsecond % finest:
            raise Unmapped("a time of day finer than milliseconds")
        return value

    return fit


def _enum(symbols: frozenset[str]) -> Fit:
    def fit(value: Any) -> str:
        if type(value) is not str:
            raise _no(value, "one of a few words")
        if value not in symbols:
            raise Unmapped("a word that the contract does not list")
        return value

    return fit


def _fixed(size: int) -> Fit:
    def fit(value: Any) -> bytes:
        if type(value) is not bytes:
            raise _no(value, f"{size} bytes")
        if len(value) != size:
            raise Unmapped(f"{len(value)} bytes, and the contract has {size}")
        return value

    return fit


def _list(item: Fit) -> Fit:
    def fit(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _no(value, "a list")
        return [item(part) for part in value]

    return fit


def _map(item: Fit) -> Fit:
    def fit(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _no(value, "a map")
        return {_text(name): item(part) for name, part in value.items()}

    return fit


def _record(parts: Mapping[str, Fit]) -> Fit:
    def fit(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _no(value, "a record")
        if value.keys() - parts.keys():
            raise Unmapped("a record with columns that the contract does not have")
        return {name: part(value.get(name)) for name, part in parts.items()}

    return fit


def _union(branches: list[Fit], nullable: bool) -> Fit:
    """The first branch that fits; a contract's branches do not look alike."""

    def fit(value: Any) -> Any:
        if value is None:
            if not nullable:
                raise Unmapped("the contract has a value there, and none is told")
            return None
        for branch in branches[:-1]:
            try:
                return branch(value)
            except Unmapped:
                continue
        return branches[-1](value)

    return fit if branches else _null


def _null(value: Any) -> None:
    if value is not None:
        raise _no(value, "nothing")


_PLAIN: Mapping[str, Fit] = {
    "null": _null,
    "boolean": _only(bool, "true or false"),
    "int": _integer(_INT),
    "long": _integer(_LONG),
    "float": _float,
    "double": _double,
    "bytes": _only(bytes, "bytes"),
    "string": _text,
}
_LOGICAL: Mapping[str, Fit] = {
    "date": _only(date, "a date"),
    "time-millis": _time(1000),
    "time-micros": _time(1),
    "timestamp-millis": _moment(1000, zoned=True),
    "timestamp-micros": _moment(1, zoned=True),
    "local-timestamp-millis": _moment(1000, zoned=False),
    "local-timestamp-micros": _moment(1, zoned=False),
}
