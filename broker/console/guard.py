"""Before every route: who is it, does the request come from our own page, and which headers every answer has.

Default deny: a path that is not listed as open needs a signed-in user, so a new route is closed until
somebody opens it here. Form tokens are checked where the form is read (`broker.console.forms`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker import telemetry
from broker.console.errors import RefusedError, UsersFileError
from broker.console.sessions import Session, Sessions
from broker.console.settings import ConsoleSettings
from broker.console.users import User, Users

OPEN_PATHS = frozenset({"/login", "/login/link", "/healthz"})
OPEN_PREFIX = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD"})
REFUSED_REMEDY = "Use the address by which the console knows itself."
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a form's Origin would be "null", and be refused
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who asks. No session = a program with a token, which no browser sends by itself."""

    user: User
    session: Session | None
    identity: str = ""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings, users: Users, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._users = users
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        answer: ASGIApp = self._app
        if refused:
            telemetry.log("console.refused", level="warning", rule=refused, path=scope["path"])
            said = f"This request is refused: {refused}."
            answer = _told(scope, 403, RefusedError.code, said, REFUSED_REMEDY)
        else:
            try:
                signed_in = self._signed_in(headers)
            except UsersFileError as error:
                signed_in = None
                answer = _told(scope, error.status, error.code, f"{error.sentence}.", error.remedy)
            scope.setdefault("state", {})["signed_in"] = signed_in
            if signed_in is None and answer is self._app and not _is_open(scope["path"]):
                answer = _ask_to_sign_in(scope)
        await answer(scope, receive, _with_headers(send, scope["path"], secure=self._settings.secure))

    def _refused(self, scope: Scope, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if host not in self._settings.hosts:
            return "unknown host"
        if scope["method"] in SAFE_METHODS or headers.get("authorization", "").startswith("Bearer "):
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None and origin is None:
            return "a form says where it comes from"
        if site not in (None, "same-origin"):
            return "another site sent it"
        ours = {f"http://{host}", f"https://{host}"} if not self._settings.secure else {f"https://{host}"}
        return None if origin is None or origin in ours else "another site sent it"

    def _signed_in(self, headers: Headers) -> SignedIn | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            user = self._users.with_token(token)
            return None if user is None else SignedIn(user, None)
        identity = cookie_parser(headers.get("cookie", "")).get(cookie_name(self._settings), "")
        session = self._sessions.find(identity) if identity else None
        user = self._users.find(session.name) if session else None
        return SignedIn(user, session, identity) if user is not None else None


def cookie_name(settings: ConsoleSettings) -> str:
    """`__Host-` binds the cookie to this very host; browsers accept it over TLS only."""
    return "__Host-solesource" if settings.secure else "solesource_session"


def set_cookie(response: Response, settings: ConsoleSettings, identity: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(settings), identity, path="/", httponly=True, samesite="lax", secure=settings.secure
    )


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)


def _ask_to_sign_in(scope: Scope) -> ASGIApp:
    path = scope["path"]
    if path.startswith("/api/"):
        remedy = "A token is made with `solesource user token NAME`."
        return _told(scope, 401, "console.not_signed_in", "Sign in, or send a bearer token.", remedy)
    if scope["method"] in SAFE_METHODS and path != "/live":
        return RedirectResponse(f"/login?next={quote(path)}", 303)
    return PlainTextResponse("You are signed out. Open the page again.\n", 401)


def _told(scope: Scope, status: int, code: str, sentence: str, remedy: str) -> Response:
    """A refusal, in the form in which the rest of the console tells them."""
    if scope["path"].startswith("/api/"):
        problem = {"type": code, "title": sentence, "status": status, "detail": remedy}
        return JSONResponse(problem, status, media_type="application/problem+json")
    return PlainTextResponse(f"{sentence} [{code}] {remedy}\n", status)


def _with_headers(send: Send, path: str, *, secure: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if secure:
                headers["Strict-Transport-Security"] = "max-age=31536000"
            if not path.startswith(OPEN_PREFIX):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sending
