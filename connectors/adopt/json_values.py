"""JSON from outside, read without losing anything: numbers exactly, no doubled names, nothing that is not JSON. Pure.

Kafka Connect's JsonConverter writes `{"schema": ..., "payload": ...}` around every value, and the schema is several
times as long as what it is about. It is the same text from record to record, so it is read once.
https://kafka.apache.org/documentation/#connect_configuring (JsonConverter, `schemas.enable`)
"""

from __future__ import annotations

import json
from collections import OrderedDict
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from connectors.adopt.connect_types import ConnectSchema
from connectors.adopt.errors import Unmapped
from schemas.codec import VALUE_LENGTH_MAX

DIGITS_MAX = 100
_SCHEMAS_MAX, _SCHEMA_LENGTH_MAX = 64, 256 * 1024
_BEGIN, _BETWEEN = b'{"schema":{', b',"payload":'


def _constant(_: str) -> NoReturn:
    raise Unmapped("JSON has no NaN and no Infinity")


def _number(text: str) -> Decimal:
    """A number with a point or an exponent. What is short in JSON must not be long in memory: 1e999999."""
    number = Decimal(text)
    if len(text) > DIGITS_MAX or abs(number.adjusted()) > DIGITS_MAX:
        raise Unmapped(f"a number of more than {DIGITS_MAX} digits")
    return number


def _whole(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise Unmapped(f"a number of more than {DIGITS_MAX} digits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unmapped("an object with the same name twice")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_whole, parse_constant=_constant
)


def read_json(text: bytes) -> Any:
    """What a JSON text says; numbers as int or Decimal. Raises Unmapped."""
    if len(text) > VALUE_LENGTH_MAX:
        raise Unmapped(f"{len(text)} bytes, at most {VALUE_LENGTH_MAX} are read")
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, InvalidOperation) as error:
        raise Unmapped(f"{len(text)} bytes are not JSON") from error
    except RecursionError as error:
        raise Unmapped("JSON that is nested too deep") from error


class ConnectReader:
    """Reads what JsonConverter writes, with or without schemas."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, ConnectSchema] = OrderedDict()
        """What comes before a payload -> the schema in it."""

    def read(self, text: bytes) -> tuple[Any, ConnectSchema | None]:
        """(payload, its schema); without an envelope, what is there and None. Raises Unmapped."""
        if text.startswith(_BEGIN):
            for before, schema in self._known.items():
                if text.startswith(before) and text.endswith(b"}") and len(text) <= VALUE_LENGTH_MAX:
                    return read_json(text[len(before) : -1]), schema
        found = read_json(text)
        if not isinstance(found, dict) or found.keys() != {"schema", "payload"}:
            return found, None
        if found["schema"] is None:
            return found["payload"], None
        if not isinstance(found["schema"], dict):
            raise Unmapped("a schema that is not an object")
        schema = ConnectSchema(found["schema"])
        if text.startswith(_BEGIN):
            self._remember(text, schema)
        return found["payload"], schema

    def _remember(self, text: bytes, schema: ConnectSchema) -> None:
        """Keep the text of the schema, if it stands first, with nothing between it and the payload."""
        decoded = text.decode()
        _, end = _DECODER.raw_decode(decoded, len(_BEGIN) - 1)
        before = decoded[:end].encode() + _BETWEEN
        if len(before) <= _SCHEMA_LENGTH_MAX and text.startswith(before):
            self._known[before] = schema
            if len(self._known) > _SCHEMAS_MAX:
                self._known.popitem(last=False)
