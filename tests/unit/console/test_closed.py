"""Closed by default: every route needs a session, every form its token, every answer its headers."""

from __future__ import annotations

import re

import pytest

from broker.console import sessions as session_module
from broker.console.users import make_login_link
from tests.console_store import PASSWORD
from tests.unit.console.desk import BASE, OPEN, PAGES, Desk, decision_form, token_of


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


def test_the_api_with_a_cookie_needs_the_form_token(desk: Desk):
    client = desk.signed_in()
    body = {"decision": "keep", "note": "n"}
    assert client.post("/api/v1/cases/case-phone/decision", json=body).status_code == 403
    token = token_of(client.get("/").text)
    answer = client.post("/api/v1/cases/case-phone/decision", json=body, headers={"X-Form-Token": token})
    assert answer.status_code == 202
