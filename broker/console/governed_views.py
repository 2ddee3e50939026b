"""What the pages Ownership and Approvals show, gathered and put into words; of HTML only the map's own pages."""

from __future__ import annotations

from typing import Any

from broker.clock import now_ms
from broker.console.errors import NotFoundError
from broker.console.governing import Governing
from broker.governance import requests, reviewing
from broker.governance.evidence import evidence_at
from broker.governance.history import ONCE_IN_FORCE, history_of
from broker.governance.map_pages import html_of
from broker.governance.maps import InForce, in_force
from broker.governance.telling import address_of, object_address
from broker.governance.words import request_document, request_line, review_line, waiver_line
from broker.store.decided import (
    Session,
    notices_for,
    requests_in,
    requests_page,
    waivers_at,
)
from broker.store.governed import ChangeRequest
from ownership.approval import teams_of
from ownership.changed import labelled, moment
from ownership.going_live import missing, standings
from ownership.lifecycle import WAITING, State
from ownership.map import ObjectMap, OwnershipMap
from ownership.pages import page_of
from ownership.reviews import ReviewDue, Standing

PAGE_LENGTH = 100
HISTORY_LENGTH = 20


class GovernedViews:
    """Facts for the pages."""

    def __init__(self, governing: Governing) -> None:
        self._governing = governing

    def ownership(self, search: str, page: int) -> dict[str, Any]:
        """Every object, by name: what it is, who owns it, who answers for it, whether its review is due."""
        with self._governing.looking() as session:
            now = in_force(session)
            due = {one.object: one for one in reviewing.reviews(session, now_ms())}
        wanted = search.strip().lower()
        found = [e for n, e in sorted(now.map.objects.items()) if wanted in f"{n} {e.description}".lower()]
        shown = found[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]
        return {
            "told": told(now),
            "search": search,
            "total": len(found),
            "page": page,
            "more": len(found) > (page + 1) * PAGE_LENGTH,
            "objects": [_object_line(now.map, entry, due[entry.name]) for entry in shown],
            "systems": [one for _, one in sorted(now.map.systems.items())] if not wanted else [],
        }

    def object(self, name: str, person: str) -> dict[str, Any]:
        """One object in words, with what is asked for it, what was changed of it, and where its connections stand."""
        at_ms = now_ms()
        with self._governing.looking() as session:
            now = in_force(session)
            entry = _entry(now, name)
            (due,) = [one for one in reviewing.reviews(session, at_ms) if one.object == name]
            text = page_of(now.map, name, now.meanings.get(name, {}), told(now))
            return {
                "name": name,
                "description": entry.description,
                "body": html_of(now.map, name, text.partition("\n")[2], object_address),
                "review": review_line(due),
                "tone": TONES[due.standing],
                "connections": _connections(session, now.map, name, at_ms),
                "asked": [request_line(row) for row in _about(session, name)],
                "history": _history(session, entry),
                "waivers": [
                    waiver_line(w) for w in waivers_at(session, at_ms) if w.subject.split(" ")[0] == name
                ],
                "speaks": entry.steward_team in teams_of(now.map, person),
            }

    def system(self, name: str) -> dict[str, Any]:
        """One system: what it owns and what it reads, object by object."""
        with self._governing.looking() as session:
            now = in_force(session)
        if name not in now.map.systems:
            msg = "There is no such system in the ownership map."
            raise NotFoundError(msg, "See Ownership.")
        found = [(one, _owned(e, name), _read(e, name)) for one, e in sorted(now.map.objects.items())]
        rows = [{"object": one, "owns": owns, "reads": reads} for one, owns, reads in found if owns or reads]
        return {"told": told(now), "system": now.map.systems[name], "rows": rows}

    def approvals(self, person: str) -> dict[str, Any]:
        """What waits for this person, what else is asked for, what is due, and what they were told."""
        at_ms = now_ms()
        with self._governing.looking() as session:
            now = in_force(session)
            teams = teams_of(now.map, person)
            waiting = requests_in(session, *WAITING)
            for_me = [row for row in waiting if _waits_for(row, person, teams)]
            others = [row for row in waiting if row not in for_me]
            drafts = [row for row in requests_in(session, State.DRAFT) if row.requester == person]
            due = [one for one in reviewing.reviews(session, at_ms) if one.standing is not Standing.DONE]
            return {
                "teams": sorted(teams),
                "for_me": [request_line(row) for row in for_me],
                "others": [request_line(row) for row in others],
                "drafts": [request_line(row) for row in drafts],
                "ended": [request_line(row) for row in _ended(session)],
                "reviews": [review_line(one) | {"tone": TONES[one.standing]} for one in due[:PAGE_LENGTH]],
                "waivers": [waiver_line(row) for row in waivers_at(session, at_ms)[:PAGE_LENGTH]],
                "notices": [
                    {"text": one.text, "at_ms": one.at_ms, "address": address_of(one.subject)}
                    for one in notices_for(session, [*teams, person], 20)
                ],
            }

    def request(self, request_id: str, person: str) -> dict[str, Any]:
        """One change request, and what this person may do with it."""
        at_ms = now_ms()
        with self._governing.looking() as session:
            row = requests.found(session, request_id)
            document = request_document(session, row, at_ms)
            teams = teams_of(in_force(session).map, person)
            mine = row.requester == person
            agreed = any(one["by"] == person for one in document["agreed"])
            state = State(row.state)
            return {
                "asked_for": document,
                "bars": _bars(document["replay"]),
                "may_approve": state is State.PROPOSED and not mine and bool(teams) and not agreed,
                "may_return": state in WAITING and not mine and bool(teams),
                "may_propose": state is State.DRAFT and mine,
                "may_withdraw": state in WAITING and mine,
            }

    def settles(self, object_name: str, received_ms: int) -> str:
        """Who decides on a case, by when, and what follows when nobody does; "" where the map does not say."""
        with self._governing.looking() as session:
            entry = in_force(session).map.objects.get(object_name)
        if entry is None or entry.conflict_process is None:
            return ""
        process = entry.conflict_process
        by_ms = received_ms + process.within_ms
        above = process.escalate_to
        if now_ms() < by_ms:
            then = f"{above} is told" if above else "the owner's value stays"
            return f"{process.decides} decides by {moment(by_ms)}; without an answer {then}."
        then = f"{above} is told" if above else "The owner's value stays as long as nobody decides"
        return f"{process.decides} should have decided by {moment(by_ms)}. {then[:1].upper()}{then[1:]}."

    def reviews_missed(self) -> list[ReviewDue]:
        """Reviews that are overdue: for Today."""
        with self._governing.looking() as session:
            return [one for one in reviewing.reviews(session, now_ms()) if one.late]


TONES = {
    Standing.DONE: "green",
    Standing.SOON: "blue",
    Standing.OVERDUE: "orange",
    Standing.ESCALATED: "red",
}


def told(now: InForce) -> str:
    """Which map this is."""
    if not now.published.version:
        return "There is no map in force yet."
    return (
        f"By version {now.published.version} of the map, in force since {moment(now.published.published_ms)}."
    )


def _entry(now: InForce, name: str) -> ObjectMap:
    if name not in now.map.objects:
        msg = "There is no such object in the ownership map."
        raise NotFoundError(msg, "See Ownership.")
    return now.map.objects[name]


def _object_line(ownership_map: OwnershipMap, entry: ObjectMap, due: ReviewDue) -> dict[str, Any]:
    owners = sorted({*entry.owners.values()})
    return {
        "name": entry.name,
        "description": entry.description,
        "owners": [{"name": one, "title": ownership_map.systems[one].title} for one in owners],
        "unowned": len(entry.fields) - len(entry.owners),
        "team": entry.steward_team,
        "review": review_line(due),
        "tone": TONES[due.standing],
    }


def _owned(entry: ObjectMap, system: str) -> str:
    names = [name for name in entry.fields if entry.owner_of(name) == system]
    return labelled(entry, names) if names else ""


def _read(entry: ObjectMap, system: str) -> str:
    names = [name for name in entry.fields if system in entry.readers_of(name)]
    if len(names) == len(entry.fields):
        return "whole records"
    return labelled(entry, names) if names else ""


def _connections(
    session: Session, ownership_map: OwnershipMap, name: str, at_ms: int
) -> list[dict[str, Any]]:
    evidence = evidence_at(session, at_ms)
    return [
        {
            "source": ownership_map.systems[one.source].title,
            "sink": ownership_map.systems[one.sink].title,
            "standing": standing.value,
            "missing": [lack.words for lack in missing(ownership_map, one, evidence)],
        }
        for one, standing in standings(ownership_map).items()
        if one.object == name
    ]


def _about(session: Session, name: str) -> list[ChangeRequest]:
    rows = requests_in(session, *WAITING)
    return [row for row in rows if any(c.object == name for c in requests.plan_of(row).changes)]


def _history(session: Session, entry: ObjectMap) -> list[dict[str, Any]]:
    return [
        {
            "version": turn.version,
            "at_ms": turn.at_ms,
            "by": turn.by,
            "request": request_line(turn.request) if turn.request is not None else None,
            "changes": turn.words,
        }
        for turn in history_of(session, entry)[:HISTORY_LENGTH]
    ]


def _waits_for(row: ChangeRequest, person: str, teams: frozenset[str]) -> bool:
    return row.state == State.PROPOSED and row.requester != person and bool(teams & {*row.asked.split("\n")})


def _ended(session: Session) -> list[ChangeRequest]:
    rows = requests_page(session, state=None, before=None, limit=200)
    return [row for row in rows if row.state in ONCE_IN_FORCE][:HISTORY_LENGTH]


def _bars(replay: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What would flip, each with its share of the largest, for a drawing."""
    flips = (replay or {}).get("flips", [])
    most = max((flip["count"] for flip in flips), default=1)
    return [flip | {"share": round(100 * flip["count"] / most)} for flip in flips[:PAGE_LENGTH]]
