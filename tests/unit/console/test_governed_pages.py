"""Ownership and Approvals as people read them, and what their forms do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.console.users import make_user
from broker.console.words import BANNED_PATTERN
from broker.store.audit_check import verify
from broker.store.engine import reading
from broker.store.signing import public_path, read_anchors, read_public
from tests.governed_map import in_force
from tests.governed_store import Office, govern
from tests.unit.console.desk import Desk, token_of, words_of


@pytest.fixture
def office(tmp_path: Path) -> Any:
    desk = Desk(tmp_path)
    names = govern(desk.engine, desk.settings)
    for person in ("rita", "pat", "fay"):
        make_user(desk.settings.users_file, person)
    yield desk, names
    desk.engine.dispose()


def form_of(client: TestClient, address: str, step: str, **more: str) -> dict[str, str]:
    text = client.get(address).text
    part = re.search(rf'<form method="post" action="[^"]*/{step}".*?</form>', text, re.DOTALL)
    assert part, step
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', part[0]))
    return hidden | more


def do(client: TestClient, address: str, step: str, **more: str) -> Any:
    return client.post(f"{address}/{step}", data=form_of(client, address, step, **more))


def test_ownership_says_who_owns_what(office: Any) -> None:
    desk, _ = office
    text = words_of(desk.signed_in("vic").get("/ownership").text)
    for words in (
        "customer",
        "A company or person that buys from us.",
        "CRM , ERP",
        "sales-operations",
        "‼ long overdue",
    ):
        assert words in text.replace("CRM, ERP", "CRM , ERP"), words
    assert "No object is called so." in words_of(desk.signed_in("vic").get("/ownership?q=zebra").text)
    assert "customer" in words_of(desk.signed_in("vic").get("/ownership?q=BUYS").text)


def test_an_object_in_words_with_its_history(office: Any) -> None:
    desk, names = office
    page = desk.signed_in("vic").get("/ownership/objects/customer").text
    text = words_of(page)
    for words in (
        "Finance decides within two days.",
        "E-mail addresses come from the ERP",
        "version 2, by prepare, Finance decides on conflicts",
        "how conflicts are settled: Finance decides within two days.",
        "has no SLA certificate",
        "the connector of erp has no result",
        "Measured by hand until the first certificate.",
    ):
        assert words in text, words
    assert '<svg viewBox="0 0 760' in page
    assert "the connector of crm has no result" not in text
    # A viewer speaks for nobody, and is not offered to sign.
    assert "I have reviewed" not in text
    assert f"/approvals/{names['asked']}" in page


def test_a_system_and_what_it_may_do(office: Any) -> None:
    desk, _ = office
    text = words_of(desk.signed_in("vic").get("/ownership/systems/erp").text)
    assert "credit_limit" in text and "whole records" in text
    assert desk.signed_in("vic").get("/ownership/systems/none").status_code == 404
    assert desk.signed_in("vic").get("/ownership/objects/none").status_code == 404


def test_approvals_sorts_what_waits_for_whom(office: Any) -> None:
    desk, _ = office
    ana = words_of(desk.signed_in("ana").get("/approvals").text)
    mine, _, rest = ana.partition("Your drafts")
    assert "E-mail addresses come from the ERP" in mine and "You speak for sales-operations." in mine
    assert "Names, too" in rest and "rita asks: E-mail addresses come from the ERP" in rest
    vic = words_of(desk.signed_in("vic").get("/approvals").text)
    assert "You speak for no team" in vic and "Nothing waits for you." in vic


def test_a_steward_approves_after_reading_what_would_flip(office: Any) -> None:
    desk, names = office
    address = f"/approvals/{names['asked']}"
    client = desk.signed_in("ana")
    text = words_of(client.get(address).text)
    for words in (
        "email (pii) belongs to erp instead of crm", "120,000 changes since", "1,187",
        "Its reach is wide", "2 people agree", "We see 40 bounces a week.", "sales-operations has not agreed",
    ):  # fmt: skip
        assert words in text, words
    assert do(client, address, "approve", note="Fine by us.").status_code == 303
    text = words_of(client.get(address).text)
    assert "“Fine by us.”" in text and "1 of 2 people have agreed" in text
    assert do(desk.signed_in("pat"), address, "approve").status_code == 303
    text = words_of(client.get(address).text)
    assert "✓ approved" in text and "it stays in sight until" in text
    with reading(desk.engine) as connection:
        key = read_public(public_path(desk.settings.audit_key))
        assert verify(connection, [key], read_anchors(desk.settings.anchors)).found == ()


def test_a_requester_is_not_offered_to_approve_and_cannot(office: Any) -> None:
    desk, names = office
    address = f"/approvals/{names['asked']}"
    rita, ana = desk.signed_in("rita"), desk.signed_in("ana")
    assert "/approve" not in rita.get(address).text
    form = form_of(ana, address, "approve") | {"form_token": token_of(rita.get(address).text)}
    answer = rita.post(f"{address}/approve", data=form)
    assert answer.status_code == 403 and "cannot approve it" in words_of(answer.text)


def test_steps_of_forms(office: Any) -> None:
    desk, names = office
    address = f"/approvals/{names['asked']}"
    ana, rita = desk.signed_in("ana"), desk.signed_in("rita")
    stale = form_of(ana, address, "return", note="Ask legal first.")
    assert do(ana, address, "remark", note="Reading it.").status_code == 303
    assert ana.post(f"{address}/return", data=stale).status_code == 303
    again = ana.post(f"{address}/return", data=stale)
    assert again.status_code == 412 and "was changed since" in words_of(again.text)
    assert "Ask legal first." in words_of(rita.get(address).text)
    assert do(rita, address, "propose").status_code == 303
    assert do(rita, address, "withdraw").status_code == 303
    assert "○ draft" in words_of(rita.get(address).text)
    for step, form in (("explode", stale), ("return", stale | {"revision": "x"})):
        assert ana.post(f"{address}/{step}", data=form).status_code == 400
    assert ana.post(f"{address}/remark", data={"note": "x", "revision": "1"}).status_code == 403
    assert desk.signed_in("vic").post(f"{address}/remark", data=stale).status_code == 403


def test_a_review_is_overdue_on_the_board_until_it_is_signed_off(office: Any) -> None:
    desk, _ = office
    ana = desk.signed_in("ana")
    assert "1 review of the ownership map is overdue" in words_of(ana.get("/").text)
    assert (
        do(ana, "/ownership/objects/customer", "sign-off", note="Every field looked at.").status_code == 303
    )
    assert "overdue" not in words_of(ana.get("/").text)
    assert "✓ reviewed" in words_of(ana.get("/ownership").text)
    fay = desk.signed_in("fay")
    form = {"form_token": token_of(fay.get("/").text), "note": "me too"}
    assert fay.post("/ownership/objects/customer/sign-off", data=form).status_code == 403


def test_words_for_operations_and_no_inline_code(office: Any) -> None:
    desk, names = office
    client = desk.signed_in("ana")
    for path in (
        "/ownership", "/ownership/objects/customer", "/ownership/systems/crm", "/approvals",
        *(f"/approvals/{name}" for name in names.values()),
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert not BANNED_PATTERN.search(words_of(answer.text)), (
            path,
            BANNED_PATTERN.search(words_of(answer.text)),
        )
        assert not re.search(r"<script(?![^>]*src=)", answer.text), path
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", answer.text), path


def test_what_people_write_is_text(office: Any) -> None:
    desk, _ = office
    office_ = Office(desk.engine, desk.settings)
    from broker.clock import now_ms
    from tests.governed_map import OTHER_WORDS, plan, published, with_replay
    from tests.governed_store import LONG_AGO

    evil = "<script>alert(1)</script> [x](javascript:alert(2))"
    change = LONG_AGO | {"conflicts": evil, "description": evil}
    now = published(2, **LONG_AGO | OTHER_WORDS)
    name = office_.draft(with_replay(plan(now, **change), at_ms=now_ms()), evil[:60], reason=evil)
    text = desk.signed_in("ana").get(f"/approvals/{name}").text
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    in_force(desk.engine, 3, **change)
    text = desk.signed_in("ana").get("/ownership/objects/customer").text
    assert "<script>alert" not in text and 'href="javascript' not in text


def test_a_case_says_who_decides_and_by_when(office: Any) -> None:
    desk, _ = office
    client = desk.signed_in("ana")
    assert 'class="settles"' not in client.get("/cases/case-phone").text
    for version, rule, words in (
        (3, {"within": "90d"}, "finance decides by"),
        (
            4,
            {"within": "90d", "unanswered": "escalate", "escalate_to": "platform"},
            "without an answer platform is told.",
        ),
        (5, {"within": "1ms"}, "finance should have decided by"),
    ):
        teams = {"decides": "finance"} | ({"escalate_to": "platform"} if "escalate_to" in rule else {})
        in_force(desk.engine, version, conflict_process=rule | teams)
        assert words in words_of(client.get("/cases/case-phone").text)
    assert 'class="settles"' not in client.get("/cases/case-closed").text
