"""The verdict on one field: who owns it, whether it is newer, whether it is an echo, and what a violation meets.

Pure. Guards stand in the order of `Reason`; the first that applies decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from broker.gate.decision import FieldVerdict, Verdict
from broker.gate.reason import Reason
from broker.gate.state import RecordState
from ownership.map import ObjectMap, OnViolation
from schemas.version import version_of

_POLICY = {
    OnViolation.QUARANTINE: Verdict.HELD,
    OnViolation.REJECT: Verdict.REFUSED,
    OnViolation.PROPOSE: Verdict.PROPOSED,
}


class Standing(Enum):
    """How an event stands to the last accepted one of the same writer."""

    SAME = "same"
    CLASH = "clash"
    """Another event of the same version, although the order is strict."""
    OLDER = "older"
    NEWER = "newer"
    """Or of no known order: then the order of arrival counts."""


@lru_cache(maxsize=256)
def standing(event_id: str, last: str) -> Standing:
    """How `event_id` stands to `last`. Asked once per field of a change, with the same two ids mostly."""
    if event_id == last:
        return Standing.SAME
    version, before = version_of(event_id), version_of(last)
    if version.older_than(before):
        return Standing.OLDER
    return Standing.CLASH if version.same_as(before) else Standing.NEWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is the same for every field of one change."""

    entry: ObjectMap
    system: str
    event_id: str
    state: RecordState
    creates: bool = False


def judge_field(
    judged: Judged, name: str, current: Any, attempted: Any, earlier: Iterable[Mapping[str, Any]]
) -> FieldVerdict:
    """The verdict on one field that a change sets. `earlier`: replaced records, newest first."""
    entry = judged.entry
    if name not in entry.fields:
        return FieldVerdict(name, Verdict.HELD, Reason.UNKNOWN_FIELD, None, None, None)
    owner = entry.owner_of(name)
    equal = same(current, attempted)
    if owner == judged.system:  # I1: only here can a value be accepted
        return _judge_own(judged, name, owner, current, attempted, equal=equal)
    # Who creates a record cannot know yet what others own of it: there, null says "nothing", not "make it null".
    if equal or (judged.creates and attempted is None):
        return FieldVerdict(name, Verdict.UNCHANGED, Reason.ECHO, owner, current, attempted)
    if owner is None:  # I7: no owner, nobody's write is accepted
        return FieldVerdict(name, Verdict.HELD, Reason.UNOWNED, None, current, attempted)
    if any(same(record.get(name), attempted) for record in earlier):
        return FieldVerdict(name, Verdict.UNCHANGED, Reason.LATE_ECHO, owner, current, attempted)
    if judged.system in entry.former.get(name, ()):
        return FieldVerdict(name, Verdict.HELD, Reason.LATE_OWNER, owner, current, attempted)
    return stopped(entry, judged.system, name, Reason.NOT_OWNER, current, attempted)


def _judge_own(
    judged: Judged, name: str, owner: str, current: Any, attempted: Any, *, equal: bool
) -> FieldVerdict:
    last = judged.state.version_of(owner, name)
    before = "" if last else judged.state.former_version_of(owner, name)
    if before and standing(judged.event_id, before) is not Standing.NEWER:  # I4: others owned it in between
        return FieldVerdict(name, Verdict.STALE, Reason.STALE, owner, current, attempted)
    found = standing(judged.event_id, last) if last else Standing.NEWER
    if found in (Standing.SAME, Standing.CLASH) and not equal:
        return FieldVerdict(name, Verdict.HELD, Reason.VERSION_CONFLICT, owner, current, attempted)
    if found is Standing.SAME:
        return FieldVerdict(name, Verdict.UNCHANGED, Reason.DUPLICATE, owner, current, attempted)
    if found is Standing.OLDER:
        return FieldVerdict(name, Verdict.STALE, Reason.STALE, owner, current, attempted)
    if equal and not (judged.creates and name == judged.entry.key_field):
        return FieldVerdict(name, Verdict.UNCHANGED, Reason.ECHO, owner, current, attempted)
    return FieldVerdict(name, Verdict.ACCEPTED, None, owner, current, attempted)


def stopped(
    entry: ObjectMap,
    system: str,
    name: str,
    reason: Reason,
    current: Any,
    attempted: Any,
    owner: str | None = None,
) -> FieldVerdict:
    """What a violation meets: held, refused or proposed, as the connection's policy says."""
    verdict = _POLICY[entry.policy_of(system)]
    if verdict is Verdict.PROPOSED and reason is not Reason.NOT_OWNER:
        verdict = Verdict.HELD  # only a value of a field can be proposed, not a creation or a deletion
    return FieldVerdict(name, verdict, reason, owner or entry.owner_of(name), current, attempted)


def same(one: object, other: object) -> bool:
    """Equal, and NaN equals itself: otherwise a NaN would change for ever."""
    return one == other or (one != one and other != other)  # noqa: PLR0124 - the test for NaN


class Earlier:
    """Replaced values, newest first; each is looked up and decoded once, when somebody looks so far back."""

    def __init__(self, newest_first: Iterable[bytes], decode: Callable[[bytes], Mapping[str, Any]]) -> None:
        self._undecoded = iter(newest_first)
        self._decoded: list[Mapping[str, Any]] = []
        self._decode = decode

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        yield from self._decoded
        for value in self._undecoded:
            self._decoded.append(self._decode(value))
            yield self._decoded[-1]
