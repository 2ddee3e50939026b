"""Which fields of two flat records differ, found from their bytes without decoding them.

Pure. Decoding costs more than everything else that is done to a record that is only passed on; its structure can be
walked for a fraction of that. A walk that succeeds proves that decoding would (strings are valid UTF-8, lengths and
union branches fit, nothing is left over); one that gives up says nothing: then the value is decoded, which tells why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from schemas.codec import FRAME_LENGTH, frame
from schemas.contract import Contract

Differences = Callable[[bytes, bytes], int | None]
"""(new value, one that was walked before) -> a bit per field that differs, the first field being 1; None = decode."""
Merging = Callable[[bytes, bytes, int], tuple[int | None, bytes]]
"""(new value, one that is there, fields as bits) -> the same bits, and the one that is there with these of the new."""

Splice = tuple[int, int, bytes]
"""What stands from here to there is replaced by this."""

_TEXT, _NUMBER, _FLAG = range(3)
_PLAIN = {"string": _TEXT, "int": _NUMBER, "long": _NUMBER, "boolean": _FLAG}
"""Types of which equal values have equal bytes; floating point has not (0.0 and -0.0), and is decoded."""


class _Step(NamedTuple):
    """One field: first bytes of a null and of a value where it is a union (-1 where not), its kind, 1 for a union."""

    null: int
    present: int
    kind: int
    lead: int


class Blank(NamedTuple):
    """A record of nothing but its key, in the two pieces around the key's text."""

    before: bytes
    after: bytes

    def of(self, key: bytes) -> bytes:
        """The value of the blank record of `key`."""
        length = 2 * len(key)
        prefix = bytes((length,)) if length < 128 else bytes((length & 127 | 128, length >> 7))
        return b"".join((self.before, prefix, key, self.after))


def differences_of(contract: Contract) -> Differences | None:
    """The comparison for a contract; None for one with nested, logical or rarer types, whose values are decoded."""
    steps = _steps(contract)
    if steps is None:
        return None

    def differences(new: bytes, walked: bytes) -> int | None:
        try:
            return _differences(new, walked, steps, 0, [])
        except (IndexError, UnicodeDecodeError):
            return None

    return differences


def merging_of(contract: Contract) -> Merging | None:
    """Puts fields of a new value into one that is there; None for the contracts of `differences_of`.

    Gives what encoding the merged record gives: a walk ends at what is not spelled as the codec spells it.
    """
    steps = _steps(contract)
    if steps is None:
        return None

    def merging(new: bytes, there: bytes, taken: int) -> tuple[int | None, bytes]:
        splices = list[Splice]()
        try:
            differs = _differences(new, there, steps, taken, splices)
        except (IndexError, UnicodeDecodeError):
            return None, there
        return differs, there if differs is None else _spliced(there, splices)

    return merging


def blank_of(contract: Contract) -> Blank | None:
    """Before a record exists it is compared with this; None where the key is not a text, or may be null."""
    steps = _steps(contract)
    place = contract.fields.index(contract.key_field)
    if steps is None or steps[place].kind != _TEXT or steps[place].lead:
        return None
    nothing = [bytes((step.null if step.lead else 0,)) for step in steps]
    return Blank(frame(contract.schema_id) + b"".join(nothing[:place]), b"".join(nothing[place + 1 :]))


def _steps(contract: Contract) -> tuple[_Step, ...] | None:
    steps = [_step(field["type"]) for field in contract.schema["fields"]]
    known = tuple(step for step in steps if step is not None)
    return known if len(known) == len(steps) else None


def _step(schema: Any) -> _Step | None:
    if isinstance(schema, list):
        if len(schema) != 2 or "null" not in schema:
            return None
        null = schema.index("null")
        inner = _step(schema[1 - null])
        return None if inner is None or inner.lead else _Step(null * 2, (1 - null) * 2, inner.kind, 1)
    name = schema["type"] if isinstance(schema, Mapping) and len(schema) == 1 else schema
    if not isinstance(name, str) or name not in _PLAIN:
        return None
    return _Step(-1, -1, _PLAIN[name], 0)


# One loop with the most frequent field in it, on purpose: a call per field would cost what the walk saves.
def _differences(
    new: bytes, walked: bytes, steps: tuple[_Step, ...], taken: int, splices: list[Splice]
) -> int | None:
    """Adds to `splices` how the `taken` fields of the new value come into the other one."""
    at = was = FRAME_LENGTH
    differs, bit = 0, 1
    for null, present, kind, lead in steps:
        if kind or (lead and new[at] != present) or (length := new[at + lead]) > 127:
            end = _end(new, at, null, present, kind)
            if end < 0:
                return None
            span = new[at:end]
        else:
            end = at + lead + 1 + (length >> 1)
            span = new[at:end]
            if length & 1 or not (span.isascii() or span[lead + 1 :].decode()):
                return None
        if walked.startswith(span, was):  # a field tells where it ends: what begins alike is equal
            was += end - at
        else:
            differs |= bit
            begin = was
            if kind or (lead and walked[was] != present) or (length := walked[was + lead]) > 127:
                was = _end(walked, was, null, present, kind)
                if was < 0:
                    return None
            else:
                was += lead + 1 + (length >> 1)
            if taken & bit:
                splices.append((begin, was, span))
        at = end
        bit <<= 1
    return differs if at == len(new) and was == len(walked) else None


def _spliced(value: bytes, splices: Iterable[Splice]) -> bytes:
    parts, at = list[bytes](), 0
    for begin, end, span in splices:
        parts += (value[at:begin], span)
        at = end
    return b"".join((*parts, value[at:]))


def _end(value: bytes, at: int, null: int, present: int, kind: int) -> int:
    """Where a field ends; -1 where it cannot be walked. Lengths and branches are zigzag varints: n stands as 2n."""
    if present >= 0:
        branch = value[at]
        at += 1
        if branch == null:
            return at
        if branch != present:
            return -1
    if kind == _TEXT:
        return _end_of_text(value, at)
    if kind == _FLAG:
        return at + 1 if value[at] < 2 else -1
    first = at
    while value[at] > 127:
        at += 1
    at += 1
    return -1 if at - first > 4 or (at - first > 1 and value[at - 1] == 0) else at


def _end_of_text(value: bytes, at: int) -> int:
    """Of one whose length takes two bytes: shorter ones are found in the loop, longer ones are decoded."""
    if not 0 < value[at + 1] < 128:
        return -1
    length = value[at] + ((value[at + 1] - 1) << 7)
    at += 2
    end = at + (length >> 1)
    if length & 1 or end > len(value):
        return -1
    text = value[at:end]
    return end if text.isascii() or text.decode() else -1
