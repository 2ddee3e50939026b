"""The API of governing: change requests, waivers, reviews and the audit, with the same rules as the pages.

Changes need If-Match with the revision that was read, and may carry an Idempotency-Key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from broker.clock import now_ms
from broker.console.errors import ConsoleError
from broker.console.forms import TOKEN_HEADER, check_token, signed_in
from broker.console.governed_forms import (
    PLAN_LENGTH_MAX,
    Approval,
    Draft,
    Me,
    Note,
    Page,
    Problem,
    Revision,
    Schedule,
    SignOffToAdd,
    StateName,
    WaiverToAdd,
    cursor_of,
    cursor_parts,
)
from broker.console.governing import KEY_LENGTH_MAX, Answer, Governing, Once
from broker.governance import evidence, requests, reviewing
from broker.governance.maps import in_force
from broker.governance.words import request_document, request_line, review_line, sign_off_line, waiver_line
from broker.store.audit import Actor
from broker.store.decided import Session, audit_page, requests_page, waivers_at
from broker.store.governed import ChangeRequest
from ownership.approval import teams_of

VIA = "api"
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=700)]
IfMatch = Annotated[str | None, Header(description='The revision that was read, such as "3".')]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=KEY_LENGTH_MAX)]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}}
    for status in (400, 401, 403, 404, 409, 412, 422, 428, 503)
}
OnRequest = Callable[[Session, Actor, ChangeRequest], object]


class MatchMissingError(ConsoleError):
    """A change without If-Match could undo what somebody else did meanwhile."""

    code = "api.match_missing"
    status = 428
    remedy = 'Read the request, and send its ETag as If-Match, such as "3".'


class GovernedApi:
    """The routes under /api/v1 that govern the map."""

    def __init__(self, governing: Governing) -> None:
        self._governing = governing

    def router(self) -> APIRouter:
        """Every address, with its shapes."""
        router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
        add = router.add_api_route
        add("/me", self.me, methods=["GET"], response_model=Me)
        add("/requests", self.requests, methods=["GET"], response_model=Page)
        add("/requests", self.draft, methods=["POST"], status_code=201)
        add("/requests/{request_id}", self.request, methods=["GET"])
        add("/requests/{request_id}/plan", self.plan, methods=["GET"])
        add("/requests/{request_id}/plan", self.revise, methods=["PUT"])
        add("/requests/{request_id}/remarks", self.remark, methods=["POST"], status_code=201)
        add("/requests/{request_id}/propose", self.propose, methods=["POST"])
        add("/requests/{request_id}/approve", self.approve, methods=["POST"])
        add("/requests/{request_id}/return", self.send_back, methods=["POST"])
        add("/requests/{request_id}/withdraw", self.withdraw, methods=["POST"])
        add("/requests/{request_id}/schedule", self.schedule, methods=["POST"])
        add("/waivers", self.waivers, methods=["GET"], response_model=Page)
        add("/waivers", self.waive, methods=["POST"], status_code=201)
        add("/waivers/{waiver_id}/end", self.end_waiver, methods=["POST"])
        add("/reviews", self.reviews, methods=["GET"], response_model=Page)
        add("/reviews/{object_name}/sign-off", self.sign_off, methods=["POST"], status_code=201)
        add("/audit", self.audit, methods=["GET"], response_model=Page)
        return router

    def me(self, request: Request) -> dict[str, Any]:
        """Whose session or token it is, and for which teams they speak."""
        user = signed_in(request).user
        with self._governing.looking() as session:
            teams = sorted(teams_of(in_force(session).map, user.name))
        return {"name": user.name, "may_decide": user.may_decide, "teams": teams}

    def requests(
        self, state: StateName | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> dict[str, Any]:
        """Change requests, the one that moved last first."""
        before = None
        if cursor is not None:
            moved, name = cursor_parts(cursor, 2)
            before = (int(moved), name)
        with self._governing.looking() as session:
            rows = requests_page(session, state=state, before=before, limit=limit + 1)
            items = [request_line(row) for row in rows[:limit]]
            last = rows[limit - 1] if len(rows) > limit else None
            following = cursor_of(last.state_ms, last.request_id) if last is not None else None
        return {"items": items, "next": following}

    def request(self, request_id: str) -> JSONResponse:
        """One change request: what it changes, how far it reaches, who has agreed, what is missing."""
        with self._governing.looking() as session:
            return _answered(_of_request(session, requests.found(session, request_id), now_ms()))

    def plan(self, request_id: str) -> JSONResponse:
        """Its plan, as it was put up."""
        with self._governing.looking() as session:
            return JSONResponse(json.loads(requests.found(session, request_id).plan))

    def draft(self, request: Request, sent: Draft, key: Key = None) -> JSONResponse:
        """Begin a change request with a plan; nobody is asked yet."""

        def do(session: Session, actor: Actor) -> Answer:
            row = requests.draft(session, actor, plan_text(sent.plan), sent.title, sent.reason)
            session.flush()
            return _of_request(session, row, actor.now_ms, 201)

        return self._step(request, "request.draft", do, sent, key)

    def revise(
        self, request: Request, request_id: str, sent: Revision, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Give a draft another plan."""

        def on(session: Session, actor: Actor, row: ChangeRequest) -> None:
            requests.revise(session, actor, row, plan_text(sent.plan))

        return self._on(request, request_id, "request.revise", on, sent, if_match, key)

    def propose(
        self, request: Request, request_id: str, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Ask those who must agree."""
        return self._on(request, request_id, "request.propose", requests.propose, None, if_match, key)

    def approve(
        self, request: Request, request_id: str, sent: Approval, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Agree to the plan with this hash, for the teams that you speak for."""

        def on(session: Session, actor: Actor, row: ChangeRequest) -> None:
            requests.same_plan(row, sent.plan_hash)
            requests.approve(session, actor, row, sent.note)

        return self._on(request, request_id, "request.approve", on, sent, if_match, key)

    def send_back(
        self, request: Request, request_id: str, sent: Note, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Give a request back to its requester, as an approver."""

        def on(session: Session, actor: Actor, row: ChangeRequest) -> None:
            requests.send_back(session, actor, row, sent.text)

        return self._on(request, request_id, "request.return", on, sent, if_match, key)

    def withdraw(
        self, request: Request, request_id: str, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Take a request back, as its requester."""

        def on(_session: Session, actor: Actor, row: ChangeRequest) -> None:
            requests.withdraw(actor, row)

        return self._on(request, request_id, "request.withdraw", on, None, if_match, key)

    def schedule(
        self, request: Request, request_id: str, sent: Schedule, if_match: IfMatch = None, key: Key = None
    ) -> JSONResponse:
        """Say when an approved request is to take force."""

        def on(session: Session, actor: Actor, row: ChangeRequest) -> None:
            requests.schedule(session, actor, row, sent.at_ms)

        return self._on(request, request_id, "request.schedule", on, sent, if_match, key)

    def remark(self, request: Request, request_id: str, sent: Note, key: Key = None) -> JSONResponse:
        """Say something about a request."""

        def do(session: Session, actor: Actor) -> Answer:
            row = requests.found(session, request_id)
            requests.remark(session, actor, row, sent.text)
            session.flush()
            return _of_request(session, row, actor.now_ms, 201)

        return self._step(request, "request.remark", do, sent, key)

    def waivers(self) -> dict[str, Any]:
        """Waivers that count now, the one that ends first first."""
        with self._governing.looking() as session:
            return {"items": [waiver_line(row) for row in waivers_at(session, now_ms())], "next": None}

    def waive(self, request: Request, sent: WaiverToAdd, key: Key = None) -> JSONResponse:
        """Answer for something that is missing, as the steward of the object."""

        def do(session: Session, actor: Actor) -> Answer:
            row = evidence.waive(session, actor, **sent.model_dump())
            session.flush()
            return Answer(waiver_line(row), 201)

        return self._step(request, "waiver.add", do, sent, key)

    def end_waiver(self, request: Request, waiver_id: str, key: Key = None) -> JSONResponse:
        """Take a waiver back before it ends by itself."""

        def do(session: Session, actor: Actor) -> Answer:
            return Answer(waiver_line(evidence.end_waiver(session, actor, waiver_id)))

        return self._step(request, "waiver.end", do, None, key)

    def reviews(self) -> dict[str, Any]:
        """The next review of each object, the most urgent first."""
        with self._governing.looking() as session:
            return {"items": [review_line(one) for one in reviewing.reviews(session, now_ms())], "next": None}

    def sign_off(
        self, request: Request, object_name: str, sent: SignOffToAdd, key: Key = None
    ) -> JSONResponse:
        """Say that an object's part of the map was reviewed, as its steward."""

        def do(session: Session, actor: Actor) -> Answer:
            row = reviewing.sign_off(session, actor, object_name, sent.note, sent.pack_sha256)
            return Answer(sign_off_line(row), 201)

        return self._step(request, "review.sign_off", do, sent, key)

    def audit(self, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
        """Who did what, newest first."""
        before = int(cursor_parts(cursor, 1)[0]) if cursor is not None else None
        with self._governing.looking() as session:
            rows = audit_page(session, before=before, limit=limit + 1)
            items = [
                {
                    "sequence": row.sequence,
                    "at_ms": row.at_ms,
                    "by": row.by,
                    "via": row.via,
                    "action": row.action,
                    "subject": row.subject,
                    "key": json.loads(row.key),
                    "digest": bytes(row.digest).hex(),
                }
                for row in rows[:limit]
            ]
        return {"items": items, "next": cursor_of(items[-1]["sequence"]) if len(rows) > limit else None}

    def _on(
        self,
        request: Request,
        request_id: str,
        action: str,
        on: OnRequest,
        sent: BaseModel | None,
        if_match: str | None,
        key: str | None,
    ) -> JSONResponse:
        if if_match is None:
            msg = "It is not said which revision this is about."
            raise MatchMissingError(msg)

        def do(session: Session, actor: Actor) -> Answer:
            row = requests.found(session, request_id, _revision(if_match))
            on(session, actor, row)
            session.flush()
            return _of_request(session, row, actor.now_ms)

        return self._step(request, action, do, sent, key)

    def _step(
        self,
        request: Request,
        action: str,
        do: Callable[[Session, Actor], Answer],
        sent: BaseModel | None,
        key: str | None,
    ) -> JSONResponse:
        user = check_token(request, request.headers.get(TOKEN_HEADER, ""))
        asked = f"{request.method} {request.url.path} {sent.model_dump_json() if sent is not None else ''}"
        once = Once(key, asked) if key is not None else None
        return _answered(self._governing.step(user.name, VIA, action, do, once))


def plan_text(plan: dict[str, Any]) -> str:
    """A plan as its file has it. Raises ConsoleError for one that is too long."""
    text = json.dumps(plan, ensure_ascii=False)
    if len(text) > PLAN_LENGTH_MAX:
        msg = f"The plan has {len(text)} characters."
        raise ConsoleError(
            msg, f"By HTTP come {PLAN_LENGTH_MAX} at most; use `solesource request` where the database is."
        )
    return text


def _revision(if_match: str) -> int:
    text = if_match.removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 18:
        msg = "If-Match holds no revision."
        raise MatchMissingError(msg)
    return int(text)


def _of_request(session: Session, row: ChangeRequest, at_ms: int, status: int = 200) -> Answer:
    return Answer(request_document(session, row, at_ms), status, row.revision)


def _answered(answer: Answer) -> JSONResponse:
    headers = {"ETag": answer.etag} if answer.etag else {}
    return JSONResponse(answer.document, answer.status, headers=headers)
