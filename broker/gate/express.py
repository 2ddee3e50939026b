"""The short way for most changes: the one owner of everything creates a record, or sends a newer full image of it.

Pure. One straight function from the record's bytes to the new revision, without decoding values or making objects per
field. It gives exactly what the long way (read, decide, route) gives, or None: then the long way is taken. A property
test holds the two together; everything unusual, and everything that is not accepted, goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from broker.gate.fields import Standing, standing
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import NO_MEMORY, RecordState, remembered
from schemas.codec import VALUE_LENGTH_MAX
from schemas.envelope import HEADER_LENGTH_MAX, Header, Headers, parse_time_ms
from schemas.spans import Blank, Differences
from schemas.version import plainly_newer

_UTC_MS = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").fullmatch
_SPECVERSION = ("ce_specversion", b"1.0")
_FULL = ("ce_fields", b"*")
_GATE = ("ce_source", b"/solesource")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressPlan:
    """What is the same for every change of one system and object under one map version."""

    object: str
    system: str
    source: Header
    type: Header
    authoritative: Header
    """`ce_type` of what the gate writes."""
    frame: bytes
    differences: Differences
    blank: Blank
    key_bit: int
    required_bits: int
    """Fields that cannot be null: a new record sets them."""
    changed: Callable[[int], Header]
    """`ce_changed` of a set of fields, as bits."""
    words: tuple[bytes, bytes, bytes, bytes]
    """What `ce_id`, `ce_causationid`, `ce_owners` and `ce_decision` begin with."""
    creates: bool
    since_ms: int
    until_ms: int
    """Append times between which these terms are in force."""


def changed_header(fields: Sequence[str]) -> Callable[[int], Header]:
    """How the fields of a record are named in `ce_changed`, by their bits."""

    @lru_cache(maxsize=4096)
    def named(bits: int) -> Header:
        names = sorted(name for place, name in enumerate(fields) if bits >> place & 1)
        return ("ce_changed", ",".join(names).encode())

    return named


def express(
    plan: ExpressPlan,
    state: RecordState | None,
    key: bytes,
    value: bytes | None,
    headers: Headers,
    received_ms: int,
) -> tuple[RecordState, Outgoing] | None:
    """(state after, new revision), or None: take the long way. `state` None = there is no such record yet."""
    if value is None or len(value) > VALUE_LENGTH_MAX or not value.startswith(plan.frame):
        return None
    name = event_id(plan.source, plan.type, headers)
    if name is None or not plan.since_ms <= received_ms < plan.until_ms:
        return None
    event = name.decode()
    owners = ((plan.system, event, None),)  # I1: the only owner's own bytes
    if state is None:
        if not (plan.creates and key.isascii() and 0 < len(key) <= 512 and is_first_count(event)):
            return None
        changed = plan.differences(value, plan.blank.of(key))
        if changed is None or changed & plan.key_bit:
            return None
        after = RecordState(value, 1, owners)
        return after, _revision(plan, key, after, headers[4], name, changed | plan.required_bits, received_ms)
    current = state.value
    if current is None or not current.startswith(plan.frame) or not _follows(plan, state, event):
        return None
    changed = plan.differences(value, current)
    if not changed or changed & plan.key_bit:  # the record's own key stands in its value
        return None
    recent = remembered(state.recent, current, received_ms)
    after = RecordState(value, state.revision + 1, owners, recent, state.memory, state.older)  # I4
    return after, _revision(plan, key, after, headers[4], name, changed, received_ms)


def event_id(source: Header, kind: Header, headers: Headers) -> bytes | None:
    """The event id of a change with just the six headers in their usual order; None for any other."""
    if len(headers) != 6:
        return None
    version, identity, sent_by, of, at, fields = headers
    if version != _SPECVERSION or sent_by != source or of != kind or fields != _FULL:
        return None
    name, event = identity
    named, time = at
    if name != "ce_id" or named != "ce_time" or not event or not time:
        return None
    if len(event) > HEADER_LENGTH_MAX or not event.isascii() or _UTC_MS(time) is None:
        return None
    return event if _is_time(time[:19]) else None


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
    owner, last, fields = owners[0] if len(owners) == 1 else ("", "", None)
    if fields is not None or owner != plan.system:
        return False
    memory = state.memory
    if memory is not NO_MEMORY and (
        memory.proposals or memory.parked or memory.held.get(plan.system) == event
    ):
        return False
    return plainly_newer(event, last) or (is_first_count(event) and standing(event, last) is Standing.NEWER)


def is_first_count(event: str) -> bool:
    """Whether the source never began to count anew: whether a later count is confirmed, the long way knows."""
    return event.startswith(("seq:0:", "time:0:", "any:0:"))


def _revision(
    plan: ExpressPlan,
    key: bytes,
    after: RecordState,
    time: Header,
    event: bytes,
    changed: int,
    received_ms: int,
) -> Outgoing:
    number, owner = b"%d" % after.revision, event
    if b"%" in event or b";" in event or b"=" in event:
        owner = event.replace(b"%", b"%25").replace(b";", b"%3B").replace(b"=", b"%3D")
    identity, causation, owners, decision = plan.words
    headers = [  # joined, not formatted: that takes half the time
        _SPECVERSION,
        ("ce_id", identity + key + b"@" + number),
        _GATE,
        plan.authoritative,
        time,
        ("ce_causationid", causation + event),
        ("ce_revision", number),
        plan.changed(changed),
        ("ce_owners", owners + owner),
        ("ce_decision", decision + b"%d" % received_ms),
    ]
    return Outgoing(Destination.AUTHORITATIVE, key, after.value, headers, plan.object)
