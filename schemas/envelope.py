"""The event envelope: CloudEvents 1.0 in Kafka binary mode, at most six headers in and four or so added by the gate.

Pure. Presence is told by headers, never by the value: `ce_fields` lists the fields that a change sets (`*` = the
value is the full image), a listed field with Avro null is null, a field not listed is unset.
Header names follow the Kafka protocol binding of CloudEvents 1.0.2, section 3.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from schemas.errors import MalformedEnvelope

Header = tuple[str, bytes]
Headers = Sequence[Header]
"""As Kafka gives them; from a careless writer a value may be None all the same."""

SPECVERSION = b"1.0"
ALL_FIELDS = b"*"
HEADER_COUNT_MAX = 32
HEADER_LENGTH_MAX = 4096
"""Longest header value in bytes; a record with a longer one is held unread."""
_RFC_3339 = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)").fullmatch
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - counted from in UTC, spelled without an offset
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999: what RFC 3339 can spell."""


class ChangeEnvelope(NamedTuple):
    """What the headers of a change event say."""

    event_id: str
    source: str
    object: str
    deletes: bool
    time_ms: int
    fields: frozenset[str] | None
    """The fields set by this change; None = all of them (full image)."""
    unavailable: frozenset[str]
    time: bytes = b""
    """`ce_time` as it was sent, for passing on: nothing of it is lost (I6)."""


def source_of(system: str) -> str:
    """The only `ce_source` that a system's own topic may carry."""
    return f"/{system}"


@lru_cache(maxsize=4096)
def field_set(text: bytes) -> frozenset[str]:
    """The names in a comma separated header value."""
    return frozenset(name for name in text.decode("utf-8").split(",") if name)


@lru_cache(maxsize=1024)
def parse_type(text: bytes) -> tuple[str, bool]:
    """(object, whether it deletes) of `<object>.upsert` or `<object>.delete`."""
    name, _, operation = text.decode("utf-8").rpartition(".")
    if not name or operation not in ("upsert", "delete"):
        msg = "ce_type must be <object>.upsert or <object>.delete"
        raise MalformedEnvelope(msg)
    return name, operation == "delete"


def parse_time_ms(text: bytes) -> int:
    """Milliseconds since 1970 of an RFC 3339 time with zone. Raises ValueError."""
    if _RFC_3339(text) is None:
        msg = "a time is written 2026-11-24T10:00:00.123Z, with Z or an offset such as +01:00"
        raise ValueError(msg)
    ms = round(datetime.fromisoformat(text.decode()).timestamp() * 1000)
    if not _FIRST_MS <= ms <= _LAST_MS:
        msg = "a time lies in the years 1 to 9999"
        raise ValueError(msg)
    return ms


def format_time(ms: int) -> bytes:
    """RFC 3339 in UTC with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").encode() + b"Z"


def parse_change(headers: Headers) -> ChangeEnvelope:
    """Read the headers of a change event.

    Raises MalformedEnvelope that names the header when one is missing, repeated in excess, too long or unreadable.
    """
    if len(headers) > HEADER_COUNT_MAX:
        msg = f"{len(headers)} headers, at most {HEADER_COUNT_MAX} are read"
        raise MalformedEnvelope(msg)
    found = dict(headers)
    name = "ce_specversion"
    try:
        if found[name] != SPECVERSION:
            msg = "ce_specversion is not 1.0"
            raise MalformedEnvelope(msg)
        for name in ("ce_id", "ce_source", "ce_type", "ce_time"):
            _limited(name, found[name])
        name = "ce_type"
        object_name, deletes = parse_type(found[name])
        name = "ce_time"
        time_ms = parse_time_ms(found[name])
        name = "ce_fields"
        fields = None if deletes else _listed(name, found[name])
        name = "ce_unavailable"
        unavailable = _listed(name, found[name]) if found.get(name) else frozenset()
        if unavailable is None:
            msg = "ce_unavailable lists every field, so the change sets none"
            raise MalformedEnvelope(msg)
        name = "ce_id"
        event = found[name].decode("utf-8")
        name = "ce_source"
        source = found[name].decode("utf-8")
    except KeyError:
        msg = f"header {name} is missing"
        raise MalformedEnvelope(msg) from None
    except (ValueError, OverflowError) as error:
        msg = f"header {name} cannot be read"
        raise MalformedEnvelope(msg) from error
    return ChangeEnvelope(event, source, object_name, deletes, time_ms, fields, unavailable, found["ce_time"])


def _limited(name: str, text: bytes | None) -> bytes:
    """A header's value, which Kafka lets be null. Raises MalformedEnvelope when it is empty or too long."""
    if text is None or not 0 < len(text) <= HEADER_LENGTH_MAX:
        msg = f"{name} is empty or longer than {HEADER_LENGTH_MAX} bytes"
        raise MalformedEnvelope(msg)
    return text


def _listed(name: str, text: bytes | None) -> frozenset[str] | None:
    """The fields that a header lists; None = all. Raises MalformedEnvelope when it lists none."""
    if text == ALL_FIELDS:
        return None
    names = field_set(_limited(name, text))
    if not names:
        msg = f"{name} lists no field"
        raise MalformedEnvelope(msg)
    return names


def change_headers(
    *,
    event_id: str,
    system: str,
    object_name: str,
    time_ms: int,
    fields: Iterable[str] | None,
    deletes: bool = False,
    unavailable: Iterable[str] = (),
) -> list[tuple[str, bytes]]:
    """Headers of a change event, within the budget of six (seven when something is unavailable)."""
    headers = [
        ("ce_specversion", SPECVERSION),
        ("ce_id", event_id.encode()),
        ("ce_source", source_of(system).encode()),
        ("ce_type", f"{object_name}.{'delete' if deletes else 'upsert'}".encode()),
        ("ce_time", format_time(time_ms)),
        ("ce_fields", ALL_FIELDS if fields is None else ",".join(sorted(fields)).encode()),
    ]
    absent = ",".join(sorted(unavailable))
    return [*headers, ("ce_unavailable", absent.encode())] if absent else headers
