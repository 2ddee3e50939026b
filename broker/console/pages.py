"""The pages: Today, Needs review, Case, and the forms on them. Words and figures come from `views`."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from broker import telemetry
from broker.clock import now_ms
from broker.console.decisions import Sender, decide, new_command_id
from broker.console.errors import ConsoleError, NotFoundError
from broker.console.forms import checked_form, note_of
from broker.console.governed_views import GovernedViews
from broker.console.rendering import page
from broker.console.views import Views
from broker.store.cases import CaseFilter
from broker.store.deliveries import settle_delivery
from broker.store.engine import Engine, writing

COMMAND_ID_LENGTH = 32
FILTER_LENGTH_MAX = 200


def filter_of(request: Request) -> CaseFilter:
    """The filter in the address."""
    names = ("state", "system", "field", "reason", "object")
    given = {
        name: request.query_params[name][:FILTER_LENGTH_MAX] for name in names if name in request.query_params
    }
    return CaseFilter(**given)


def before_of(request: Request) -> tuple[int, str] | None:
    """Where the page before this one ended. Raises ConsoleError."""
    text = request.query_params.get("before", "")
    received_ms, _, case_id = text.partition("~")
    if not text:
        return None
    if not received_ms.isdecimal() or len(received_ms) > 15:
        msg = "This address is not complete."
        raise ConsoleError(msg, "Open Needs review again.")
    return int(received_ms), case_id


class Pages:
    """The routes for people."""

    def __init__(self, engine: Engine, views: Views, sender: Sender, governed: GovernedViews) -> None:
        self._governed = governed
        self._engine = engine
        self._views = views
        self._sender = sender

    def routes(self) -> list[Route]:
        """Every page and every form."""
        return [
            Route("/", self.today, methods=["GET"]),
            Route("/review", self.review, methods=["GET"]),
            Route("/cases/{case_id}", self.case, methods=["GET"]),
            Route("/cases/{case_id}/standing", self.standing, methods=["GET"]),
            Route("/cases/{case_id}/decision", self.decide, methods=["POST"]),
            Route("/deliveries/settled", self.settle, methods=["POST"]),
        ]

    async def today(self, request: Request) -> Response:
        """One sentence per sync, worst first; then the account and the latencies."""
        missed = await run_in_threadpool(self._governed.reviews_missed)
        return page(request, "today.html", missed=missed, **await run_in_threadpool(self._views.today))

    async def review(self, request: Request) -> Response:
        """What waits for a person."""
        facts = await run_in_threadpool(self._views.review, filter_of(request), before_of(request))
        return page(request, "review.html", views=self._views, **facts)

    async def case(self, request: Request) -> Response:
        """One case: difference, choices, history."""
        view = await run_in_threadpool(self._views.case, request.path_params["case_id"])
        show_all = request.query_params.get("show") == "all"
        settles = await run_in_threadpool(self._governed.settles, view.case.object, view.case.received_ms)
        return page(
            request,
            "case.html",
            view=view,
            show_all=show_all,
            settles=settles,
            command_id=new_command_id(),
            title=self._views.title,
        )

    async def standing(self, request: Request) -> Response:
        """The part of a case that says whether a decision has taken effect."""
        view = await run_in_threadpool(self._views.case, request.path_params["case_id"])
        answer = page(request, "_standing.html", view=view)
        if view.waiting is None:
            answer.headers["HX-Refresh"] = "true"  # the choices and the history have changed with it
        return answer

    async def decide(self, request: Request) -> Response:
        """Send a decision and show the case again."""
        user, form = await checked_form(request)
        command_id = form.get("command_id", "")
        if len(command_id) != COMMAND_ID_LENGTH or not command_id.isalnum():
            msg = "This form is not complete."
            raise ConsoleError(msg)
        view = await run_in_threadpool(self._views.case, request.path_params["case_id"])
        await decide(
            self._engine,
            self._sender,
            view.case,
            choice=form.get("decision", ""),
            by=user.name,
            note=note_of(form),
            command_id=command_id,
        )
        return RedirectResponse(f"/cases/{view.case.case_id}", 303)

    async def settle(self, request: Request) -> Response:
        """Mark a failed update as dealt with."""
        user, form = await checked_form(request)
        delivery_id, note = form.get("delivery_id", ""), note_of(form)
        if not await run_in_threadpool(self._settle, delivery_id, user.name, note):
            msg = "This update was settled already."
            raise NotFoundError(msg)
        telemetry.log("console.delivery_settled", delivery=delivery_id, by=user.name)
        return RedirectResponse("/review", 303)

    def _settle(self, delivery_id: str, by: str, note: str) -> bool:
        with writing(self._engine) as connection:
            return settle_delivery(connection, delivery_id, by=by, note=note, at_ms=now_ms())
