"""Hostile records of foreign topics from a seed: JSON that took a wrong turn, and bytes of good values changed."""

from __future__ import annotations

import json
import random
from io import BytesIO
from typing import Any

import fastavro

from schemas.codec import frame
from tests.foreign import Desk as ForeignDesk
from tests.foreign import as_stored, envelope, envelope_schema

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**90, 0.1, -0.0, 1e300, 1e-300),
    *("", "x", "é\u0308", "\ud800", "\u0000", "x" * 300, "9" * 5_000, "ATsr", "2026-11-26T10:00:00Z", "true"),
    *([], {}, [1], {"a": None}, "__debezium_unavailable_value", ["__debezium_unavailable_value"]),
)
RAW = (
    b"1e999999",
    b"NaN",
    b"-Infinity",
    b"9" * 4_000,
    b'"\\ud800"',
    b"[" * 3_000,
    b'{"a":' * 500,
    b"0x1",
    b"1.",
    b"\xff",
    b"",
)
FIELDS = {
    "customer_id": {"from": "id", "as": "text"},
    "name": "name",
    "email": {"from": "contact.email", "enum": {"x": "a@example.com", "": "none"}},
    "phone": {"expression": '"+" + string(row.id)'},
    "credit_limit": {"from": "credit", "as": "decimal"},
}


FORMS = ("debezium", "json", "cloudevents", "debezium-avro", "avro")
AVRO_ID = 7
_DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
_AT = {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}


def _record(called: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": called,
        "fields": [{"name": n, "type": kind} for n, kind in fields.items()],
    }


AVRO_ROW = _record(
    "Value",
    id="int",
    name=["null", "string"],
    contact=["null", _record("Contact", email=["null", "string"])],
    credit=["null", _DECIMAL],
    at=["null", _AT],
    tags={"type": "array", "items": ["null", "string"]},
    gone=["null", "string"],
)
AVRO_ENVELOPE = _record(
    "Envelope",
    before=["null", AVRO_ROW],
    after=["null", "Value"],
    source=_record("Source", connector="string", lsn=["null", "long"], ts_ms="long"),
    op="string",
)


def desk(form: str) -> ForeignDesk:
    """A topic of a format, mapped in every way."""
    found = ForeignDesk(
        form,
        settings={"registry": {"url": "http://127.0.0.1:1"}},
        fields=FIELDS,
        deleted='has(row.gone) && row.gone == "true"',
        before_is_whole=True,
    )
    found.avro.learn(AVRO_ID, AVRO_ENVELOPE if form == "debezium-avro" else AVRO_ROW)
    return found


PLAIN = {
    form: fastavro.parse_schema(as_stored(schema), _force=True)
    for form, schema in {"debezium-avro": AVRO_ENVELOPE, "avro": AVRO_ROW}.items()
}


class HostileForeign:
    """The n-th hostile record of a seed: (key, value)."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def record(self, form: str) -> tuple[bytes | None, bytes | None]:
        dice = self._dice
        value = (
            self._avro(form)
            if form.endswith("avro")
            else json.dumps(self._value(form), separators=dice.choice(((",", ":"), (", ", ": ")))).encode()
        )
        if dice.randrange(3) == 0:
            value = self._broken(value)
        if dice.randrange(300) == 0:
            value = b'{"id":"' + b"x" * dice.choice((400_000, 2_000_000)) + b'"}'
        key = dice.choice(
            (*[b'{"id":1}'] * 6, b"C-1", b"7", None, b"", b"\xff", b'{"a":1,"b":2}', b'{"id":{}}')
        )
        return key, None if dice.randrange(40) == 0 else value

    def _avro(self, form: str) -> bytes:
        """A value as it should be; what is wrong is done to its bytes."""
        dice, out = self._dice, BytesIO()
        row = {
            "id": dice.choice((1, -1, 2**31 - 1)),
            "name": dice.choice(("Ada", None, "\u0000", "__debezium_unavailable_value")),
            "contact": dice.choice((None, {"email": None}, {"email": "x"}, {"email": "y"})),
            "credit": dice.choice((None, b"", b"\x01\x3b\x2b", b"\x7f" * 40)),
            "at": dice.choice((None, 0, 2**63 - 1, -(2**63))),
            "tags": dice.choice(([], [None], ["a"] * 3_000)),
            "gone": dice.choice((None, None, None, "true")),
        }
        source = {"connector": "postgresql", "lsn": dice.choice((None, 1, -1, 2**63 - 1)), "ts_ms": 5}
        op = dice.choice(("c", "u", "d", "r", "t", "m", "x"))
        change = {
            "before": dice.choice((None, row)),
            "after": dice.choice((None, row)),
            "source": source,
            "op": op,
        }
        fastavro.schemaless_writer(out, PLAIN[form], change if form == "debezium-avro" else row)
        return frame(AVRO_ID) + out.getvalue()

    def _value(self, form: str) -> Any:
        row = self._wrong({"id": 1, "name": "Ada", "contact": {"email": "x"}, "credit": 806.83, "at": 5})
        if form == "cloudevents":
            event = {
                "specversion": "1.0",
                "id": "a",
                "source": "s",
                "type": "t",
                "time": "2026-11-26T10:00:00Z",
            }
            return self._wrong({**event, "data": row})
        if form == "json":
            return row
        op = self._dice.choice(("c", "u", "d", "r", "t", "m", "x"))
        change = self._wrong(envelope(op, row, lsn=self._dice.randrange(99), before=row))
        if self._dice.randrange(2):
            return change
        if isinstance(row, dict) and row.get("credit") == 806.83:
            row["credit"] = "ATsr"
        schema = envelope_schema()
        if self._dice.randrange(4) == 0:
            schema["fields"][1] = self._wrong(schema["fields"][1])
        return self._wrong({"schema": schema, "payload": change})

    def _wrong(self, found: Any) -> Any:
        """The same, with something else in one of five."""
        dice = self._dice
        if dice.randrange(5) or not isinstance(found, dict):
            return found
        changed = dict(found)
        turn = dice.randrange(4)
        if turn == 0:
            changed.pop(dice.choice(list(changed)))
        elif turn == 1:
            changed["more"] = dice.choice(SCALARS)
        elif turn == 2:
            changed[dice.choice(list(changed))] = dice.choice(SCALARS)
        else:
            return dice.choice((changed, changed, dice.choice(SCALARS)))
        return changed

    def _broken(self, value: bytes) -> bytes:
        dice, bytes_ = self._dice, bytearray(value)
        at = dice.randrange(len(bytes_))
        turn = dice.randrange(5)
        if turn == 4:
            return frame(100) + dice.choice((value, b"\x021\x00\x00\x00\x00"))
        if turn == 0:
            del bytes_[at:]
        elif turn == 1:
            bytes_[at] = dice.randrange(256)
        elif turn == 2:
            bytes_[at:at] = dice.choice(RAW)
        else:
            bytes_[at : at + 3] = dice.choice(RAW)
        return bytes(bytes_)
