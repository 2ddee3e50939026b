"""Tryton's JSON: decimals, dates and bytes as objects with `__class__`. Pure."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def dumps(document: Any) -> bytes:
    return json.dumps(document, default=_encode, separators=(",", ":")).encode()


def loads(text: bytes) -> Any:
    """Raises ValueError for what is not JSON."""
    return json.loads(text, object_hook=_decode)


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime):
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime"} | {name: getattr(value, name) for name in names}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, bytes):
        return {"__class__": "bytes", "base64": base64.encodebytes(value).decode()}
    msg = f"Tryton's JSON has no {type(value).__name__}"
    raise TypeError(msg)


def _decode(found: dict[str, Any]) -> Any:
    kind = found.get("__class__")
    if kind == "Decimal":
        return Decimal(found["decimal"])
    if kind == "datetime":
        parts = (found[n] for n in ("year", "month", "day", "hour", "minute", "second", "microsecond"))
        return datetime(*parts)  # noqa: DTZ001 - Tryton's are naive, in the zone of the settings
    if kind == "date":
        return date(found["year"], found["month"], found["day"])
    if kind == "bytes":
        return base64.decodebytes(found["base64"].encode())
    return found
