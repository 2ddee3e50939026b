"""The API of governing: every step by HTTP, once however often it is sent, and never over somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.clock import now_ms
from broker.console.users import make_token, make_user
from broker.store.audit_check import verify
from broker.store.engine import reading
from broker.store.signing import public_path, read_anchors, read_public
from ownership.plan import Plan
from tests.governed_map import DAY_MS, EMAIL_TOO, NEW_OWNER, OTHER_WORDS, in_force, plan, with_replay
from tests.unit.console.desk import BASE, Desk

API = "/api/v1"


@pytest.fixture
def programs(tmp_path: Path) -> Any:
    """A desk with a map in force, and `as_("ana")`: a program that signs in as somebody."""
    desk = Desk(tmp_path)
    in_force(desk.engine)
    known: dict[str, TestClient] = {}

    def as_(name: str) -> TestClient:
        if name not in known:
            if name != "vic":
                make_user(desk.settings.users_file, name)
            token = make_token(desk.settings.users_file, name)
            headers = {"Authorization": f"Bearer {token}"}
            known[name] = TestClient(desk.app, base_url=BASE, headers=headers, raise_server_exceptions=True)
        return known[name]

    as_.desk = desk  # type: ignore[attr-defined]
    yield as_
    desk.engine.dispose()


def fresh_plan(**change: Any) -> Plan:
    return with_replay(plan(**change), at_ms=now_ms())


def body(made: Plan, title: str = "Names to the ERP") -> dict[str, Any]:
    return {"title": title, "reason": "It knows them better.", "plan": made.model_dump(mode="json")}


def drafted(as_: Any, made: Plan | None = None, by: str = "rita") -> tuple[str, str]:
    answer = as_(by).post(f"{API}/requests", json=body(made or fresh_plan(**NEW_OWNER)))
    assert answer.status_code == 201, answer.text
    return answer.json()["request"], answer.headers["etag"]


def step(as_: Any, by: str, name: str, what: str, etag: str, **more: Any) -> Any:
    sent = {"json": more} if more else {}
    return as_(by).post(f"{API}/requests/{name}/{what}", headers={"If-Match": etag}, **sent)


def test_a_request_goes_its_way(programs: Any) -> None:
    made = fresh_plan(**NEW_OWNER)
    name, etag = drafted(programs, made)
    asked = step(programs, "rita", name, "propose", etag)
    assert (asked.status_code, asked.json()["state"]) == (200, "proposed")
    assert asked.json()["asked"] == [
        {"team": "sales-operations", "why": "answers for customer", "agreed": False},
        {"team": "", "why": "0 of 1 people have agreed", "agreed": False},
    ]
    said = programs("pia").post(f"{API}/requests/{name}/remarks", json={"text": "Why now?"})
    assert said.status_code == 201 and said.json()["remarks"][0]["by"] == "pia"
    own = step(programs, "rita", name, "approve", asked.headers["etag"], plan_hash=made.hash)
    assert (own.status_code, own.json()["type"]) == (403, "request.own")
    other = step(programs, "ana", name, "approve", asked.headers["etag"], plan_hash="0" * 64)
    assert (other.status_code, other.json()["type"]) == (409, "request.other_plan")
    good = step(programs, "ana", name, "approve", asked.headers["etag"], plan_hash=made.hash, note="Fine.")
    assert (good.status_code, good.json()["state"], good.json()["hindrances"]) == (200, "approved", [])
    late = step(programs, "rita", name, "schedule", good.headers["etag"], at_ms=now_ms() + DAY_MS)
    assert (late.status_code, late.json()["state"]) == (200, "scheduled")
    back = step(programs, "ana", name, "return", late.headers["etag"], text="Not before Christmas.")
    assert (back.status_code, back.json()["state"], back.json()["force_from"]) == (200, "draft", None)
    assert programs("vic").get(f"{API}/requests/{name}/plan").json()["hash"] == made.hash
    revised = programs("rita").put(
        f"{API}/requests/{name}/plan",
        json={"plan": fresh_plan(**OTHER_WORDS).model_dump(mode="json")},
        headers={"If-Match": back.headers["etag"]},
    )
    assert revised.status_code == 200 and revised.json()["agreed"] == []
    settings = programs.desk.settings
    with reading(programs.desk.engine) as connection:
        found = verify(
            connection, [read_public(public_path(settings.audit_key))], read_anchors(settings.anchors)
        )
    assert found.found == () and found.entries > 8
    entries = programs("vic").get(f"{API}/audit?limit=3").json()
    assert entries["items"][0]["action"] == "request.revise" and entries["items"][0]["via"] == "api"
    older = programs("vic").get(f"{API}/audit?limit=200&cursor={entries['next']}").json()
    assert len(older["items"]) == found.entries - 3 and older["next"] is None


def test_nobody_changes_what_somebody_else_has_changed(programs: Any) -> None:
    name, etag = drafted(programs)
    assert step(programs, "rita", name, "propose", etag).status_code == 200
    stale = step(programs, "ana", name, "return", etag, text="No.")
    assert (stale.status_code, stale.json()["type"]) == (412, "store.row_moved")
    without = programs("ana").post(f"{API}/requests/{name}/withdraw")
    assert (without.status_code, without.json()["type"]) == (428, "api.match_missing")
    odd = step(programs, "ana", name, "return", '"x"', text="No.")
    assert odd.status_code == 428


def test_a_request_that_is_sent_again_counts_once(programs: Any) -> None:
    sent, headers = body(fresh_plan(**NEW_OWNER)), {"Idempotency-Key": "k-1"}
    first = programs("rita").post(f"{API}/requests", json=sent, headers=headers)
    again = programs("rita").post(f"{API}/requests", json=sent, headers=headers)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), '"1"')
    assert len(programs("rita").get(f"{API}/requests").json()["items"]) == 1
    other = programs("rita").post(f"{API}/requests", json=sent | {"title": "Other"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "api.key_reused")
    # Another person's key of the same name is another key.
    assert programs("pat").post(f"{API}/requests", json=sent, headers=headers).json()["requester"] == "pat"


def test_pages_follow_each_other_without_gap(programs: Any) -> None:
    names = {drafted(programs)[0] for _ in range(7)}
    seen: list[str] = []
    address = f"{API}/requests?limit=3&state=draft"
    while address:
        found = programs("vic").get(address).json()
        seen += [one["request"] for one in found["items"]]
        address = f"{API}/requests?limit=3&state=draft&cursor={found['next']}" if found["next"] else ""
    assert len(seen) == 7 and set(seen) == names
    for cursor in ("x", "!!", "bm8", "MQ"):
        answer = programs("vic").get(f"{API}/requests?cursor={cursor}")
        assert answer.status_code == 400, cursor


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"title": ""}, 422, "api.shape"),
        ({"more": 1}, 422, "api.shape"),
        ({"plan": {}}, 422, "plan.not_one"),
        ({"plan": {"hash": "x" * 8_000_001}}, 400, "console.error"),
    ],
)
def test_what_cannot_be_a_request(programs: Any, change: dict[str, Any], status: int, code: str) -> None:
    answer = programs("rita").post(f"{API}/requests", json=body(fresh_plan(**NEW_OWNER)) | change)
    assert (answer.status_code, answer.json()["type"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_what_is_not_there_and_who_may_not(programs: Any) -> None:
    assert programs("vic").get(f"{API}/requests/cr-none").json()["type"] == "request.unknown"
    assert programs("vic").get(f"{API}/requests/cr-none").status_code == 404
    assert programs("vic").post(f"{API}/requests", json=body(fresh_plan(**NEW_OWNER))).status_code == 403
    assert programs("ana").post(f"{API}/waivers/wv-none/end").status_code == 404
    assert programs("ana").post(f"{API}/reviews/order/sign-off", json={}).status_code == 404
    assert programs("fay").post(f"{API}/reviews/customer/sign-off", json={}).status_code == 403


def test_waivers_and_reviews(programs: Any) -> None:
    sent = {
        "code": "live.no_certificate", "subject": "customer crm -> erp", "reason": "A trial.",
        "expires_ms": now_ms() + DAY_MS,
    }  # fmt: skip
    made = programs("ana").post(f"{API}/waivers", json=sent)
    assert made.status_code == 201 and made.json()["owner"] == "sales-operations"
    assert programs("vic").get(f"{API}/waivers").json()["items"] == [made.json()]
    ended = programs("sam").post(f"{API}/waivers/{made.json()['waiver']}/end")
    assert ended.status_code == 200 and ended.json()["ended"]
    assert programs("vic").get(f"{API}/waivers").json()["items"] == []
    signed = programs("ana").post(f"{API}/reviews/customer/sign-off", json={"note": "All in order."})
    assert signed.status_code == 201 and signed.json()["map_version"] == 1
    (review,) = programs("vic").get(f"{API}/reviews").json()["items"]
    assert review["object"] == "customer" and review["standing"] == "done"


def test_the_shapes_are_published_to_whoever_is_signed_in(programs: Any) -> None:
    assert programs.desk.browser().get(f"{API}/openapi.json").status_code == 401
    document = programs("vic").get(f"{API}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert {f"{API}/requests", f"{API}/requests/{{request_id}}/approve", f"{API}/audit"} <= paths.keys()
    approve = paths[f"{API}/requests/{{request_id}}/approve"]["post"]
    named = {one["name"].lower() for one in approve["parameters"]}
    assert {"if-match", "idempotency-key", "request_id"} <= named
    assert {"403", "409", "412", "428"} <= approve["responses"].keys()


def test_a_form_of_another_site_cannot_approve(programs: Any) -> None:
    name, etag = drafted(programs, fresh_plan(**EMAIL_TOO))
    client = programs.desk.signed_in("ana")
    answer = client.post(f"{API}/requests/{name}/withdraw", headers={"If-Match": etag})
    assert answer.status_code == 403 and answer.json()["type"] == "console.refused"
