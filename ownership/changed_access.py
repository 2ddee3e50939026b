"""What changes about reading, and about what a write to somebody else's field meets.

Pure. A restricted reader's deliveries begin anew whenever it may see something else: that is said, because it is work
for whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ownership.changed import MET, Change, Kind, labelled
from ownership.map import ObjectMap
from ownership.reading import granted, readings

_NONE: frozenset[str] = frozenset()


def access_changes(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    """Everything about reading and violations that `now` says otherwise than `was`."""
    before, after = granted(was), granted(now)
    for system in sorted(before.keys() | after.keys()):
        read = _read(was, now, before.get(system, _NONE), after.get(system, _NONE))
        said = [*read, *_masked(was, now, system)]
        fields = _gained_and_lost(was, now, before.get(system, _NONE), after.get(system, _NONE))
        if said:
            words = f"{system} {'; '.join(said)}"
            yield Change(kind=Kind.ACCESS, object=now.name, fields=fields, systems=(system,), words=words)
    yield from _violations(was, now)
    yield from _filled_anew(was, now)


def _all(entry: ObjectMap, read: frozenset[str] | None) -> frozenset[str]:
    return frozenset(entry.fields) if read is None else read


def _gained_and_lost(
    was: ObjectMap, now: ObjectMap, before: frozenset[str] | None, after: frozenset[str] | None
) -> tuple[str, ...]:
    return tuple(sorted(_all(was, before) ^ _all(now, after)))


def _read(
    was: ObjectMap, now: ObjectMap, before: frozenset[str] | None, after: frozenset[str] | None
) -> Iterator[str]:
    if before == after:
        return  # whole records: what the contract gains or loses is said of the contract
    if after is not None and not after:
        yield f"no longer reads {now.name}"
    elif before is not None and not before:
        yield f"reads {_whole(now) if after is None else f'{labelled(now, after)} of {now.name}'}"
    else:
        seen, sees = _all(was, before), _all(now, after)
        if gained := sees - seen:
            yield f"also reads {labelled(now, gained)} of {now.name}"
        if lost := seen - sees:
            yield f"no longer reads {labelled(was, lost)} of {now.name}"
        if after is None:
            yield f"gets {_whole(now)} instead of deliveries of its own"
        elif before is None:
            yield f"gets deliveries of its own of {now.name} instead of whole records"


def _whole(entry: ObjectMap) -> str:
    pii = sum(entry.classes.get(name) == "pii" for name in entry.fields)
    return (
        f"whole {entry.name} records ({len(entry.fields)} fields, {pii} of them pii, and what is added later)"
    )


def _masked(was: ObjectMap, now: ObjectMap, system: str) -> Iterator[str]:
    before, after = was.masked.get(system, _NONE), now.masked.get(system, _NONE)
    if hidden := after - before:
        yield f"gets a digest of {labelled(now, hidden)} of {now.name} instead of the value"
    shown = before - after
    if shown := shown & _all(now, granted(now).get(system, _NONE)):
        yield f"gets the value of {labelled(now, shown)} of {now.name} instead of a digest"
    keys = was.mask_keys.get(system), now.mask_keys.get(system)
    if keys[0] != keys[1] and before and after:
        yield f"gets digests of {now.name} by key {keys[1]} instead of {keys[0]}, which equal none of before"


def _violations(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    for system in sorted(was.systems | now.systems):
        met = MET[now.policy_of(system)]
        watched = system in now.observed
        if system not in now.systems:
            words = f"{system} has no part in {now.name} any more: whatever it still sends is held for review"
        elif system not in was.systems:
            words = f"{system} takes part in {now.name}; " + (
                "it is only watched: what it sends has no effect"
                if watched
                else f"what it writes to somebody else's field is {met}"
            )
        elif watched != (system in was.observed):
            words = f"{system} is only watched: what it sends of {now.name} has no effect"
            if not watched:
                words = f"{system} is no longer only watched: what it sends of {now.name} counts"
        elif was.policy_of(system) != now.policy_of(system):
            words = (
                f"what {system} writes to somebody else's field of {now.name} is {met} "
                f"instead of {MET[was.policy_of(system)]}"
            )
        else:
            continue
        yield Change(kind=Kind.ACCESS, object=now.name, systems=(system,), words=words)


def _filled_anew(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    before = {reading.system: reading.generation for reading in readings(was)}
    for reading in readings(now):
        if before.get(reading.system, reading.generation) != reading.generation:
            words = f"{reading.system}'s deliveries of {now.name} begin anew, with every record that there is"
            yield Change(kind=Kind.TOPICS, object=now.name, systems=(reading.system,), words=words)
