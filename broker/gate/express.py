"""The short way for most changes: the one owner of everything creates a record, or sends a newer full image of it.

Pure. One straight function from the record's bytes to the new revision, without decoding values or making objects per
field. It gives exactly what the long way (read, decide, route) gives, or None: then the long way is taken. A property
test holds the two together; everything unusual, and everything that is not accepted, goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from broker.gate.fields import Standing, standing
from broker.gate.route import Destination, Outgoing
from broker.gate.state import RecordState, remembered
from schemas.codec import VALUE_LENGTH_MAX
from schemas.envelope import HEADER_LENGTH_MAX, Headers, parse_time_ms
from schemas.spans import Walk, text_is

_NAMES = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_fields")
_UTC_MS = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").fullmatch
_SPECVERSION = ("ce_specversion", b"1.0")
_GATE = ("ce_source", b"/solesource")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressPlan:
    """What is the same for every change of one system and object under one map version."""

    object: str
    system: str
    source: bytes
    type: bytes
    frame: bytes
    walk: Walk
    fields: tuple[str, ...]
    key_index: int
    nullable: tuple[bytes, ...]
    """Per field its span when it is null; empty where it cannot be."""
    creates: bool
    map_version: int


def express(
    plan: ExpressPlan,
    state: RecordState | None,
    key: bytes,
    value: bytes | None,
    headers: Headers,
    received_ms: int,
    gate_time_ms: int,
) -> tuple[RecordState, Outgoing] | None:
    """(state after, new revision), or None: take the long way. `state` None = there is no such record yet."""
    if value is None or len(value) > VALUE_LENGTH_MAX or not value.startswith(plan.frame):
        return None
    event = _event(plan, headers)
    if event is None or (state is None and not (plan.creates and key.isascii() and 0 < len(key) <= 512)):
        return None
    spans = plan.walk(value)
    if spans is None or not text_is(spans[plan.key_index], key):
        return None
    if state is None:
        before, revision = plan.nullable, 1
        after = RecordState(value=value, revision=1, owners=((plan.system, event, None),))
    else:
        if not _follows(plan, state, event) or state.value is None or not state.value.startswith(plan.frame):
            return None
        current = plan.walk(state.value)
        if current is None or current == spans:
            return None
        before, revision = tuple(current), state.revision + 1  # I4
        after = RecordState(
            value=value,
            revision=revision,
            owners=((plan.system, event, None),),  # I1: the only owner's own bytes
            recent=remembered(state.recent, state.value, gate_time_ms),
            memory=state.memory,
        )
    changed = _changed(plan.fields, tuple(map(bytes.__ne__, before, spans)))
    return after, _revision(plan, key, value, headers[4], event, revision, changed, received_ms)


def _event(plan: ExpressPlan, headers: Headers) -> str | None:
    """The event id of a change with just the six headers in their usual order; None for any other."""
    if len(headers) != len(_NAMES):
        return None
    one, identity, source, kind, at, fields = headers
    if (one[0], identity[0], source[0], kind[0], at[0], fields[0]) != _NAMES or one[1] != b"1.0":
        return None
    if source[1] != plan.source or kind[1] != plan.type or fields[1] != b"*":
        return None
    time, event = at[1], identity[1]
    if (
        not event
        or not time
        or len(event) > HEADER_LENGTH_MAX
        or not event.isascii()
        or _UTC_MS(time) is None
    ):
        return None
    return event.decode() if _is_time(time[:19]) else None


@lru_cache(maxsize=4096)
def _is_time(second: bytes) -> bool:
    try:
        parse_time_ms(second + b"Z")
    except ValueError:
        return False
    return True


def _follows(plan: ExpressPlan, state: RecordState, event: str) -> bool:
    """Whether the record is wholly this system's, nothing waits on it, and the event is newer than the last one."""
    owners = state.owners
    if len(owners) != 1 or owners[0][2] is not None or owners[0][0] != plan.system:
        return False
    memory, last = state.memory, owners[0][1]
    if memory.proposals or memory.parked or memory.held.get(plan.system) == event:
        return False
    return standing(event, last) is Standing.NEWER


@lru_cache(maxsize=4096)
def _changed(fields: Sequence[str], differs: tuple[bool, ...]) -> bytes:
    return ",".join(sorted(name for name, new in zip(fields, differs, strict=True) if new)).encode()


def _revision(
    plan: ExpressPlan,
    key: bytes,
    value: bytes,
    time: tuple[str, bytes],
    event: str,
    revision: int,
    changed: bytes,
    received_ms: int,
) -> Outgoing:
    number, name = b"%d" % revision, event.encode()
    owner = name
    if b"%" in name or b";" in name or b"=" in name:
        owner = name.replace(b"%", b"%25").replace(b";", b"%3B").replace(b"=", b"%3D")
    system, object_name = plan.source[1:], plan.type[: -len(b".upsert")]
    headers = (
        _SPECVERSION,
        ("ce_id", b"%b/%b@%b" % (object_name, key, number)),
        _GATE,
        ("ce_type", object_name + b".authoritative"),
        time,
        ("ce_causationid", b"%b/%b" % (system, name)),
        ("ce_revision", number),
        ("ce_changed", changed),
        ("ce_owners", b"%b@%b" % (system, owner)),
        ("ce_decision", b"%d:%d" % (plan.map_version, received_ms)),
    )
    return Outgoing(Destination.AUTHORITATIVE, key, value, headers, plan.object)
