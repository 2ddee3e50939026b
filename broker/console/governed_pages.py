"""The pages Ownership and Approvals, and the forms on them. Words come from `governed_views`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from broker.console.errors import ConsoleError
from broker.console.forms import checked_form, note_of, signed_in
from broker.console.governed_views import GovernedViews
from broker.console.governing import Answer, Governing
from broker.console.rendering import page
from broker.governance import requests, reviewing
from broker.governance.telling import object_address
from broker.store.audit import Actor
from broker.store.decided import Session
from broker.store.governed import ChangeRequest

VIA = "console"
SEARCH_LENGTH_MAX = 100
OnRequest = Callable[[Session, Actor, ChangeRequest, dict[str, str]], object]


def _approve(session: Session, actor: Actor, row: ChangeRequest, form: dict[str, str]) -> None:
    requests.same_plan(row, form.get("plan_hash", ""))
    requests.approve(session, actor, row, form.get("note", ""))


STEPS: dict[str, OnRequest] = {
    "approve": _approve,
    "return": lambda session, actor, row, form: requests.send_back(session, actor, row, note_of(form)),
    "remark": lambda session, actor, row, form: requests.remark(session, actor, row, note_of(form)),
    "propose": lambda session, actor, row, _form: requests.propose(session, actor, row),
    "withdraw": lambda _session, actor, row, _form: requests.withdraw(actor, row),
}
"""What a form on a request's page does."""


class GovernedPages:
    """The routes for people who govern the map."""

    def __init__(self, governing: Governing, views: GovernedViews) -> None:
        self._governing = governing
        self._views = views

    def routes(self) -> list[Route]:
        """Every page and every form."""
        return [
            Route("/ownership", self.ownership, methods=["GET"]),
            Route("/ownership/objects/{name}", self.object, methods=["GET"]),
            Route("/ownership/objects/{name}/sign-off", self.sign_off, methods=["POST"]),
            Route("/ownership/systems/{name}", self.system, methods=["GET"]),
            Route("/approvals", self.approvals, methods=["GET"]),
            Route("/approvals/{request_id}", self.request, methods=["GET"]),
            Route("/approvals/{request_id}/{step}", self.step, methods=["POST"]),
        ]

    async def ownership(self, request: Request) -> Response:
        """Who owns what."""
        search = request.query_params.get("q", "")[:SEARCH_LENGTH_MAX]
        number = request.query_params.get("page", "0")
        if not number.isdecimal() or len(number) > 6:
            msg = "This address is not complete."
            raise ConsoleError(msg, "Open Ownership again.")
        return page(
            request, "ownership.html", **await run_in_threadpool(self._views.ownership, search, int(number))
        )

    async def object(self, request: Request) -> Response:
        """One object."""
        name, person = request.path_params["name"], signed_in(request).user.name
        return page(request, "object.html", **await run_in_threadpool(self._views.object, name, person))

    async def system(self, request: Request) -> Response:
        """One system."""
        facts = await run_in_threadpool(self._views.system, request.path_params["name"])
        return page(request, "system.html", **facts)

    async def approvals(self, request: Request) -> Response:
        """What is asked for."""
        facts = await run_in_threadpool(self._views.approvals, signed_in(request).user.name)
        return page(request, "approvals.html", **facts)

    async def request(self, request: Request) -> Response:
        """One change request."""
        name, person = request.path_params["request_id"], signed_in(request).user.name
        return page(request, "request.html", **await run_in_threadpool(self._views.request, name, person))

    async def step(self, request: Request) -> Response:
        """One step of a change request, and its page again."""
        user, form = await checked_form(request)
        name, step = request.path_params["request_id"], request.path_params["step"]
        revision = form.get("revision", "")
        if step not in STEPS or not revision.isdecimal() or len(revision) > 18:
            msg = "This form is not complete."
            raise ConsoleError(msg)

        def do(session: Session, actor: Actor) -> Answer:
            # A remark is no change of the request: it never comes too late.
            row = requests.found(session, name, None if step == "remark" else int(revision))
            STEPS[step](session, actor, row, form)
            return Answer({})

        await run_in_threadpool(self._governing.step, user.name, VIA, f"request.{step}", do)
        return RedirectResponse(f"/approvals/{name}", 303)

    async def sign_off(self, request: Request) -> Response:
        """A steward has reviewed an object's part of the map."""
        user, form = await checked_form(request)
        name = request.path_params["name"]

        def do(session: Session, actor: Actor) -> Answer:
            reviewing.sign_off(session, actor, name, note_of(form), "")
            return Answer({})

        await run_in_threadpool(self._governing.step, user.name, VIA, "review.sign_off", do)
        return RedirectResponse(object_address(name), 303)
