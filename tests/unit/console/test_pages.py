"""The pages as a person meets them: what they show, what they refuse, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from broker.clock import now_ms
from broker.console import sessions as session_module
from broker.console.users import make_login_link, make_token
from broker.console.words import BANNED_PATTERN
from broker.store.decisions import decisions_of_case
from broker.store.engine import reading, writing
from broker.store.syncs import write_syncs
from broker.store.trail import index_trail
from schemas.registry import envelopes
from tests.console_store import PASSWORD, console, evaluated, fill
from tests.envelopes import trail

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


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


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


def test_every_route_but_the_open_ones_is_refused_without_a_session(desk: Desk):
    client = desk.browser()
    seen = set()
    for route in desk.app.routes:
        path = getattr(route, "path", "")
        if path in OPEN:
            continue
        address = path.replace("{case_id}", "case-phone")
        for method in getattr(route, "methods", None) or ():
            answer = client.request(method, address)
            assert answer.status_code in (303, 401), (method, path, answer.status_code)
            assert "C-1042" not in answer.text
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/login?next=")
            seen.add(path)
    assert {"/", "/review", "/live", "/api/v1/syncs", "/cases/{case_id}/decision"} <= seen


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(desk: Desk):
    client = desk.signed_in()
    for path in ("/", "/login", "/healthz", "/api/v1/syncs", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_no_page_has_inline_script_or_style(desk: Desk):
    client = desk.signed_in()
    for path in (*PAGES, "/login"):
        page = client.get(path).text
        assert not re.search(r"<script(?![^>]*src=)", page), path
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", page), path


@pytest.mark.parametrize("path", PAGES)
def test_pages_use_words_that_operations_use(desk: Desk, path: str):
    read = words_of(desk.signed_in().get(path).text)
    assert not BANNED_PATTERN.findall(read), read


def test_the_lint_finds_a_planted_word():
    assert BANNED_PATTERN.findall(words_of("<p title='consumer lag'>the Payload<script>null</script></p>"))
    assert not BANNED_PATTERN.findall(words_of("<p>flag</p><details data-technical>offset 3</details>"))


def test_a_health_check_says_nothing_but_its_name(desk: Desk):
    assert desk.browser().get("/healthz").text == "ok\n"


def test_an_unknown_host_is_refused(desk: Desk):
    answer = desk.browser().get("/healthz", headers={"Host": "evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
        {"Origin": BASE, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_that_another_site_sends_is_refused(desk: Desk, headers: dict[str, str]):
    client = desk.signed_in()
    form = decision_form(client, "case-phone")
    answer = client.post("/cases/case-phone/decision", data=form, headers=headers)
    assert answer.status_code == 403
    assert not desk.sender.sent


def test_a_form_without_origin_is_refused(desk: Desk):
    client = desk.signed_in()
    form = decision_form(client, "case-phone")
    del client.headers["Origin"]
    assert client.post("/cases/case-phone/decision", data=form).status_code == 403


@pytest.mark.parametrize("path", ["/cases/case-phone/decision", "/deliveries/settled", "/logout"])
def test_a_form_needs_the_token_of_its_own_session(desk: Desk, path: str):
    client, other = desk.signed_in(), desk.signed_in()
    form = decision_form(client, "case-phone") | {"delivery_id": "erp/customer/0/3"}
    for token in ("", "x", token_of(other.get("/").text)):
        assert client.post(path, data=form | {"form_token": token}).status_code == 403
    assert not desk.sender.sent


def test_a_viewer_may_read_and_not_decide(desk: Desk):
    client = desk.signed_in("vic")
    page = client.get("/cases/case-phone").text
    assert "You may read, and not decide" in page
    form = {"form_token": token_of(page), "command_id": "a" * 32, "decision": "keep", "note": "x"}
    assert client.post("/cases/case-phone/decision", data=form).status_code == 403
    assert not desk.sender.sent


def test_signing_in_with_a_password_rotates_the_session(desk: Desk):
    client = desk.signed_in()
    before = client.cookies["solesource_session"]
    form = {
        "name": "ana",
        "password": PASSWORD,
        "form_token": token_of(desk.browser().get("/login").text),
        "next": "//evil",
    }
    answer = client.post("/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.cookies["solesource_session"] != before
    stale = desk.browser()
    stale.cookies["solesource_session"] = before
    assert stale.get("/").status_code == 303


def test_a_wrong_password_says_nothing_about_the_name_and_too_many_are_braked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(session_module, "FAILURES_MAX", 2)
    client = desk.browser()
    form = {"name": "ana", "password": "wrong", "form_token": token_of(client.get("/login").text)}
    answers = [client.post("/login", data=form | {"name": name}) for name in ("ana", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert "Name and password do not fit." in answers[1].text
    assert client.post("/login", data=form | {"password": PASSWORD}).status_code == 429


def test_a_login_link_works_once(desk: Desk):
    link = make_login_link(desk.settings.users_file, "ana", BASE)
    assert desk.browser().get(link).status_code == 303
    assert desk.browser().get(link).status_code == 401
    led_here = make_login_link(desk.settings.users_file, "ana", BASE)
    assert "Continue" in desk.browser().get(led_here, headers={"Sec-Fetch-Site": "cross-site"}).text


def test_a_session_ends_by_idling_and_by_signing_out(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    client = desk.signed_in()
    assert client.post("/logout", data={"form_token": token_of(client.get("/").text)}).status_code == 303
    assert client.get("/").status_code == 303
    client = desk.signed_in()
    monkeypatch.setattr(session_module, "IDLE_MS", -1)
    assert client.get("/").status_code == 303


def test_today_shows_the_worst_sync_first_and_an_account_that_balances(desk: Desk):
    page = desk.signed_in().get("/").text
    late, fine = page.index("Customer records are late"), page.index("Customer records are up to date")
    assert late < fine
    assert "1,467 changes came in, and every one is accounted for." in page
    assert "5 need review" in page


def test_an_old_evaluation_is_never_green(desk: Desk):
    """I9: when control stands still, the page says that it cannot tell."""
    old = evaluated("crm", "erp", now_ms())
    with writing(desk.engine) as connection:
        write_syncs(connection, [replace(old, evaluated_ms=now_ms() - 60_000)])
    page = desk.signed_in().get("/").text
    assert "We cannot tell whether customer records are up to date" in page
    assert "tone-green" not in page


def test_needs_review_filters_by_address(desk: Desk):
    client = desk.signed_in()
    assert "C-0007" in client.get("/review").text
    only = client.get("/review?system=erp&field=phone").text
    assert "C-1042" in only
    assert "C-0007" not in only
    assert "the phone number is not valid there" in only
    closed = client.get("/review?state=closed").text
    assert "C-2000" in closed
    assert "C-1042" not in closed


def test_a_case_shows_only_what_differs_unless_asked(desk: Desk):
    client = desk.signed_in()
    page = client.get("/cases/case-phone").text
    assert "+44 20 7946 0958" in page
    assert "020 7946 0000" in page
    assert "ada@example.com" not in page
    assert "ada@example.com" in client.get("/cases/case-phone?show=all").text


def test_a_decision_is_sent_and_done_only_when_the_trail_says_so(desk: Desk):
    client = desk.signed_in()
    form = decision_form(client, "case-phone", "ask_owner", "They called.")
    assert client.post("/cases/case-phone/decision", data=form).status_code == 303
    (topic, key, value) = desk.sender.sent[0]
    command = envelopes().codec.decode(value)
    assert (topic, key) == ("commands.customer", b"C-1042")
    assert (command["command"], command["by"], command["note"]) == ("ask_owner", "ana", "They called.")
    assert (command["fields"], command["system"]) == (["phone"], "erp")
    assert command["value"] == b"\0\0\0\0\x64attempted"
    assert "Sent, waiting." in client.get("/cases/case-phone").text
    assert "hx-refresh" not in client.get("/cases/case-phone/standing").headers

    line = trail(
        "proposal_opened",
        case_id="case-phone",
        key=b"C-1042",
        by="ana",
        note="They called.",
        fields=["phone"],
    )
    with writing(desk.engine) as connection:
        index_trail(connection, [((1, 99), line)])
    page = client.get("/cases/case-phone").text
    assert "Sent, waiting." not in page
    assert "Asked the owner" in page
    assert "hx-refresh" in client.get("/cases/case-phone/standing").headers


def test_the_same_form_sent_twice_is_one_decision(desk: Desk):
    client = desk.signed_in()
    form = decision_form(client, "case-phone")
    for _ in range(2):
        assert client.post("/cases/case-phone/decision", data=form).status_code == 303
    assert len(desk.sender.sent) == 1


def test_a_decision_that_could_not_be_sent_is_never_shown_as_sent(desk: Desk):
    desk.sender.fails = True
    client = desk.signed_in()
    answer = client.post("/cases/case-phone/decision", data=decision_form(client, "case-phone"))
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.text
    page = client.get("/cases/case-phone").text
    assert "Sent, waiting." not in page
    assert "could not be sent" in page


@pytest.mark.parametrize(
    ("case_id", "decision", "note"),
    [
        ("case-closed", "keep", "x"),
        ("case-asked", "ask_owner", "x"),
        ("case-phone", "release", "x"),
        ("case-phone", "keep", " "),
    ],
)
def test_what_cannot_be_decided_is_not_sent(desk: Desk, case_id: str, decision: str, note: str):
    client = desk.signed_in()
    form = decision_form(client, "case-phone", decision, note)
    assert client.post(f"/cases/{case_id}/decision", data=form).status_code == 400
    assert not desk.sender.sent


def test_a_failed_update_is_settled_by_a_person_with_a_reason(desk: Desk):
    client = desk.signed_in()
    page = client.get("/review").text
    form = {"form_token": token_of(page), "delivery_id": "erp/customer/0/3", "note": "corrected by hand"}
    assert client.post("/deliveries/settled", data=form).status_code == 303
    assert "not valid there" not in client.get("/review").text
    assert client.post("/deliveries/settled", data=form).status_code == 404


def test_values_are_text_whatever_they_contain(desk: Desk):
    from broker.store.cases import index_cases
    from tests.envelopes import case, verdict

    nasty = '"<script>alert(1)</script>{{ 7*7 }}"'
    with writing(desk.engine) as connection:
        index_cases(
            connection,
            [case("case-nasty", key=b"<b>", system="erp", verdicts=[verdict("name", attempted=nasty)])],
        )
    page = desk.signed_in().get("/cases/case-nasty").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in page


def test_the_api_answers_programs_with_a_token(desk: Desk):
    token = make_token(desk.settings.users_file, "ana")
    client = TestClient(desk.app, base_url=BASE, headers={"Authorization": f"Bearer {token}"})
    syncs = client.get("/api/v1/syncs").json()["syncs"]
    assert [sync["state"] for sync in syncs] == ["late", "up_to_date"]
    listed = client.get("/api/v1/cases?state=open").json()
    assert {case["case_id"] for case in listed["cases"]} >= {"case-phone", "case-credit"}
    answer = client.post("/api/v1/cases/case-phone/decision", json={"decision": "keep", "note": "n"})
    assert answer.status_code == 202
    assert client.get("/api/v1/cases/case-phone").json()["waiting"] is True
    wrong = client.post("/api/v1/cases/case-phone/decision", json=["keep"])
    assert (wrong.status_code, wrong.json()["type"]) == (400, "console.error")
    with reading(desk.engine) as connection:
        assert [d.by for d in decisions_of_case(connection, "case-phone")] == ["ana"]


def test_the_api_with_a_cookie_needs_the_form_token(desk: Desk):
    client = desk.signed_in()
    body = {"decision": "keep", "note": "n"}
    assert client.post("/api/v1/cases/case-phone/decision", json=body).status_code == 403
    token = token_of(client.get("/").text)
    answer = client.post("/api/v1/cases/case-phone/decision", json=body, headers={"X-Form-Token": token})
    assert answer.status_code == 202


def test_static_files_are_compressed_and_light(desk: Desk):
    client = desk.browser()
    page = desk.signed_in().get("/").text
    weight = len(page)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        with client.stream("GET", address) as answer:
            assert answer.status_code == 200
            weight += sum(len(chunk) for chunk in answer.iter_raw())
    assert weight < 150_000, f"{weight} bytes for one page"
    assert client.get("/static/..%2fapp.py").status_code == 404
