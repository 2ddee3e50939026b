"""Live pages by server-sent events: one look at the store per second for all, however many pages are open.

Only states, sentences and counts travel; no page is moved from here, it is told what is new.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.clock import now_ms
from broker.console import words
from broker.console.forms import signed_in
from broker.console.sessions import Sessions
from broker.console.views import Views
from broker.store.errors import StoreUnavailableError

EVERY_S = 1.0
KEPT_ALIVE_S = 5.0
STREAMS_MAX = 200


class Live:
    """The stream of events."""

    def __init__(self, views: Views, sessions: Sessions, every_s: float = EVERY_S) -> None:
        self._views = views
        self._sessions = sessions
        self._every_s = every_s
        self._streams = 0
        self._last: tuple[int, dict[str, Any] | None] = (0, None)
        self._lock = asyncio.Lock()
        self.closing = False

    def routes(self) -> list[Route]:
        """The one address."""
        return [Route("/live", self.stream, methods=["GET"])]

    async def stream(self, request: Request) -> Response:
        """Events until the page goes away or its session ends; looking on does not keep a session alive."""
        if self._streams >= STREAMS_MAX:
            return PlainTextResponse("Too many pages are open.\n", 503)
        who = signed_in(request)

        def lives() -> bool:
            return who.session is None or self._sessions.find(who.identity, touch=False) is not None

        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(lives), media_type="text/event-stream", headers=headers)

    async def _events(self, lives: Callable[[], bool]) -> AsyncIterator[str]:
        self._streams += 1
        sent, sent_ms = "", 0
        try:
            yield "retry: 3000\n\n"
            while not self.closing:
                if not lives():
                    yield "event: signed-out\ndata: {}\n\n"
                    return
                found = await self._look()
                text = json.dumps(found, sort_keys=True)
                if found is not None and (text != sent or now_ms() - sent_ms > KEPT_ALIVE_S * 1000):
                    sent, sent_ms = text, now_ms()
                    # without news it still says "as of now": a page that hears nothing calls itself paused
                    told = json.dumps(found | {"as_of": words.moment(sent_ms)})
                    yield f"event: state\nid: {sent_ms}\ndata: {told}\n\n"
                await asyncio.sleep(self._every_s)
        finally:
            self._streams -= 1

    async def _look(self) -> dict[str, Any] | None:
        """The state of all syncs and counts, read at most once per period; None while the store is away."""
        async with self._lock:
            at_ms, found = self._last
            if now_ms() - at_ms >= self._every_s * 1000:
                try:
                    found = await asyncio.to_thread(self._read)
                except StoreUnavailableError:
                    found = None
                self._last = (now_ms(), found)
            return found

    def _read(self) -> dict[str, Any]:
        facts = self._views.today()
        counts = facts["counts"]
        return {
            "syncs": [
                {
                    "name": sync.name,
                    "state": sync.state,
                    "word": sync.words.word,
                    "mark": sync.words.mark,
                    "tone": sync.words.tone,
                    "sentence": sync.sentence,
                    "effect": sync.effect,
                    "next": sync.next_step,
                }
                for sync in facts["syncs"]
            ],
            "cases": sum(counts.values()) + facts["deliveries"],
            "undecided": counts.get("open", 0) + facts["deliveries"],
        }
