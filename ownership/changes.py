"""What one map says otherwise than the one before it.

Pure. Nothing that a compiled map says changes unsaid: a test gives each of its attributes another value, and asks for a
sentence. What no attribute holds (comments, order) is said per file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ownership.changed import Change, Kind, listed, settled
from ownership.changed_access import access_changes
from ownership.changed_owners import contract_changes, owner_changes
from ownership.document import clock_text, duration_text
from ownership.map import Calendar, ObjectMap, OwnershipMap, Sla, System, Team

_Connection = tuple[str, str]
_CLEARED = "is cleared for"


def changes(before: OwnershipMap, after: OwnershipMap) -> Iterator[Change]:
    """Everything that `after` says otherwise, systems first, then object by object."""
    for name in sorted(before.systems.keys() | after.systems.keys()):
        yield from _system(name, before.systems.get(name), after.systems.get(name))
    for name in sorted(before.teams.keys() | after.teams.keys()):
        yield from _team(name, before.teams.get(name), after.teams.get(name))
    for name in sorted(before.calendars.keys() | after.calendars.keys()):
        yield from _calendar(name, before.calendars.get(name), after.calendars.get(name))
    for name in sorted(before.objects.keys() | after.objects.keys()):
        was, now = before.objects.get(name), after.objects.get(name)
        if now is None:
            assert was is not None
            words = f"{name} is no longer an object: nobody owns it, and whatever is sent of it is held"
            yield Change(kind=Kind.OWNER, object=name, systems=tuple(sorted(was.systems)), words=words)
        elif was is None:
            words = f"{name} is a new object: {now.description}"
            yield Change(kind=Kind.OWNER, object=name, systems=tuple(sorted(now.systems)), words=words)
            yield from _object(_unsaid(now), now)
        else:
            yield from _object(was, now)


def _unsaid(entry: ObjectMap) -> ObjectMap:
    """The object as nobody has said anything of it yet: what a new one is compared with."""
    return replace(
        entry, owners={}, readers={}, policies={}, masked={}, mask_keys={}, observed=frozenset(), slas=(), later=(),
        involved=frozenset(),
    )  # fmt: skip


def _object(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    yield from owner_changes(was, now)
    yield from contract_changes(was, now)
    yield from access_changes(was, now)
    promised, promises = _promises(was), _promises(now)
    for connection in sorted(promised.keys() | promises.keys()):
        yield from _promise(now.name, connection, promised.get(connection), promises.get(connection))
    yield from _people(was, now)
    if (was.generation, was.partitions) != (now.generation, now.partitions):
        many = "the cluster's number of" if now.partitions is None else f"{now.partitions}"
        words = (
            f"{now.name}: its topics are those of generation {now.generation}, with {many} partitions each"
        )
        yield Change(kind=Kind.TOPICS, object=now.name, systems=tuple(sorted(now.systems)), words=words)


def _promises(entry: ObjectMap) -> Mapping[_Connection, Sla]:
    return {(sla.source, sla.sink): sla for sla in entry.slas}


def _promise(name: str, connection: _Connection, was: Sla | None, now: Sla | None) -> Iterator[Change]:
    if was == now:
        return
    between = f"{connection[0]} -> {connection[1]} of {name}"
    if now is None:
        words = f"{between}: nothing is promised any more"
    elif was is None:
        words = f"{between}: promised is {'; '.join(_terms(now).values())}"
    else:
        old, new = _terms(was), _terms(now)
        differing = [f"{new[key]} instead of {old[key]}" for key in new if new[key] != old[key]]
        words = f"{between}: promised is {'; '.join(differing)}"
    yield Change(kind=Kind.PROMISE, object=name, systems=connection, words=words)


def _terms(sla: Sla) -> dict[str, str]:
    """What a promise says, by attribute, each in words."""
    expected = (
        "nothing" if sla.expect_every_ms is None else f"something every {duration_text(sla.expect_every_ms)}"
    )
    failover = "never"
    if sla.failover_after_ms is not None:
        failover = f"after {duration_text(sla.failover_after_ms)} to {sla.failover_to}"
    return {
        "latency_p99_ms": f"{duration_text(sla.latency_p99_ms)} for 99 of 100 changes",
        "latency_max_ms": f"{duration_text(sla.latency_max_ms)} at most",
        "expected": f"{expected} is expected" + (f", by the calendar {sla.calendar}" if sla.calendar else ""),
        "alert_above": f"an alert above {sla.alert_above * 100:g}% of errors",
        "window_ms": f"errors counted over {duration_text(sla.window_ms)}",
        "retries_before_review": f"{sla.retries_before_review} retries before somebody looks",
        "healthy_within_ms": f"healthy again within {duration_text(sla.healthy_within_ms)}",
        "confirm": f"recovery is confirmed by {sla.confirm}",
        "failover": f"failing over {failover}",
        "alert_path": f"alerts go to {sla.alert_path}",
    }


def _people(was: ObjectMap, now: ObjectMap) -> Iterator[Change]:
    said = {
        "the steward": (
            f"{was.steward_team} ({was.steward_contact})",
            f"{now.steward_team} ({now.steward_contact})",
        ),
        "what it is": (was.description, now.description),
        "how conflicts are settled": (was.conflicts or "not said", now.conflicts or "not said"),
        "who decides on conflicts": (settled(was), settled(now)),
        "its review": (_review(was), _review(now)),
    }
    for what, (before, after) in said.items():
        if before != after:
            words = f"{now.name}: {what}: {after} (before: {before})"
            yield Change(kind=Kind.PEOPLE, object=now.name, words=words)


def _review(entry: ObjectMap) -> str:
    last = f"last on {entry.review_last}" if entry.review_last else "never yet"
    return f"every {entry.review_every}, {last}" + (f" by {entry.review_by}" if entry.review_by else "")


def _system(name: str, was: System | None, now: System | None) -> Iterator[Change]:
    if was == now:
        return
    if now is None:
        words = f"{name} is no longer a system: Kafka lets it in nowhere, and it owns nothing"
        yield Change(kind=Kind.ACCESS, systems=(name,), words=words)
        return
    if was is None:
        words = f"{name} is a new system: {now.title} ({now.kind}, {now.environment}); asked is {now.contact}"
        yield Change(kind=Kind.ACCESS, systems=(name,), words=words)
        was = replace(now, publishes=frozenset(), cleared=frozenset())
    old, new = _attributes(was), _attributes(now)
    for what, after in new.items():
        if old[what] != after:
            kind = Kind.ACCESS if what == _CLEARED else Kind.PEOPLE
            yield Change(kind=kind, systems=(name,), words=f"{name} {what} {after} instead of {old[what]}")
    if gained := now.publishes - was.publishes:
        words = f"{name} may send changes of {listed(gained)}; while it has no part in it, each is held"
        yield Change(kind=Kind.ACCESS, systems=(name,), words=words)
    if lost := was.publishes - now.publishes:
        words = f"{name} may no longer send changes of {listed(lost)} unless it has a part in it"
        yield Change(kind=Kind.ACCESS, systems=(name,), words=words)


def _team(name: str, was: Team | None, now: Team | None) -> Iterator[Change]:
    if now is None:
        yield Change(kind=Kind.PEOPLE, words=f"nobody speaks for the team {name} any more")
        return
    known = was or Team(name=name, contact=now.contact)
    if gained := now.members - known.members:
        yield Change(kind=Kind.PEOPLE, words=f"{listed(gained)} may approve for the team {name}")
    if lost := known.members - now.members:
        yield Change(kind=Kind.PEOPLE, words=f"{listed(lost)} may no longer approve for the team {name}")
    if was is None or was.contact != now.contact:
        yield Change(kind=Kind.PEOPLE, words=f"the team {name} is asked at {now.contact}")


def _calendar(name: str, was: Calendar | None, now: Calendar | None) -> Iterator[Change]:
    if was == now:
        return
    words = f"the calendar {name} is {hours(now)}" if now else f"there is no calendar {name} any more"
    said = f"{words} instead of {hours(was)}" if now and was else words
    yield Change(kind=Kind.PROMISE, words=said)


def hours(calendar: Calendar) -> str:
    """`monday and tuesday 08:00 to 18:00, Europe/Berlin`."""
    *most, last = calendar.weekdays
    days = f"{', '.join(most)} and {last}" if most else last
    begins, ends = clock_text(calendar.from_minute), clock_text(calendar.to_minute)
    return f"{days} {begins} to {ends}, {calendar.time_zone}"


def _attributes(system: System) -> dict[str, str]:
    """What is said of a system, by the words before it."""
    looked = (
        "as it happens" if system.polls_every_ms is None else f"every {duration_text(system.polls_every_ms)}"
    )
    applied = "not said" if system.applies_within_ms is None else duration_text(system.applies_within_ms)
    return {
        "is called": system.title,
        "is of the kind": system.kind,
        "is in the environment": system.environment,
        "is asked about at": system.contact,
        _CLEARED: listed(system.cleared) if system.cleared else "nothing",
        "tells of its changes": looked,
        "has an update within": applied,
    }
