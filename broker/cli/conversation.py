"""How commands talk to a console's API over HTTP: who we are, that a lost answer counts once, and what is no answer.

Knows nothing of requests and waivers; `broker/cli/by_console.py` does.
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from broker.access import ConsoleAccess
from broker.cli.output import CommandRefused, plain

Document = dict[str, Any]
ANSWER_BYTES_MAX = 32 * 1024 * 1024
"""A plan of eight million characters fits."""
CONNECT_S, SILENCE_S, ANSWER_S = 10.0, 60.0, 180.0
"""Until it is connected, between two pieces of an answer, for a whole answer."""
PAUSES_S = (0.0, 0.5, 2.0)
"""Before each try; the console may just be restarting."""
_CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol)


_OF_PROXIES = (502, 503, 504)


class _ProxyAnsweredError(Exception):
    """A proxy has no answer from the console; the console may have done what it was asked."""


class ConsoleRefused(Exception):
    """The console does not do what it was asked, or cannot be asked; the code is its own, or begins with `console.`."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        self.code = code
        super().__init__(plain(f"{detail} [{code}] {remedy}"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the console says."""

    document: Document
    etag: str = ""


class Conversation:
    """One command's talk with one console."""

    def __init__(self, access: ConsoleAccess) -> None:
        """Raises CommandRefused for an address or an authority's file that cannot be used."""
        self._access = access
        self._host = urlsplit(access.url).netloc
        try:
            self._client = self._made(access)
        except (httpx2.InvalidURL, OSError) as error:
            msg = (
                f"no console can be reached at {self._host}: {error} [settings.console] "
                "Mend SOLESOURCE_CONSOLE_URL, or SOLESOURCE_CONSOLE_CA_FILE."
            )
            raise CommandRefused(msg) from error

    @staticmethod
    def _made(access: ConsoleAccess) -> httpx2.Client:
        return httpx2.Client(
            base_url=access.url.rstrip("/") + "/api/v1/",
            headers={
                "authorization": f"Bearer {access.token}",
                "accept": "application/json, application/problem+json",
                # What is packed could be a thousand times as large unpacked.
                "accept-encoding": "identity",
            },
            timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            verify=ssl.create_default_context(cafile=access.ca_file),
            # Another address is another console: it would get the token.
            follow_redirects=False,
            # A proxy of the environment would read what goes to loopback; https only passes through it.
            trust_env=not access.url.startswith("http://"),
        )

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def read(self, path: str, **parameters: str | int) -> Answer:
        """What is there. Raises ConsoleRefused."""
        return self._asked("GET", path, {}, parameters=parameters)

    def write(self, method: str, path: str, sent: Document | None = None, etag: str = "") -> Answer:
        """Change something, once however often it must be sent. etag: of what was read before; "" = whatever is there.

        Raises ConsoleRefused.
        """
        headers = {"idempotency-key": secrets.token_urlsafe(24)} | ({"if-match": etag} if etag else {})
        return self._asked(method, path, headers, sent=sent)

    def not_ours(self, said: str) -> ConsoleRefused:
        """The error for an answer that no console gives."""
        return ConsoleRefused(
            "console.not_ours",
            f"{self._host} {said}",
            "Look at SOLESOURCE_CONSOLE_URL, and whether the console is of this version.",
        )

    def _asked(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        sent: Document | None = None,
        parameters: Mapping[str, str | int] | None = None,
    ) -> Answer:
        lost, said = False, ""
        for pause_s in PAUSES_S:
            time.sleep(pause_s)
            request = self._client.build_request(method, path, json=sent, params=parameters, headers=headers)
            try:
                return self._answered(request)
            except _ProxyAnsweredError as error:
                lost, said = True, f"what stands before it says {error}"
            except httpx2.HTTPError as error:
                lost = lost or not isinstance(error, _NOT_CONNECTED)
                # Only of this one the text is known: the system's words, such as for a certificate.
                words = f": {error}"[:200] if isinstance(error, httpx2.ConnectError) else ""
                said = type(error).__name__ + words
        remedy = "Look whether it runs, and at SOLESOURCE_CONSOLE_URL."
        if lost and method != "GET":
            remedy = "It may have done what was asked: look before you give the command again."
        raise ConsoleRefused("console.away", f"the console at {self._host} does not answer: {said}", remedy)

    def _answered(self, request: httpx2.Request) -> Answer:
        """Raises ConsoleRefused, and HTTPError or _ProxyAnsweredError where the console gave no answer."""
        body, until_s = bytearray(), time.monotonic() + ANSWER_S
        answer = self._client.send(request, stream=True)
        try:
            for piece in answer.iter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise self.not_ours(f"answers with more than {ANSWER_BYTES_MAX} bytes")
                if time.monotonic() > until_s:
                    raise self.not_ours(f"has not come to the end of an answer in {ANSWER_S:.0f} seconds")
        finally:
            answer.close()
        return self._understood(answer.status_code, answer.headers.get("etag", ""), bytes(body))

    def _understood(self, status: int, etag: str, body: bytes) -> Answer:
        if status == httpx2.codes.UNAUTHORIZED:
            raise ConsoleRefused(
                "console.token_refused",
                f"{self._host} does not take the token in {self._access.token_file}",
                "Have another made there: `solesource user token NAME`.",
            )
        document = _object_in(body)
        if document is not None and 200 <= status < 300:
            return Answer(document, etag)
        problem = _problem_in(document or {}) if status >= 400 else None
        if problem is None and status in _OF_PROXIES:
            raise _ProxyAnsweredError(status)
        raise problem or self.not_ours(f"answers {status}, and not as a console does")


def _object_in(body: bytes) -> Document | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _problem_in(document: Document) -> ConsoleRefused | None:
    """The error that a problem (RFC 9457) tells, as the command would have met it on the database."""
    code, sentence, remedy = (document.get(name) for name in ("type", "title", "detail"))
    if not (isinstance(code, str) and isinstance(sentence, str) and isinstance(remedy, str)):
        return None
    if not _CODE.fullmatch(code) or len(code) > 100:
        return None
    # Faults of a plan's files bring their code, place and remedy along.
    found = re.fullmatch(rf"(.*) \[{re.escape(code)}\] (.*)", sentence, re.DOTALL)
    if found is not None:
        sentence, remedy = found[1], found[2]
    return ConsoleRefused(code, sentence[:4000].removesuffix("."), remedy[:1000])
