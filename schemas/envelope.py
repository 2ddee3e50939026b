"""The event envelope: CloudEvents 1.0 in Kafka binary mode, at most six headers in and four or so added by the gate.

Pure. Presence is told by headers, never by the value: `ce_fields` lists the fields that a change sets (`*` = the
value is the full image), a listed field with Avro null is null, a field not listed is unset.
Header names follow the Kafka protocol binding of CloudEvents 1.0.2, section 3.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from schemas.errors import MalformedEnvelope

Headers = Sequence[tuple[str, bytes]]

SPECVERSION = b"1.0"
ALL_FIELDS = "*"
HEADER_COUNT_MAX = 32
HEADER_LENGTH_MAX = 4096
"""Longest header value in bytes; a record with a longer one is held unread."""


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
    """Milliseconds since 1970 of an RFC 3339 time with zone."""
    moment = datetime.fromisoformat(text.decode("ascii"))
    if moment.tzinfo is None:
        msg = "ce_time has no zone"
        raise ValueError(msg)
    return round(moment.timestamp() * 1000)


def format_time(ms: int) -> bytes:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").encode() + b"%03dZ" % (ms % 1000)


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
            if not 0 < len(found[name]) <= HEADER_LENGTH_MAX:
                msg = f"{name} is empty or longer than {HEADER_LENGTH_MAX} bytes"
                raise MalformedEnvelope(msg)
        name = "ce_type"
        object_name, deletes = parse_type(found[name])
        name = "ce_time"
        time_ms = parse_time_ms(found[name])
        name = "ce_fields"
        fields = found.get(name, b"") if deletes else found[name]
        if len(fields) > HEADER_LENGTH_MAX or (not fields and not deletes):
            msg = f"ce_fields is empty or longer than {HEADER_LENGTH_MAX} bytes"
            raise MalformedEnvelope(msg)
        listed = None if fields in (b"*", b"") else field_set(fields)
        name = "ce_unavailable"
        unavailable = field_set(found[name]) if name in found else frozenset()
        name = "ce_id"
        event = found[name].decode("utf-8")
        name = "ce_source"
        source = found[name].decode("utf-8")
    except KeyError:
        msg = f"header {name} is missing"
        raise MalformedEnvelope(msg) from None
    except (ValueError, AttributeError, OverflowError) as error:
        msg = f"header {name} cannot be read"
        raise MalformedEnvelope(msg) from error
    return ChangeEnvelope(event, source, object_name, deletes, time_ms, listed, unavailable)


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
        ("ce_fields", b"*" if fields is None else ",".join(sorted(fields)).encode()),
    ]
    absent = ",".join(sorted(unavailable))
    return [*headers, ("ce_unavailable", absent.encode())] if absent else headers
