"""Expressions of a mapping, in Google's Common Expression Language. https://github.com/google/cel-spec

CEL ends by itself: it has no loops but over lists that are there, and reaches nothing outside what it is given. It
knows no decimals: numbers with a point are doubles in it, and no double fits a decimal of the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import cel

from connectors.adopt.errors import Unmapped
from connectors.sdk.errors import ConfigInvalid

Expression = Callable[[dict[str, Any]], Any]
_INT = 2**63
NAMES = frozenset({"row", "key", "event"})


def expression(text: str, where: str) -> Expression:
    """A compiled expression over `row`, `key` and `event`. Raises ConfigInvalid; evaluating raises Unmapped."""
    try:
        program = cel.compile(text)
    except ValueError as error:
        msg = f"{where}: not an expression: {str(error).splitlines()[0][:200]}"
        raise ConfigInvalid(msg) from error
    unknown = sorted(set(program.variables()) - NAMES)
    if unknown:
        msg = f"{where}: {', '.join(unknown)} is not known"
        raise ConfigInvalid(msg, "Expressions know `row` (the columns), `key` (Kafka's key) and `event`.")

    def evaluate(names: dict[str, Any]) -> Any:
        try:
            return program.execute(names)
        except Exception as error:  # the library raises KeyError, TypeError, RuntimeError and more
            raise Unmapped(f"the expression ends with {type(error).__name__}") from error

    return evaluate


def plain(value: Any) -> Any:
    """A value as expressions know it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int) and not -_INT <= value < _INT:
        raise Unmapped("a whole number of more than 64 bits in an expression")
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value
