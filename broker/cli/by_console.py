"""Governing through a console's API: whoever does it needs a token, and neither the database nor the audit's key."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from broker.cli.conversation import Answer, ConsoleRefused, Conversation, Document
from broker.cli.output import CommandRefused
from broker.governance.words import request_text
from ownership.plan import read_plan

PAGE = 50
"""Lines asked for at once."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What can stand in an address without being another address."""
_REQUEST = frozenset({"request", "state", "since", "requester", "title"})
_WAIVER = frozenset({"waiver", "code", "words", "subject", "owner", "ends", "reason"})
_REVIEW = frozenset({"object", "standing", "due", "last", "team"})


class OnConsole:
    """What people decide, by a console."""

    def __init__(self, conversation: Conversation) -> None:
        self._console = conversation

    def check_person(self, by: str) -> None:
        """Raises ConsoleRefused where the token is somebody else's: the audit would not say what was meant."""
        name = self._console.read("me").document.get("name")
        if name != by:
            detail = f"the token is {name}'s, and --by says {by}"
            remedy = "Leave --by out, or name the file of the right token in SOLESOURCE_CONSOLE_TOKEN_FILE."
            raise ConsoleRefused("request.not_you", detail, remedy)

    def requests(self, state: str | None, limit: int) -> list[Document]:
        """Requests, the one that moved last first."""
        found: list[Document] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            asked: dict[str, str | int] = {"limit": min(PAGE, limit - len(found))}
            asked |= {"state": state} if state else {}
            answer = self._console.read("requests", **asked | ({"cursor": cursor} if cursor else {}))
            lines = self._lines(answer, _REQUEST)
            cursor = answer.document.get("next") if lines else None
            found += lines
        return found[:limit]

    def request(self, name: str) -> Document:
        """Everything about a request."""
        return self._request(self._console.read(f"requests/{_named(name)}"))

    def plan(self, name: str) -> Document:
        """The plan of a request."""
        return self._console.read(f"requests/{_named(name)}/plan").document

    def draft(self, plan_text: str, title: str, reason: str) -> Document:
        """Begin a request."""
        sent = {"plan": _plan_in(plan_text), "title": title, "reason": reason}
        return self._request(self._console.write("POST", "requests", sent))

    def revise(self, name: str, plan_text: str) -> Document:
        """Give a draft another plan."""
        sent = {"plan": _plan_in(plan_text)}
        return self._request(
            self._console.write("PUT", f"requests/{_named(name)}/plan", sent, self._read(name).etag)
        )

    def propose(self, name: str) -> Document:
        """Ask those who must agree."""
        return self._step(name, "propose")

    def approve(self, name: str, note: str) -> Document:
        """Agree to the plan that is there now, and to no other."""
        there = self._read(name)
        sent = {"plan_hash": there.document.get("plan_hash"), "note": note}
        return self._step(name, "approve", sent, there)

    def send_back(self, name: str, why: str) -> Document:
        """Give a request back to its requester."""
        return self._step(name, "return", {"text": why})

    def withdraw(self, name: str) -> Document:
        """Take a request back."""
        return self._step(name, "withdraw")

    def schedule(self, name: str, at_ms: int) -> Document:
        """Say when an approved request is to take force."""
        return self._step(name, "schedule", {"at_ms": at_ms})

    def remark(self, name: str, text: str) -> Document:
        """Say something about a request."""
        return self._request(self._console.write("POST", f"requests/{_named(name)}/remarks", {"text": text}))

    def waivers(self) -> list[Document]:
        """Waivers that count now."""
        return self._lines(self._console.read("waivers"), _WAIVER)

    def waive(self, code: str, subject: str, reason: str, expires_ms: int) -> Document:
        """Answer for something that is missing."""
        sent = {"code": code, "subject": subject, "reason": reason, "expires_ms": expires_ms}
        return self._line(self._console.write("POST", "waivers", sent).document, _WAIVER)

    def end_waiver(self, name: str) -> Document:
        """Take a waiver back."""
        return self._line(self._console.write("POST", f"waivers/{_named(name)}/end").document, _WAIVER)

    def reviews(self) -> list[Document]:
        """The next review of each object."""
        return self._lines(self._console.read("reviews"), _REVIEW)

    def sign_off(self, object_name: str, note: str, pack_sha256: str) -> Document:
        """Say that an object's part of the map was reviewed."""
        sent = {"note": note, "pack_sha256": pack_sha256}
        answer = self._console.write("POST", f"reviews/{_named(object_name)}/sign-off", sent)
        return self._line(answer.document, frozenset({"object", "by", "map_version"}))

    def _step(
        self, name: str, step: str, sent: Document | None = None, there: Answer | None = None
    ) -> Document:
        etag = (there or self._read(name)).etag
        return self._request(self._console.write("POST", f"requests/{_named(name)}/{step}", sent, etag))

    def _read(self, name: str) -> Answer:
        """A request as it stands, with what must still stand when it is changed."""
        answer = self._console.read(f"requests/{_named(name)}")
        self._request(answer)
        if not answer.etag:
            raise self._console.not_ours("does not say which revision of the request it is")
        return answer

    def _request(self, answer: Answer) -> Document:
        try:
            # What people read of it is the shape that it must have.
            request_text(answer.document)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._console.not_ours("answers with no change request") from error
        return answer.document

    def _lines(self, answer: Answer, named: Collection[str]) -> list[Document]:
        items = answer.document.get("items")
        if not isinstance(items, list):
            raise self._console.not_ours("answers with no list")
        return [self._line(one, named) for one in items]

    def _line(self, one: object, named: Collection[str]) -> Document:
        if not isinstance(one, dict) or not set(named) <= one.keys():
            raise self._console.not_ours("answers with another kind of line")
        return one


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot be a name [console.name] Names are letters, digits, - and _; see the lists."
        raise CommandRefused(msg)
    return name


def _plan_in(text: str) -> Document:
    """A plan as it is sent. Raises PlanRefused, as the console would."""
    read_plan(text, "the plan")
    document: Document = json.loads(text)
    return document
