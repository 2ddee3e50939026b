"""Templates and static files: loaded once, escaped always, compressed when the process starts."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from broker.agents.sentences import duration
from broker.clock import now_ms
from broker.console import words
from broker.console.difference import field_title
from broker.console.forms import TOKEN_FIELD
from broker.console.guard import SignedIn

HERE = Path(__file__).parent
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
COMPRESS_FROM_BYTES = 1_000


@cache
def _static() -> Mapping[str, tuple[bytes, bytes, str]]:
    found = {}
    for path in (HERE / "static").iterdir():
        if path.suffix in TYPES:
            plain = path.read_bytes()
            packed = gzip.compress(plain, 9, mtime=0)
            found[path.name] = (plain, packed, hashlib.sha256(plain).hexdigest()[:12])
    return found


def static_path(name: str) -> str:
    """The address of a static file, different for different contents."""
    return f"/static/{name}?v={_static()[name][2]}"


def static_file(request: Request) -> Response:
    """A vendored or own file; only what was there when the process started."""
    name = request.path_params["name"]
    if name not in _static():
        return Response("Not found.\n", 404, media_type="text/plain")
    plain, packed, _ = _static()[name]
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    media_type = TYPES[Path(name).suffix]
    if len(plain) < COMPRESS_FROM_BYTES or "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(plain, headers=headers, media_type=media_type)
    return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,  # values are text, whatever they contain
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=static_path, form_token_field=TOKEN_FIELD, words=words)
    made.filters.update(
        moment=words.moment,
        machine_time=words.machine_time,
        key_text=words.key_text,
        field_title=field_title,
        ago=lambda ms: words.ago(ms, now_ms()),
        elapsed=lambda ms: duration(max(now_ms() - ms, 1_000)),
    )
    return made


def page(request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """A page (or a part of one) for whoever asks."""
    found = request.scope.get("state", {}).get("signed_in")
    who = found if isinstance(found, SignedIn) else None
    session = who.session if who else None
    common = {
        "user": who.user if who else None,
        "form_token": session.form_token if session else "",
        "path": request.url.path,
        "as_of_ms": now_ms(),
    }
    return HTMLResponse(_environment().get_template(template).render(**common, **facts), status)
