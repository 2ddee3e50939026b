"""The two ways in which commands govern the map, behind one form: on the database, or by a console's API.

Which one is a setting. Both give the same documents (`broker/governance/words.py`): commands do not know which it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from broker.cli.by_console import OnConsole
from broker.cli.conversation import Conversation
from broker.cli.governed import acting, looking
from broker.cli.output import CommandRefused
from broker.clock import now_ms
from broker.governance import evidence, requests, reviewing
from broker.governance.words import (
    request_document,
    request_line,
    review_line,
    sign_off_line,
    waiver_line,
)
from broker.settings import Settings
from broker.store.audit import Actor
from broker.store.decided import Session, requests_page, waivers_at
from broker.store.governed import ChangeRequest

Document = dict[str, Any]
OnRequest = Callable[[Session, Actor, ChangeRequest], object]


class Governing(Protocol):
    """What commands do with what people decided. Every step is audited, and raises an error with a code, or is done."""

    def requests(self, state: str | None, limit: int) -> list[Document]:
        """Requests, the one that moved last first; `limit` of them at most."""

    def request(self, name: str) -> Document:
        """Everything about a request."""

    def plan(self, name: str) -> Document:
        """The plan of a request."""

    def draft(self, plan_text: str, title: str, reason: str) -> Document:
        """Begin a request; this and every step on it: the request as it stands then."""

    def revise(self, name: str, plan_text: str) -> Document:
        """Give a draft another plan."""

    def propose(self, name: str) -> Document:
        """Ask those who must agree."""

    def approve(self, name: str, note: str) -> Document:
        """Agree to the plan as it stands."""

    def send_back(self, name: str, why: str) -> Document:
        """Give a request back to its requester."""

    def withdraw(self, name: str) -> Document:
        """Take a request back."""

    def schedule(self, name: str, at_ms: int) -> Document:
        """Say when an approved request is to take force."""

    def remark(self, name: str, text: str) -> Document:
        """Say something about a request."""

    def waivers(self) -> list[Document]:
        """Waivers that count now."""

    def waive(self, code: str, subject: str, reason: str, expires_ms: int) -> Document:
        """Answer for something that is missing."""

    def end_waiver(self, name: str) -> Document:
        """Take a waiver back."""

    def reviews(self) -> list[Document]:
        """The next review of each object, the most urgent first."""

    def sign_off(self, object_name: str, note: str, pack_sha256: str) -> Document:
        """Say that an object's part of the map was reviewed."""


@contextmanager
def governing(by: str | None = None) -> Iterator[Governing]:
    """The way that the settings name, for one command of a person; `by` may be left out where a token says it.

    Raises SettingsRefused, CommandRefused, and ConsoleRefused where `by` is not the token's.
    """
    access = Settings().console()
    if access is None:
        yield OnDatabase(by)
        return
    conversation = Conversation(access)
    try:
        found = OnConsole(conversation)
        if by is not None:
            found.check_person(by)
        yield found
    finally:
        conversation.close()


class OnDatabase:
    """What people decide, on the database itself, signed with the audit's key."""

    def __init__(self, by: str | None = None) -> None:
        self._by = by

    def requests(self, state: str | None, limit: int) -> list[Document]:
        """Requests, the one that moved last first."""
        with looking() as session:
            rows = requests_page(session, state=state, before=None, limit=limit)
            return [request_line(row) for row in rows]

    def request(self, name: str) -> Document:
        """Everything about a request."""
        with looking() as session:
            return request_document(session, requests.found(session, name), now_ms())

    def plan(self, name: str) -> Document:
        """The plan of a request."""
        with looking() as session:
            document: Document = json.loads(requests.found(session, name).plan)
        return document

    def draft(self, plan_text: str, title: str, reason: str) -> Document:
        """Begin a request."""
        with acting(self._person(), "request.draft") as (session, actor):
            row = requests.draft(session, actor, plan_text, title, reason)
            session.flush()
            return request_document(session, row, actor.now_ms)

    def revise(self, name: str, plan_text: str) -> Document:
        """Give a draft another plan."""
        return self._step(
            name,
            "request.revise",
            lambda session, actor, row: requests.revise(session, actor, row, plan_text),
        )

    def propose(self, name: str) -> Document:
        """Ask those who must agree."""
        return self._step(name, "request.propose", requests.propose)

    def approve(self, name: str, note: str) -> Document:
        """Agree to the plan as it stands."""
        return self._step(
            name, "request.approve", lambda session, actor, row: requests.approve(session, actor, row, note)
        )

    def send_back(self, name: str, why: str) -> Document:
        """Give a request back to its requester."""
        return self._step(
            name, "request.return", lambda session, actor, row: requests.send_back(session, actor, row, why)
        )

    def withdraw(self, name: str) -> Document:
        """Take a request back."""
        return self._step(name, "request.withdraw", lambda _, actor, row: requests.withdraw(actor, row))

    def schedule(self, name: str, at_ms: int) -> Document:
        """Say when an approved request is to take force."""
        return self._step(
            name,
            "request.schedule",
            lambda session, actor, row: requests.schedule(session, actor, row, at_ms),
        )

    def remark(self, name: str, text: str) -> Document:
        """Say something about a request."""
        return self._step(
            name, "request.remark", lambda session, actor, row: requests.remark(session, actor, row, text)
        )

    def waivers(self) -> list[Document]:
        """Waivers that count now."""
        with looking() as session:
            return [waiver_line(row) for row in waivers_at(session, now_ms())]

    def waive(self, code: str, subject: str, reason: str, expires_ms: int) -> Document:
        """Answer for something that is missing."""
        with acting(self._person(), "waiver.add") as (session, actor):
            row = evidence.waive(
                session, actor, code=code, subject=subject, reason=reason, expires_ms=expires_ms
            )
            return waiver_line(row)

    def end_waiver(self, name: str) -> Document:
        """Take a waiver back."""
        with acting(self._person(), "waiver.end") as (session, actor):
            return waiver_line(evidence.end_waiver(session, actor, name))

    def reviews(self) -> list[Document]:
        """The next review of each object."""
        with looking() as session:
            return [review_line(one) for one in reviewing.reviews(session, now_ms())]

    def sign_off(self, object_name: str, note: str, pack_sha256: str) -> Document:
        """Say that an object's part of the map was reviewed."""
        with acting(self._person(), "review.sign_off") as (session, actor):
            return sign_off_line(reviewing.sign_off(session, actor, object_name, note, pack_sha256))

    def _step(self, name: str, action: str, on: OnRequest) -> Document:
        with acting(self._person(), action) as (session, actor):
            row = requests.found(session, name)
            on(session, actor, row)
            session.flush()
            return request_document(session, row, actor.now_ms)

    def _person(self) -> str:
        if self._by is None:
            msg = "it is not said who does it [governed.by] Add --by NAME; only a console's token says it by itself."
            raise CommandRefused(msg)
        return self._by
