"""What tests of the console need: a desk with a store and browsers, and what a person reads on a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from starlette.testclient import TestClient

from broker.console.users import make_login_link
from tests.console_store import console, fill

BASE = "http://127.0.0.1:8088"
OPEN = {"/login", "/login/link", "/healthz", "/static/{name}"}


class Desk:
    """A console with its store, its way into the log, and a browser that has signed in as `name`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app, self.engine, self.sender, self.settings = console(folder)
        fill(self.engine)

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url=BASE, follow_redirects=False, headers={"Origin": BASE})

    def signed_in(self, name: str = "ana") -> TestClient:
        client = self.browser()
        answer = client.get(make_login_link(self.settings.users_file, name, BASE))
        assert answer.status_code == 303
        return client


def token_of(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found
    return found[1]


def decision_form(
    client: TestClient, case_id: str, decision: str = "keep", note: str = "because"
) -> dict[str, str]:
    page = client.get(f"/cases/{case_id}").text
    command = re.search(r'name="command_id" value="([^"]+)"', page)
    assert command
    return {"form_token": token_of(page), "command_id": command[1], "decision": decision, "note": note}


class Words(HTMLParser):
    """What a person reads: text and the texts for screen readers, without what is marked as technical."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        facts = dict(attributes)
        self.found += [
            facts[name] or "" for name in ("title", "aria-label", "alt", "placeholder") if name in facts
        ]
        if tag not in self.VOID:
            hidden = tag in ("script", "style") or "data-technical" in facts
            self._open.append(hidden or (bool(self._open) and self._open[-1]))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not (self._open and self._open[-1]):
            self.found.append(data)


def words_of(page: str) -> str:
    parser = Words()
    parser.feed(page)
    return " ".join(" ".join(parser.found).split())


PAGES = [
    "/",
    "/review",
    "/review?state=",
    "/review?state=closed",
    "/review?system=crm&field=credit_limit",
    *(
        f"/cases/case-{name}?show=all"
        for name in ("phone", "credit", "unknown", "asked", "closed", "unreadable")
    ),
    "/cases/no-such-case",
]
