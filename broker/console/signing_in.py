"""Signing in and out: password form, one-time link, and the end of a session."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from broker import telemetry
from broker.clock import now_ms
from broker.console.errors import RefusedError, TooManyError
from broker.console.forms import TOKEN_FIELD, read_form, signed_in
from broker.console.guard import cookie_name, set_cookie
from broker.console.rendering import page
from broker.console.sessions import Brake, Sessions
from broker.console.settings import ConsoleSettings
from broker.console.users import User, Users

FORM_VALID_MS = 3_600_000


class SigningIn:
    """The routes that are open to everybody."""

    def __init__(self, settings: ConsoleSettings, users: Users, sessions: Sessions) -> None:
        self._settings = settings
        self._users = users
        self._sessions = sessions
        self._brake = Brake()
        self._secret = secrets.token_bytes(32)

    def routes(self) -> list[Route]:
        """Login, link and logout."""
        return [
            Route("/login", self.form, methods=["GET"]),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/login/link", self.link, methods=["GET"]),
            Route("/login/link", self.use_link, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """The sign-in page."""
        return self._form(request, _next_of(request.query_params.get("next", "")))

    def _form(self, request: Request, target: str, problem: str = "", status: int = 200) -> Response:
        facts: dict[str, Any] = {"target": target, "problem": problem, "token": self._token()}
        return page(request, "login.html", status=status, **facts)

    async def sign_in(self, request: Request) -> Response:
        """Check name and password. Raises RefusedError, TooManyError."""
        form = await read_form(request)
        name, address = form.get("name", "")[:200], request.client.host if request.client else ""
        if not self._is_ours(form.get(TOKEN_FIELD, "")):
            msg = "This form is no longer valid."
            raise RefusedError(msg)
        if self._brake.holds(f"name {name}", f"address {address}"):
            msg = "Too many attempts."
            raise TooManyError(msg)
        user = await run_in_threadpool(self._users.with_password, name, form.get("password", ""))
        if user is None:
            self._brake.failed(f"name {name}", f"address {address}")
            telemetry.log("console.sign_in_failed", level="warning", address=address)
            return self._form(request, _next_of(form.get("next", "")), "Name and password do not fit.", 401)
        return self._begin(request, user, "password", _next_of(form.get("next", "")))

    async def link(self, request: Request) -> Response:
        """A one-time link: at once when a person opened it, after a click when another site led here."""
        code = request.query_params.get("code", "")
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return page(request, "link.html", code=code, token=self._token())
        return await self._use(request, code)

    async def use_link(self, request: Request) -> Response:
        """The click. Raises RefusedError."""
        form = await read_form(request)
        if not self._is_ours(form.get(TOKEN_FIELD, "")):
            msg = "This form is no longer valid."
            raise RefusedError(msg)
        return await self._use(request, form.get("code", ""))

    async def _use(self, request: Request, code: str) -> Response:
        address = request.client.host if request.client else ""
        if self._brake.holds(f"link {address}"):
            msg = "Too many attempts."
            raise TooManyError(msg)
        user = await run_in_threadpool(self._users.with_link, code)
        if user is None:
            self._brake.failed(f"link {address}")
            telemetry.log("console.sign_in_failed", level="warning", address=address)
            problem = "This link was used already or is older than ten minutes. Make a new one."
            return self._form(request, "/", problem, 401)
        return self._begin(request, user, "link", "/")

    def _begin(self, request: Request, user: User, how: str, target: str) -> Response:
        self._sessions.end(request.cookies.get(cookie_name(self._settings), ""))
        identity, _ = self._sessions.begin(user.name)
        telemetry.log("console.signed_in", name=user.name, how=how)
        answer = RedirectResponse(target, 303)
        set_cookie(answer, self._settings, identity)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session. Raises RefusedError without its form token."""
        form = await read_form(request)
        who = signed_in(request)
        if who.session is not None:
            if not who.session.fits(form.get(TOKEN_FIELD, "")):
                msg = "This form is no longer valid."
                raise RefusedError(msg)
            self._sessions.end(who.identity)
        telemetry.log("console.signed_out", name=who.user.name)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            cookie_name(self._settings), path="/", secure=self._settings.secure, httponly=True
        )
        return answer

    def _token(self) -> str:
        made_ms = str(now_ms())
        return f"{made_ms}.{self._mac(made_ms)}"

    def _is_ours(self, token: str) -> bool:
        made_ms, _, mac = token.partition(".")
        fits = hmac.compare_digest(mac.encode(), self._mac(made_ms).encode())
        return fits and now_ms() - int(made_ms) <= FORM_VALID_MS

    def _mac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()


def _next_of(target: str) -> str:
    """Where to go after signing in: a path of ours and nothing else."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"
