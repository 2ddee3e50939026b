"""What a mapping says that a column means (`as:`), where the topic does not say it itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.adopt.connect_types import Reading, days, iso_moment, octets, since_epoch, unscaled
from connectors.adopt.errors import Unmapped
from connectors.adopt.json_values import DIGITS_MAX
from connectors.adopt.settings import Part


def meaning_of(part: Part) -> Reading | None:
    """How a part's values are read; None: as they are. Nothing stays nothing."""
    if part.meaning is None:
        return None
    reading = _MEANINGS[part.meaning] if part.scale is None else unscaled(part.scale)
    return lambda value: None if value is None else reading(value)


def text_of(value: Any) -> str:
    """The one text of a text, a whole number or a truth. Raises Unmapped."""
    if type(value) is int:
        return str(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is not str:
        raise Unmapped(f"no one text for what is told as {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is str and len(value) <= DIGITS_MAX:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int(value)
    if type(value) is Decimal and value == value.to_integral_value():
        return int(value)
    if type(value) is not int:
        raise Unmapped(f"no whole number, but {type(value).__name__}")
    return value


def _decimal(value: Any) -> Decimal:
    if type(value) is str and len(value) <= DIGITS_MAX:
        try:
            value = Decimal(value)
        except InvalidOperation as error:
            raise Unmapped("a text that is no number") from error
    if type(value) not in (int, Decimal) or not Decimal(value).is_finite():
        raise Unmapped(f"no decimal, but {type(value).__name__}")
    if abs(Decimal(value).adjusted()) > DIGITS_MAX:
        raise Unmapped(f"a number of more than {DIGITS_MAX} digits")
    return Decimal(value)


def _boolean(value: Any) -> bool:
    found = _TRUTHS.get(value) if isinstance(value, (str, int)) else None
    if found is None:
        raise Unmapped("neither true nor false, 1 nor 0")
    return found


def _date(value: Any) -> Any:
    if type(value) is not str:
        return days(value)
    return iso_moment(f"{value}T00:00:00+00:00").date()


_TRUTHS: Mapping[Any, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
"""1 and 0 are equal to True and False."""
_MEANINGS: Mapping[str, Reading] = {
    "text": text_of,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "bytes": octets,
    "date": _date,
    "timestamp": iso_moment,
    "milliseconds": since_epoch(1_000),
    "microseconds": since_epoch(1_000_000),
    "nanoseconds": since_epoch(1_000_000_000),
}
