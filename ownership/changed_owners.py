"""What changes about owning: systems of record, creating, ending, and the fields that there are.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from ownership.changed import (
    MET,
    Change,
    Kind,
    Timeline,
    hands,
    labelled,
    listed,
    owner_line,
    timeline,
    whose,
)
from ownership.map import ObjectMap

NOBODY: Timeline = ((0, None),)


def owner_changes(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    """Everything about owning that `now` says otherwise than `was`."""
    yield from _fields_owned(was, now)
    roles = (
        ("records are created by", lambda entry: entry.create),
        ("records are ended by", lambda entry: entry.delete),
        ("fields that the contract gets later belong to", lambda entry: entry.system_of_record),
    )
    for role, of in roles:
        before, after = timeline(was, of), timeline(now, of)
        if before != after:
            yield Change(
                kind=Kind.OWNER,
                object=now.name,
                systems=hands(before, after),
                words=f"{now.name}: {role} {whose(after)} instead of {whose(before)}",
            )
    if was.delete_softly != now.delete_softly:
        what = "keeps them, marked as ended," if now.delete_softly else "removes them"
        words = f"{now.name}: who reads records that are ended {what} from now on"
        yield Change(kind=Kind.OWNER, object=now.name, systems=tuple(sorted(now.systems)), words=words)


def _fields_owned(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    groups: dict[tuple[Timeline, Timeline], list[str]] = {}
    for name in now.fields:
        pair = owner_line(was, name), owner_line(now, name)
        if pair[0] != pair[1]:
            groups.setdefault(pair, []).append(name)
    for (before, after), names in groups.items():
        yield Change(
            kind=Kind.OWNER,
            object=now.name,
            fields=tuple(names),
            systems=hands(before, after),
            words=_owned(now, names, before, after),
        )


def _owned(now: ObjectMap, names: list[str], before: Timeline, after: Timeline) -> str:
    what = f"{now.name}: {labelled(now, names)}"
    verb = "belong" + "s" * (len(names) == 1)
    if before == NOBODY:
        return f"{what} {verb} to {whose(after)}"
    said = f"{what} {verb} to {whose(after)} instead of {whose(before)}"
    first, former = after[0][1], before[0][1]
    if first is None:
        return f"{said}: another value than the one in force is held until the map names an owner"
    if former is not None and former != first:
        said += f"; what {former} writes to it is {_met(now, former)}"
    return said


def _met(now: ObjectMap, system: str) -> str:
    if system not in now.systems:
        return "held for review: it has no part in the object any more"
    return f"{MET[now.policy_of(system)]} from then on"


def contract_changes(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    """The fields that there are, what they are classed as, and the key."""
    said = []
    if gained := set(now.fields) - set(was.fields):
        said.append(f"gets {labelled(now, gained)}")
    if lost := set(was.fields) - set(now.fields):
        said.append(f"loses {labelled(was, lost)}")
    if not said and (was.contract_id, was.fields) != (now.contract_id, now.fields):
        said.append("has the same fields in another version of its contract")
    if was.key_field != now.key_field:
        said.append(f"is named by {now.key_field} instead of {was.key_field}")
    if said:
        yield Change(
            kind=Kind.CONTRACT,
            object=now.name,
            fields=tuple(sorted(gained | lost)),
            systems=tuple(sorted(was.systems | now.systems)),
            words=f"{now.name} {listed(said)}",
        )
    for name in now.fields:
        before, after = was.classes.get(name), now.classes.get(name)
        if before != after and name in was.fields:
            words = f"{now.name}: {name} is classed as {after or 'nothing'} instead of {before or 'nothing'}"
            readers = now.readers_of(name)
            yield Change(kind=Kind.CONTRACT, object=now.name, fields=(name,), systems=readers, words=words)
