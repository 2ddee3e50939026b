"""What Tryton's answers mean for a connector: one table, tested row by row.

Tryton tells most faults with HTTP 200 and `error: [name, ...]`. Its sentences may quote a person's data, so
only the sentence without what it quotes is passed on.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from connectors.sdk.errors import ConnectionLost, ConnectorError


class Reaction(StrEnum):
    """What to do about an answer."""

    LOGIN = "login"
    LOST = "lost"
    RETRY = "retry"
    FAIL = "fail"


STATUSES: tuple[tuple[int, Reaction, str], ...] = (
    (401, Reaction.LOGIN, "the session ended"),
    (403, Reaction.FAIL, "the connector's user may not do this"),
    (404, Reaction.LOST, "no such database"),
    (413, Reaction.FAIL, "the request is too large"),
    (422, Reaction.FAIL, "the request is not understood"),
    (429, Reaction.LOST, "too many logins: Tryton asks to wait"),
    (500, Reaction.RETRY, "an internal fault"),
    (502, Reaction.LOST, "the server behind the proxy is away"),
    (503, Reaction.LOST, "the server is not ready"),
    (504, Reaction.RETRY, "the call took too long"),
)
ERRORS: tuple[tuple[str, Reaction, str], ...] = (
    ("ConcurrencyException", Reaction.RETRY, "the party was edited in Tryton meanwhile"),
    ("UserError", Reaction.FAIL, "Tryton does not allow it"),
    ("UserWarning", Reaction.FAIL, "Tryton wants a person to confirm it"),
    ("LoginException", Reaction.LOST, "the user cannot sign in with a password alone"),
)
"""(first item of `error`, reaction, meaning); any other error is tried again, then reported."""


class TrytonFault(ConnectorError):
    """Tryton answered a call with an error."""

    code = "tryton.error"
    remedy = "See Tryton's log for the call."

    def __init__(self, name: str, reaction: Reaction, detail: str) -> None:
        super().__init__(detail, code=f"tryton.{name}")
        self.reaction = reaction


def fault_of_status(status: int) -> ConnectorError:
    """The fault that an HTTP status says."""
    found = next((row for row in STATUSES if row[0] == status), None)
    reaction, meaning = (found[1], found[2]) if found else (Reaction.RETRY, "an unexpected answer")
    if reaction is Reaction.LOST:
        return ConnectionLost(f"Tryton: {meaning} (HTTP {status})")
    return TrytonFault(str(status), reaction, f"{meaning} (HTTP {status})")


def fault_of_error(error: Any) -> ConnectorError:
    """The fault that the `error` of an answer says."""
    name = str(error[0]) if isinstance(error, list) and error else ""
    found = next((row for row in ERRORS if row[0] == name), None)
    if found is None:
        # The first item is then the text of any Python exception: it may hold anything.
        return TrytonFault("unexpected", Reaction.RETRY, "an unexpected fault inside Tryton")
    if found[1] is Reaction.LOST:
        return ConnectionLost(f"Tryton: {found[2]}")
    sentence = error[1][0] if len(error) > 1 and isinstance(error[1], list) and error[1] else ""
    said = f": {without_quotes(str(sentence))}" if name == "UserError" and sentence else ""
    return TrytonFault(name, found[1], f"{found[2]}{said}")


def without_quotes(sentence: str) -> str:
    """The sentence without what stands in quotes: Tryton quotes values."""
    return re.sub(r"\"[^\"]*\"|“[^”]*”", "…", sentence)[:300]
