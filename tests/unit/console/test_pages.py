"""The pages as a person meets them: what they show, and in which words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from broker.clock import now_ms
from broker.console.users import make_token
from broker.console.words import BANNED_PATTERN
from broker.store.cases import index_cases
from broker.store.decisions import decisions_of_case
from broker.store.engine import reading, writing
from broker.store.syncs import write_syncs
from broker.store.trail import index_trail
from schemas.registry import envelopes
from tests.console_store import evaluated
from tests.envelopes import case, trail, verdict
from tests.unit.console.desk import BASE, PAGES, Desk, decision_form, token_of, words_of


@pytest.mark.parametrize("path", PAGES)
def test_pages_use_words_that_operations_use(desk: Desk, path: str):
    read = words_of(desk.signed_in().get(path).text)
    assert not BANNED_PATTERN.findall(read), read


def test_the_lint_finds_a_planted_word():
    assert BANNED_PATTERN.findall(words_of("<p title='consumer lag'>the Payload<script>null</script></p>"))
    assert not BANNED_PATTERN.findall(words_of("<p>flag</p><details data-technical>offset 3</details>"))


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
    assert "tone-green" not in page  # I9


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
    (name, key, value) = desk.sender.sent[0]
    command = envelopes().codec.decode(value)
    assert (name, key) == ("customer", b"C-1042")
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


def test_a_decision_that_the_gate_refuses_is_neither_waiting_nor_done(desk: Desk):
    client = desk.signed_in()
    form = decision_form(client, "case-phone", "ask_owner", "They called.")
    client.post("/cases/case-phone/decision", data=form)
    refused = trail("command_refused", case_id="case-phone", key=b"C-1042", by="ana", note="They called.")
    with writing(desk.engine) as connection:
        index_trail(connection, [((1, 98), refused | {"result": "refused"})])
    page = client.get("/cases/case-phone").text
    assert "Sent, waiting." not in page
    assert "could not be carried out" in page
    assert "Needs a decision" in page


def test_a_busy_record_does_not_hide_the_answer_to_a_decision(desk: Desk):
    client = desk.signed_in()
    client.post("/cases/case-phone/decision", data=decision_form(client, "case-phone", "ask_owner"))
    opened = trail("proposal_opened", case_id="case-phone", key=b"C-1042", fields=["phone"])
    noise = [((1, 200 + n), trail("echo", key=b"C-1042", gate_time_ms=now_ms())) for n in range(60)]
    with writing(desk.engine) as connection:
        index_trail(connection, [((1, 97), opened), *noise])
    assert "Sent, waiting." not in client.get("/cases/case-phone").text


def test_only_fields_with_an_owner_are_put_as_questions(desk: Desk):
    """A question without an owner would never be answered, and the case never close."""
    client = desk.signed_in()
    nobodys = verdict("nickname", owner=None, reason="unowned")
    with writing(desk.engine) as connection:
        index_cases(connection, [case("case-two", verdicts=[verdict("phone"), nobodys])])
    client.post("/cases/case-two/decision", data=decision_form(client, "case-two", "ask_owner"))
    assert envelopes().codec.decode(desk.sender.sent[0][2])["fields"] == ["phone"]


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
