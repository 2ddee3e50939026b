"""Whose a record's fields are after an owner wrote some of its own: what `broker.gate.terms` says, in bits.

Pure. For the short way alone; what is no news, or may have been said in an earlier term, goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from broker.gate.fields import Standing, standing
from broker.gate.state import Owners
from schemas.version import plainly_newer

Group = tuple[str, str, int]
"""(system, its last accepted event, fields as bits)."""
Whole = tuple[tuple[str, frozenset[str] | None], ...]
"""(system, its fields) in the order of a record's owners; None = every field not named elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns which fields of an object today; each is somebody's."""

    of_record: str
    """The largest group of its fields is not named."""
    owned: Mapping[str, int]
    """System to its fields, as bits."""
    every: int
    """All fields of the object."""
    whole: Whole
    """Whose fields are which where each owner has set all of its own at once."""
    bits: Callable[[frozenset[str]], int] = field(compare=False)
    """Fields as bits; -1 where one of them is not in the contract."""
    names: Callable[[int], frozenset[str]] = field(compare=False)


def ownership_in_bits(fields: Sequence[str], owners: Mapping[str, str], of_record: str) -> Ownership:
    """`owners`: of each field."""
    owned: dict[str, int] = {}
    for place, name in enumerate(fields):
        owned[owners[name]] = owned.get(owners[name], 0) | 1 << place

    @lru_cache(maxsize=4096)
    def bits(names: frozenset[str]) -> int:
        return sum(1 << fields.index(name) for name in names) if names.issubset(fields) else -1

    @lru_cache(maxsize=4096)
    def names(found: int) -> frozenset[str]:
        return frozenset(name for place, name in enumerate(fields) if found >> place & 1)

    others = [(owner, names(owned[owner])) for owner in sorted(owned) if owner != of_record]
    whole: Whole = ((of_record, None), *others)
    return Ownership(
        of_record=of_record,
        owned=owned,
        every=(1 << len(fields)) - 1,
        whole=whole if len(owned) > 1 else tuple((owner, None) for owner in owned),
        bits=bits,
        names=names,
    )


def is_first_count(event: str) -> bool:
    """Whether the source never began to count anew: whether a later count is confirmed, the long way knows."""
    return event.startswith(("seq:0:", "time:0:", "any:0:"))


def is_news(event: str, last: str) -> bool:
    """Whether an event is surely newer than the last accepted one of its system."""
    return plainly_newer(event, last) or (is_first_count(event) and standing(event, last) is Standing.NEWER)


def owners_after(
    today: Ownership, owners: Owners, former: Owners, system: str, event: str, written: int
) -> tuple[Owners, Owners] | None:
    """(owners, former ones) of a record after the event of `system` was accepted for the `written` ones of its fields.

    None = the long way: what somebody may have said in an earlier term has a say, or the event is no news.
    """
    before = _before(today, owners, former)
    if before is None:
        return None
    found, former, parted = before
    groups = list[Group]()
    for owner, last, fields in found:
        if owner == system and not _follows(event, last, fields & written, parted=parted):
            return None
        if left := fields & ~written:
            groups.append((owner, last, left))
    if written == today.every:
        return ((system, event, None),), former
    return _named(today, [*groups, (system, event, written)]), former


def _before(today: Ownership, owners: Owners, former: Owners) -> tuple[list[Group], Owners, bool] | None:
    """(groups of who owns the fields today, former owners, whether there were some already), if that can be told."""
    found, owned = _in_bits(today, owners), today.owned
    if found is None:
        return None
    gone = [group for group in found if group[2] & ~owned.get(group[0], 0)]
    if not gone:
        return found, former, bool(former)
    if former:
        return None
    left = [(who, last, today.names(fields & ~owned.get(who, 0))) for who, last, fields in gone if last]
    return _of_today(today, found), tuple(sorted(left)), False


def _of_today(today: Ownership, groups: Iterable[Group]) -> list[Group]:
    """The groups of who owns the fields today: of what was somebody else's, nothing was heard of them."""
    found: dict[tuple[str, str], int] = {}
    for owner, last, fields in groups:
        for now, own in today.owned.items():
            if part := fields & own:
                heard = (now, last if now == owner else "")
                found[heard] = found.get(heard, 0) | part
    return [(*heard, fields) for heard, fields in found.items()]


def _follows(event: str, last: str, written: int, *, parted: bool) -> bool:
    """Whether an event is news for what it writes of a group, or another one where it writes nothing of it."""
    if not written:
        return event != last  # the same event for more fields: one group, which the long way makes
    return not (parted and not last) and is_news(event, last)


def _in_bits(today: Ownership, owners: Owners) -> list[Group] | None:
    """The groups of a record, of which one is not named: it has the rest. None where a field is not in just one."""
    rest, found = today.every, list[Group]()
    unnamed: tuple[str, str] | None = None
    for owner, last, fields in owners:
        if fields is None:
            if unnamed is not None:
                return None
            unnamed = (owner, last)
            continue
        bits = today.bits(fields)
        if bits & ~rest:
            return None
        rest ^= bits
        found.append((owner, last, bits))
    if unnamed is not None:
        found.append((*unnamed, rest))
    elif rest:
        return None
    return found


def _named(today: Ownership, groups: list[Group]) -> Owners:
    of_record = [group for group in groups if group[0] == today.of_record]
    largest = max(of_record, key=_by_size, default=(today.of_record, "", 0))
    others = [group for group in groups if group is not largest]
    others.sort()
    return ((*largest[:2], None), *[(owner, last, today.names(bits)) for owner, last, bits in others])


def _by_size(group: Group) -> tuple[int, Group]:
    return group[2].bit_count(), group
