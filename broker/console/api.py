"""The JSON API for programs: syncs, cases, decisions. Small on purpose; the same rules as the pages.

Problems are answered as RFC 9457 documents with a stable `type`. Original bytes are not given out here.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.console import words
from broker.console.decisions import Sender, decide, new_command_id
from broker.console.errors import ConsoleError
from broker.console.forms import FORM_LENGTH_MAX, TOKEN_HEADER, check_token, note_of
from broker.console.pages import before_of, filter_of
from broker.console.views import Views
from broker.store.cases import Case
from broker.store.engine import Engine


class Api:
    """The routes under /api/v1."""

    def __init__(self, engine: Engine, views: Views, sender: Sender) -> None:
        self._engine = engine
        self._views = views
        self._sender = sender

    def routes(self) -> list[Route]:
        """Every address of the API."""
        return [
            Route("/api/v1/syncs", self.syncs, methods=["GET"]),
            Route("/api/v1/cases", self.cases, methods=["GET"]),
            Route("/api/v1/cases/{case_id}", self.case, methods=["GET"]),
            Route("/api/v1/cases/{case_id}/decision", self.decide, methods=["POST"]),
        ]

    async def syncs(self, _request: Request) -> Response:
        """Every sync, worst first."""
        found = await run_in_threadpool(self._views.syncs)
        rows = [
            {
                "name": sync.name,
                "state": sync.state,
                "since": words.machine_time(sync.since_ms),
                "evaluated": words.machine_time(sync.evaluated_ms),
                "sentence": sync.sentence,
                "effect": sync.effect,
                "next": sync.next_step,
                "measures": dict(sync.measures),
            }
            for sync in found
        ]
        return JSONResponse({"syncs": rows})

    async def cases(self, request: Request) -> Response:
        """A page of cases; `next` is the `before` of the page after it."""
        facts = await run_in_threadpool(self._views.review, filter_of(request), before_of(request))
        last = facts["next"]
        following = f"{last.received_ms}~{last.case_id}" if last else None
        return JSONResponse({"cases": [_document(case) for case, *_ in facts["cases"]], "next": following})

    async def case(self, request: Request) -> Response:
        """One case with its verdicts."""
        view = await run_in_threadpool(self._views.case, request.path_params["case_id"])
        return JSONResponse(_document(view.case) | {"waiting": view.waiting is not None})

    async def decide(self, request: Request) -> Response:
        """Send a decision: `{"decision": "keep" | "ask_owner", "note": "..."}`; 202, as sent is not done."""
        user = check_token(request, request.headers.get(TOKEN_HEADER, ""))
        sent = _object_of(await _body(request))
        view = await run_in_threadpool(self._views.case, request.path_params["case_id"])
        decision = await decide(
            self._engine,
            self._sender,
            view.case,
            choice=sent.get("decision", ""),
            by=user.name,
            note=note_of(sent),
            command_id=sent.get("command_id", "")[:64] or new_command_id(),
        )
        return JSONResponse(
            {"command_id": decision.command_id, "case": f"/api/v1/cases/{view.case.case_id}"}, 202
        )


async def _body(request: Request) -> bytes:
    if int(request.headers.get("content-length") or 0) > FORM_LENGTH_MAX:
        msg = "That is more than a request may carry."
        raise ConsoleError(msg)
    return await request.body()


def _object_of(body: bytes) -> dict[str, str]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        msg = "The request is not a JSON object of texts."
        raise ConsoleError(msg, 'Send {"decision": "keep" or "ask_owner", "note": "..."}.')
    return document


def _document(case: Case) -> dict[str, Any]:
    verdicts = [
        {
            "field": verdict.field,
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "owner": verdict.owner,
            "authoritative": verdict.authoritative,
            "attempted": verdict.attempted,
        }
        for verdict in case.verdicts
    ]
    return {
        "case_id": case.case_id,
        "object": case.object,
        "key": words.key_text(case.key),
        "system": case.system,
        "outcome": case.outcome,
        "reason": case.reason,
        "sentence": words.reason_words(case.reason).sentence,
        "state": case.state,
        "result": case.result,
        "received": words.machine_time(case.received_ms),
        "revision": case.revision,
        "verdicts": verdicts,
    }
