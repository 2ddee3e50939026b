"""The short way for most changes: an owner creates a record that is all its own, or sends newer values of its fields.

Pure. One straight function from the record's bytes to the new revision, without decoding values or making objects per
field. It gives exactly what the long way (read, decide, route) gives, or None: then the long way is taken. A property
test holds the two together; everything unusual, and everything that is not accepted, goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from broker.gate.groups import Ownership, Whole, is_first_count, is_news, owners_after
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import NO_MEMORY, Memory, Owners, RecordState, remembered
from schemas.authoritative import format_owners
from schemas.codec import VALUE_LENGTH_MAX
from schemas.envelope import ALL_FIELDS, HEADER_LENGTH_MAX, Header, Headers, field_set, parse_time_ms
from schemas.spans import Blank, Differences, Merging

_UTC_MS = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").fullmatch
_SPECVERSION = ("ce_specversion", b"1.0")
_GATE = ("ce_source", b"/solesource")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is the same for every change of one system and object under one map version, on whatever short way."""

    object: str
    system: str
    source: Header
    type: Header
    frame: bytes
    since_ms: int
    until_ms: int
    """Append times between which these terms are in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressPlan(Plan):
    """For a system that owns fields of an object, all of whose fields are owned.

    Two plans are equal that change records of the same contract alike: functions are of the contract and of who owns
    what, and words only say which map it was.
    """

    authoritative: Header
    """`ce_type` of what the gate writes."""
    differences: Differences = field(compare=False)
    merging: Merging = field(compare=False)
    """Puts fields of the system into the record; where all are listed, the bytes that were sent are the record."""
    blank: Blank
    key_bit: int
    own_bits: int
    """Fields of the system: a change lists some of them, and differs in no other that it lists."""
    today: Ownership
    listed: Callable[[bytes], int] = field(compare=False)
    """Fields that `ce_fields` lists, as bits; 0 = only the long way can tell."""
    required_bits: int
    """Fields that cannot be null: a new record sets them."""
    changed: Callable[[int], Header] = field(compare=False)
    """`ce_changed` of a set of fields, as bits."""
    place: int
    """The system's in `today.whole`."""
    words: tuple[bytes, bytes, bytes] = field(compare=False)
    """What `ce_id`, `ce_causationid` and `ce_decision` begin with."""
    creates: bool


def changed_header(fields: Sequence[str]) -> Callable[[int], Header]:
    """How the fields of a record are named in `ce_changed`, by their bits."""

    @lru_cache(maxsize=4096)
    def named(bits: int) -> Header:
        names = sorted(name for place, name in enumerate(fields) if bits >> place & 1)
        return ("ce_changed", ",".join(names).encode())

    return named


def listed_bits(fields: Sequence[str]) -> Callable[[bytes], int]:
    """The fields of a record that `ce_fields` lists, by their bits; 0 for a text that only the long way can read."""

    @lru_cache(maxsize=4096)
    def listed(text: bytes) -> int:
        if text == ALL_FIELDS:
            return (1 << len(fields)) - 1
        if not text or len(text) > HEADER_LENGTH_MAX or not text.isascii():
            return 0
        names = field_set(text)
        known = sum(1 << place for place, name in enumerate(fields) if name in names)
        return known if names.issubset(fields) else 0

    return listed


def express(
    plan: ExpressPlan,
    state: RecordState | None,
    key: bytes,
    value: bytes | None,
    headers: Headers,
    received_ms: int,
) -> tuple[RecordState, Outgoing] | None:
    """(state after, new revision), or None: take the long way. `state` None = there is no such record yet."""
    found = advance(plan, state, key, value, headers, received_ms)
    if found is None:
        return None
    after, name, changed = found
    if state is not None and after.memory is not state.memory:
        return None  # what is remembered is written, too
    return after, _revision(plan, key, after, headers[4], name, changed, received_ms)


def advance(
    plan: ExpressPlan,
    state: RecordState | None,
    key: bytes,
    value: bytes | None,
    headers: Headers,
    received_ms: int,
) -> tuple[RecordState, bytes, int] | None:
    """The same without the revision that is written: (state after, event id, fields that are otherwise, as bits)."""
    if value is None or len(value) > VALUE_LENGTH_MAX or not value.startswith(plan.frame):
        return None
    name = event_id(plan, headers, received_ms)
    if name is None:
        return None
    listed = plan.listed(headers[5][1])
    if not plan.own_bits & listed:
        return None
    found = (
        _created(plan, key, value, name, listed)
        if state is None
        else _changed(plan, state, value, name, listed, received_ms)
    )
    if found is None:
        return None
    after, changed = found
    return after, name, changed


def _created(
    plan: ExpressPlan, key: bytes, value: bytes, name: bytes, listed: int
) -> tuple[RecordState, int] | None:
    event = name.decode()
    if plan.own_bits & ~listed or not (
        plan.creates and key.isascii() and 0 < len(key) <= 512 and is_first_count(event)
    ):
        return None
    changed = plan.differences(value, plan.blank.of(key))
    if changed is None or changed & plan.key_bit:
        return None
    return RecordState(value, 1, ((plan.system, event, None),)), changed | plan.required_bits


def _changed(
    plan: ExpressPlan, state: RecordState, value: bytes, name: bytes, listed: int, received_ms: int
) -> tuple[RecordState, int] | None:
    current = state.value
    if current is None or not current.startswith(plan.frame):
        return None
    written = plan.own_bits & listed
    found = _owners(plan, state, name.decode(), written)
    if found is None:
        return None
    # I1: the owner's bytes of its own fields; where it lists all of a record's, the others have to be as they were.
    if listed == plan.today.every:
        differs = plan.differences(value, current)
    else:
        differs, value = plan.merging(value, current, written)
    if differs is None:
        return None
    changed = differs & listed
    # Its own key stands in a record's value.
    if not changed or changed & plan.key_bit or changed & ~plan.own_bits:
        return None
    recent = remembered(state.recent, current, received_ms)
    return RecordState(value, state.revision + 1, found[0], recent, found[1], state.older), changed  # I4


def event_id(plan: Plan, headers: Headers, received_ms: int) -> bytes | None:
    """The event id of a change with just the six headers in their usual order; None for any other."""
    if len(headers) != 6 or not plan.since_ms <= received_ms < plan.until_ms:
        return None
    version, identity, source, kind, at, fields = headers
    if version != _SPECVERSION or source != plan.source or kind != plan.type or fields[0] != "ce_fields":
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


def _owners(plan: ExpressPlan, state: RecordState, event: str, written: int) -> tuple[Owners, Memory] | None:
    """Owners and memory after this event; None where something waits, or it is not surely news."""
    owners, place, system, memory = state.owners, plan.place, plan.system, state.memory
    if memory is not NO_MEMORY and _waits(memory, system, event):
        return None
    if written != plan.own_bits or not _as_today(owners, plan.today.whole):
        return _regrouped(plan, state, event, written)
    _, last, fields = owners[place]
    if (memory.former and not last) or not is_news(event, last):
        return None
    mine = (system, event, fields)
    return ((mine,) if len(owners) == 1 else (*owners[:place], mine, *owners[place + 1 :])), memory


def _regrouped(
    plan: ExpressPlan, state: RecordState, event: str, written: int
) -> tuple[Owners, Memory] | None:
    found = owners_after(plan.today, state.owners, state.memory.former, plan.system, event, written)
    if found is None:
        return None
    owners, former = found
    return owners, state.memory if former == state.memory.former else replace(state.memory, former=former)


def _as_today(owners: Owners, whole: Whole) -> bool:
    """Whether each owner has set all of its fields at once: so it is mostly, and then little is to be done."""
    if len(owners) != len(whole):
        return False
    for (owner, _, fields), (today, its) in zip(owners, whole, strict=True):
        if owner != today or (fields is not its and fields != its):  # sets are compared at length
            return False
    return True


def _waits(memory: Memory, system: str, event: str) -> bool:
    """Whether what is remembered of a record has a say in a change of the system."""
    return bool(memory.proposals or memory.parked) or memory.held.get(system) == event


def _revision(
    plan: ExpressPlan,
    key: bytes,
    after: RecordState,
    time: Header,
    event: bytes,
    changed: int,
    received_ms: int,
) -> Outgoing:
    number = b"%d" % after.revision
    identity, causation, decision = plan.words
    headers = [  # joined, not formatted: that takes half the time
        _SPECVERSION,
        ("ce_id", identity + key + b"@" + number),
        _GATE,
        plan.authoritative,
        time,
        ("ce_causationid", causation + event),
        ("ce_revision", number),
        plan.changed(changed),
        ("ce_owners", format_owners(after.owners)),
        ("ce_decision", decision + b"%d" % received_ms),
    ]
    return Outgoing(Destination.AUTHORITATIVE, key, after.value, headers, plan.object)
