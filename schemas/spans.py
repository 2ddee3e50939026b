"""The bytes of each field of a flat record, found without decoding them: whether a value can be read, and what differs.

Pure. Decoding costs more than everything else that is done to a record that is only passed on; its structure can be
walked for a third of that. A walk that succeeds proves that decoding would (strings are valid UTF-8, lengths and union
branches fit, nothing is left over); one that gives up says nothing: then the value is decoded, which tells why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.codec import FRAME_LENGTH
from schemas.contract import Contract

Spans = list[bytes]
Walk = Callable[[bytes], Spans | None]

_TEXT, _NUMBER, _FLAG = range(3)
_PLAIN = {"string": _TEXT, "int": _NUMBER, "long": _NUMBER, "boolean": _FLAG}
"""Types of which equal values have equal bytes; floating point has not (0.0 and -0.0), and is decoded."""


def walk_of(contract: Contract) -> Walk | None:
    """The walk of a contract; None for one with nested, logical or rarer types, whose values are decoded instead."""
    plan = []
    for field in contract.schema["fields"]:
        step = _step(field["type"])
        if step is None:
            return None
        plan.append(step)
    steps = tuple(plan)

    def walk(value: bytes) -> Spans | None:
        try:
            return _walk(value, steps)
        except (IndexError, UnicodeDecodeError):
            return None

    return walk


def null_spans(contract: Contract) -> tuple[bytes, ...]:
    """Per field its span when it is null; empty where it cannot be."""
    return tuple(
        bytes((schema.index("null") * 2,)) if isinstance(schema, list) else b""
        for schema in (field["type"] for field in contract.schema["fields"])
    )


def _step(schema: Any) -> tuple[int, int, int] | None:
    """(null branch, other branch, kind); branches are -1 where the field is not a union."""
    if isinstance(schema, list):
        if len(schema) != 2 or "null" not in schema:
            return None
        null = schema.index("null")
        inner = _step(schema[1 - null])
        return None if inner is None or inner[1] >= 0 else (null * 2, (1 - null) * 2, inner[2])
    name = schema["type"] if isinstance(schema, Mapping) and len(schema) == 1 else schema
    if not isinstance(name, str) or name not in _PLAIN:
        return None
    return (-1, -1, _PLAIN[name])


# One loop on purpose: a call per field would cost what the walk saves.
def _walk(value: bytes, steps: tuple[tuple[int, int, int], ...]) -> Spans | None:  # noqa: C901, PLR0912
    """One pass over the datum. Branch numbers and lengths are zigzag varints: an even first byte below 128 is n / 2."""
    at, end = FRAME_LENGTH, len(value)
    spans: Spans = []
    for null, other, kind in steps:
        start = at
        if other >= 0:
            branch = value[at]
            at += 1
            if branch == null:
                spans.append(value[start:at])
                continue
            if branch != other:
                return None
        if kind == _TEXT:
            length = value[at]
            at += 1
            if length > 127:
                length += (value[at] - 1) << 7
                if not 0 < value[at] < 128:
                    return None
                at += 1
            if length & 1:
                return None
            text = value[at : at + (length >> 1)]
            at += length >> 1
            if at > end or not (text.isascii() or text.decode()):
                return None
        elif kind == _NUMBER:
            first = at
            while value[at] > 127:
                at += 1
            at += 1
            if at - first > 4 or (at - first > 1 and value[at - 1] == 0):
                return None
        else:
            if value[at] > 1:
                return None
            at += 1
        spans.append(value[start:at])
    return spans if at == end else None


def text_is(span: bytes, key: bytes) -> bool:
    """Whether the span of a string field that cannot be null holds exactly these bytes."""
    # A length below 64 takes one byte: a text that begins with the byte of a length is not taken for one.
    return len(span) - len(key) == (1 if len(key) < 64 else 2) and span.endswith(key)
