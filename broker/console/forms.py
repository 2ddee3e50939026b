"""Reading what a person sent: small forms, each with the token of its session."""

from __future__ import annotations

from starlette.requests import Request

from broker.console.errors import ConsoleError, RefusedError
from broker.console.guard import SignedIn
from broker.console.users import User

FORM_LENGTH_MAX = 64 * 1024
NOTE_LENGTH_MAX = 2_000
TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
TOKEN_HEADER = "x-form-token"  # noqa: S105 - the name of a header


def signed_in(request: Request) -> SignedIn:
    """Who asks; the guard has let nobody else through."""
    found = request.scope["state"]["signed_in"]
    assert isinstance(found, SignedIn)
    return found


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises ConsoleError when it is too large."""
    if int(request.headers.get("content-length") or 0) > FORM_LENGTH_MAX:
        msg = "That is more text than a form may carry."
        raise ConsoleError(msg)
    async with request.form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def checked_form(request: Request) -> tuple[User, dict[str, str]]:
    """The fields of a form of a person who may decide. Raises RefusedError without their session's token."""
    form = await read_form(request)
    return check_token(request, form.get(TOKEN_FIELD, "")), form


def check_token(request: Request, token: str) -> User:
    """Whoever may decide, and has sent the token of their session (programs have none and need none)."""
    who = signed_in(request)
    if who.session is not None and not who.session.fits(token):
        msg = "This form is no longer valid."
        raise RefusedError(msg)
    if not who.user.may_decide:
        msg = "You may read, and not decide."
        raise RefusedError(msg, "Ask a reviewer, or ask the platform team for the role.")
    return who.user


def note_of(form: dict[str, str]) -> str:
    """The reason given. Raises ConsoleError when there is none."""
    note = form.get("note", "").strip()
    if not note or len(note) > NOTE_LENGTH_MAX:
        msg = "Please say why, in a few words."
        raise ConsoleError(msg, "Go back and fill in the reason.")
    return note
