"""Who must agree to a plan, and how far it reaches: the more it may turn over, the more people, the longer in sight.

Pure. Who is asked is read from the map in force, not from the one that the plan wants: nobody makes themselves an
approver by the change that they ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ownership.advice import GUARDED
from ownership.changed import Kind, listed
from ownership.lifecycle import StepRefused
from ownership.map import ObjectMap, OwnershipMap
from ownership.plan import Plan, PlannedChange

MANY_READERS = 3
"""Systems that read what is changed, from which on a plan reaches far."""
FLIPS_MANY = 0.01
"""Share of replayed changes that come out otherwise, above which a plan reaches far."""
HOUR_MS = 3_600_000
_JUDGED = frozenset({Kind.OWNER, Kind.ACCESS, Kind.CONTRACT})
"""Kinds of change that can turn decisions over; what they do is known by a replay only."""


class Reach(StrEnum):
    """The blast radius of a plan."""

    NARROW = "narrow"
    WIDE = "wide"
    FAR = "far"


PEOPLE: Mapping[Reach, int] = {Reach.NARROW: 1, Reach.WIDE: 2, Reach.FAR: 3}
"""How many must agree at least, the requester not counted."""
IN_SIGHT_MS: Mapping[Reach, int] = {Reach.NARROW: 0, Reach.WIDE: HOUR_MS, Reach.FAR: 24 * HOUR_MS}
"""How long everybody can see an approved plan before it may take force."""


@dataclass(frozen=True, slots=True)
class Demand:
    """An agreement that is asked for. `team` "" = of any team."""

    team: str
    why: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan must meet before it takes force."""

    reach: Reach
    reasons: tuple[str, ...]
    """Why it reaches that far, in words."""
    demands: tuple[Demand, ...]

    @property
    def people(self) -> int:
        """How many different people must agree."""
        return PEOPLE[self.reach]

    @property
    def in_sight_ms(self) -> int:
        """How long it stays in sight once it is approved."""
        return IN_SIGHT_MS[self.reach]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Somebody has agreed to a plan."""

    by: str
    teams: frozenset[str]


def teams_of(ownership_map: OwnershipMap, person: str) -> frozenset[str]:
    """The teams that somebody speaks for: as a member, or because a steward's contact is theirs."""
    named = {name for name, team in ownership_map.teams.items() if person in team.members}
    contacts = (f"mailto:{person}", person)
    own = {e.steward_team for e in ownership_map.objects.values() if e.steward_contact in contacts}
    return frozenset(named | own)


def terms_of(plan: Plan, before: OwnershipMap, wanted: OwnershipMap) -> Terms:
    """What this plan must meet on top of the map in force."""
    reach, reasons = _reach(plan, before, wanted)
    return Terms(reach, tuple(reasons), tuple(_demands(plan, before, wanted)))


def _demands(plan: Plan, before: OwnershipMap, wanted: OwnershipMap) -> Iterator[Demand]:
    found: dict[str, str] = {}
    for name in sorted(_objects(plan.changes, before)):
        was, now = before.objects.get(name), wanted.objects.get(name)
        if was is not None:
            found.setdefault(was.steward_team, f"answers for {name}")
        if now is not None and (was is None or now.steward_team != was.steward_team):
            found.setdefault(now.steward_team, f"is to answer for {name}")
    for name in _teams_changed(before, wanted):
        found.setdefault(name, "is itself changed")
    for name, why in found.items():
        yield Demand(name, why)
    if not found:
        yield Demand("", "somebody other than the requester looks at every change")


def _teams_changed(before: OwnershipMap, wanted: OwnershipMap) -> Iterator[str]:
    """Teams for whom others would speak than by the map in force: whoever comes in may approve from then on."""
    known = before.teams.keys() | {entry.steward_team for entry in before.objects.values()}
    for name in sorted(known):
        if before.teams.get(name) != wanted.teams.get(name):
            yield name


def _objects(changes: Iterable[PlannedChange], before: OwnershipMap) -> set[str]:
    """The objects that somebody must answer for; of a change in the list of systems, those it has a part in."""
    found = set()
    for change in changes:
        if change.kind is Kind.TEXT:
            continue
        if change.object:
            found.add(change.object)
        else:
            found |= {name for name, entry in before.objects.items() if entry.systems & {*change.systems}}
    return found


def _reach(plan: Plan, before: OwnershipMap, wanted: OwnershipMap) -> tuple[Reach, list[str]]:
    judged = [change for change in plan.changes if change.kind in _JUDGED]
    reasons: list[str] = []
    reach = Reach.NARROW
    guarded = sorted({name for change in judged for name in _guarded(change, before, wanted)})
    if guarded:
        reach = Reach.WIDE
        reasons.append(f"it concerns {listed(guarded)}")
    readers = sorted({name for change in judged for name in _readers(change, before, wanted)})
    if len(readers) >= MANY_READERS:
        reach = Reach.FAR if guarded else Reach.WIDE
        reasons.append(f"{len(readers)} systems read what it changes: {listed(readers)}")
    known = [change for change in judged if not change.object or change.object in before.objects]
    if known:
        turned, reason = _turned(plan)
        reach = max(reach, turned, key=[*Reach].index)
        reasons.append(reason)
    return reach, reasons or ["it turns no decision over"]


def _turned(plan: Plan) -> tuple[Reach, str]:
    """How far a plan reaches by what its replay found; what was not looked at counts as most."""
    if plan.replay is None:
        return Reach.FAR, "it was not replayed, so nobody knows what it turns over"
    if not plan.replay.judged:
        return Reach.NARROW, "nothing was sent of what it is about since it is in the log"
    share = sum(flip.count for flip in plan.replay.flips) / plan.replay.judged
    reach = Reach.FAR if share > FLIPS_MANY else Reach.WIDE if share else Reach.NARROW
    return reach, f"{share:.2%} of {plan.replay.judged:,} replayed changes come out otherwise"


def _sides(change: PlannedChange, *maps: OwnershipMap) -> list[ObjectMap]:
    return [one.objects[change.object] for one in maps if change.object in one.objects]


def _guarded(change: PlannedChange, *maps: OwnershipMap) -> set[str]:
    return {
        f"{change.object}.{name} ({entry.classes[name]})"
        for entry in _sides(change, *maps)
        for name in change.fields
        if entry.classes.get(name) in GUARDED
    }


def _readers(change: PlannedChange, *maps: OwnershipMap) -> set[str]:
    names = change.fields
    return {
        reader
        for entry in _sides(change, *maps)
        for reader, fields in entry.readers.items()
        if reader not in entry.writers and (not names or fields is None or fields & {*names})
    }


def lacking(terms: Terms, given: Sequence[Agreement]) -> tuple[str, ...]:
    """What is still missing, a sentence each; nothing = approved."""
    found = [
        f"{demand.team} has not agreed: it {demand.why}"
        for demand in terms.demands
        if demand.team and not any(demand.team in one.teams for one in given)
    ]
    people = len({one.by for one in given})
    if people < max(terms.people, 1):
        found.append(f"{people} of {terms.people} people have agreed")
    return tuple(found)


def may_agree(person: str, teams: frozenset[str], requester: str, given: Iterable[Agreement]) -> None:
    """Raises StepRefused where somebody's agreement does not count."""
    if person == requester:
        raise StepRefused(
            "request.own",
            f"{person} has asked for it, and cannot approve it",
            "Ask somebody of the teams named.",
        )
    if any(one.by == person for one in given):
        raise StepRefused("request.agreed", f"{person} has agreed to it already", "Somebody else is asked.")
    if not teams:
        raise StepRefused(
            "request.no_team",
            f"{person} speaks for no team of the map",
            "Members of teams stand in systems.yaml (`teams`); a steward's contact speaks for its team.",
        )
