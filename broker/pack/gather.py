"""Gathering a team's review pack: the map says what is promised, the store what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker.pack.facts import (
    BOUNDS_MS,
    Ages,
    Conflict,
    FieldOwner,
    MapChange,
    Measured,
    Pack,
    PackConnection,
    PackObject,
    PackWaiver,
)
from broker.store.engine import Connection
from broker.store.levels import END_TO_END, Window
from broker.store.reviewed import (
    delivered_between,
    delivered_ever,
    held_between,
    judged_between,
    waiting_at,
)
from ownership.changed import owner_line, whose
from ownership.map import ObjectMap, OwnershipMap
from ownership.reviews import ReviewDue
from schemas.hops import Sketch


class PackRefused(Exception):
    """A pack that cannot be made; `code` is stable, the text says what, where and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        self.code = code
        super().__init__(f"{detail} [{code}] {remedy}")


def gather(
    connection: Connection,
    ownership_map: OwnershipMap,
    team: str,
    *,
    from_ms: int,
    to_ms: int,
    made_ms: int,
    changes: Mapping[str, Sequence[MapChange]],
    waivers: Mapping[str, Sequence[PackWaiver]],
    reviews: Mapping[str, ReviewDue],
) -> Pack:
    """The facts about a team's objects in [from_ms, to_ms), as of made_ms; the mappings are by object.

    Changes outside the period are left out. Raises PackRefused: pack.unknown_team, pack.empty_period.
    """
    if from_ms >= to_ms:
        detail = f"the period of a review pack ends at {to_ms}, and begins at {from_ms}"
        raise PackRefused("pack.empty_period", detail, "Give a period that ends after it begins.")
    entries = {name: one for name, one in sorted(ownership_map.objects.items()) if one.steward_team == team}
    if not entries:
        raise _unknown(ownership_map, team)
    names = list(entries)
    conflicts: dict[str, list[Conflict]] = {}
    for held in held_between(connection, names, from_ms, to_ms):
        conflicts.setdefault(held.object, []).append(Conflict(held.system, held.reason, held.count))
    waiting = waiting_at(connection, names, made_ms, BOUNDS_MS)
    delivered = delivered_between(connection, names, from_ms, to_ms)
    ever = delivered_ever(connection, names)
    objects = tuple(
        PackObject(
            name=name,
            description=entry.description,
            owners=tuple(FieldOwner(field, whose(owner_line(entry, field))) for field in entry.fields),
            review=reviews.get(name),
            changes=_between(changes.get(name, ()), from_ms, to_ms),
            conflicts=tuple(conflicts.get(name, ())),
            waivers=tuple(sorted(waivers.get(name, ()), key=lambda one: (one.expires_ms, one.what))),
            orphans=tuple(field for field in entry.fields if entry.at(made_ms).owner_of(field) is None),
            connections=_connections(entry, delivered, ever),
            ages=Ages(waiting[name].counts, waiting[name].oldest_ms) if name in waiting else Ages(),
        )
        for name, entry in entries.items()
    )
    known = ownership_map.teams.get(team)
    contact = known.contact if known else next(iter(entries.values())).steward_contact
    judged = judged_between(connection, from_ms, to_ms)
    return Pack(team, contact, from_ms, to_ms, made_ms, ownership_map.version, judged, objects)


def _unknown(ownership_map: OwnershipMap, team: str) -> PackRefused:
    teams = ", ".join(sorted({one.steward_team for one in ownership_map.objects.values()})) or "nobody"
    detail = f"no object of map version {ownership_map.version} has the steward team {team!r}"
    return PackRefused("pack.unknown_team", detail, f"Name one that has: {teams}.")


def _between(changes: Sequence[MapChange], from_ms: int, to_ms: int) -> tuple[MapChange, ...]:
    return tuple(sorted((one for one in changes if from_ms <= one.at_ms < to_ms), key=lambda one: one.at_ms))


def _connections(
    entry: ObjectMap, delivered: Mapping[tuple[str, str], Window], ever: Mapping[tuple[str, str], int]
) -> tuple[PackConnection, ...]:
    found = []
    for sla in entry.slas:
        place = entry.name, sla.sink
        window = delivered.get(place)
        found.append(PackConnection(sla, _measured(window) if window else None, ever.get(place, 0)))
    return tuple(found)


def _measured(window: Window) -> Measured:
    whole = window.hops.get(END_TO_END, Sketch())
    return Measured(
        since_ms=window.minute_ms,
        applied=window.applied,
        failed=window.failed,
        p99_ms=whole.quantile_ms(0.99),
        max_ms=whole.max_ms if whole.count else None,
    )
