"""What programs send to govern the map, and what they get: the shapes of the API (OpenAPI is made from them)."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broker.console.errors import ConsoleError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Moment = Annotated[int, Field(ge=0, le=4_102_444_800_000, description="Milliseconds since 1970.")]
PLAN_LENGTH_MAX = 8_000_000
"""Characters of a plan that comes by HTTP; larger ones come by the command line."""


class Sent(BaseModel):
    """Base of what is sent: no unknown keys."""

    model_config = ConfigDict(extra="forbid")


class Draft(Sent):
    """A change request to begin."""

    title: Line
    reason: Text
    plan: dict[str, Any] = Field(description="What `solesource map plan --out` wrote.")


class Revision(Sent):
    """Another plan for a draft."""

    plan: dict[str, Any]


class Note(Sent):
    """A few words."""

    text: Text


class Approval(Sent):
    """Agreement to a plan; the hash says to which."""

    plan_hash: Line
    note: str = Field(default="", max_length=4_000)


class Schedule(Sent):
    """When an approved request is to take force."""

    at_ms: Moment


class WaiverToAdd(Sent):
    """Something that somebody answers for."""

    code: Line
    subject: Line = Field(description="An object, or a connection: `customer crm -> erp`.")
    reason: Text
    expires_ms: Moment


class SignOffToAdd(Sent):
    """An object's part of the map was reviewed."""

    note: str = Field(default="", max_length=4_000)
    pack_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class Page(BaseModel):
    """Some of many; `next` is the `cursor` of the page after it."""

    items: list[dict[str, Any]]
    next: str | None


class Me(BaseModel):
    """Who asks."""

    name: str
    may_decide: bool
    teams: list[str] = Field(description="For which this person speaks, by the map in force.")


class Problem(BaseModel):
    """RFC 9457; `type` is stable."""

    type: str
    title: str
    status: int
    detail: str


StateName = Literal["draft", "proposed", "approved", "scheduled", "effective", "superseded", "rolled_back"]


def cursor_of(*parts: object) -> str:
    """Where a page ended, as a text that says nothing to whoever keeps it."""
    return base64.urlsafe_b64encode("~".join(map(str, parts)).encode()).decode().rstrip("=")


def cursor_parts(text: str, count: int) -> list[str]:
    """The parts of a cursor. Raises ConsoleError for one that was not given out here."""
    parts = _decoded(text).split("~", count - 1)
    if len(parts) != count or not parts[0].isdecimal() or len(parts[0]) > 18:
        msg = "This cursor was not given out here."
        raise ConsoleError(msg, "Begin again without a cursor.")
    return parts


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""
