"""Commands that govern through a console: as on the database, as the token's person, once, and nobody's dupe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from typer.testing import Result

from broker.clock import now_ms
from broker.console.users import make_token, make_user
from broker.embedded.files import free_port
from broker.store.audit_check import verify
from broker.store.decided import Session, audit_page
from broker.store.engine import reading
from broker.store.signing import public_path, read_anchors, read_public
from ownership.changed import moment
from ownership.plan import Plan
from tests.console_served import (
    NOWHERE,
    WORDS,
    Branch,
    branch_in,
    certificate_in,
    drafted,
    file_of,
    fresh,
    invoke,
    near,
    said,
)
from tests.estate import MAP_DIR
from tests.governed_map import DAY_MS, NEW_OWNER, OTHER_WORDS
from tests.governed_store import Office

Run = Callable[..., Result]


def proposed(branch: Branch) -> str:
    name = drafted(branch)
    said(branch.by_console("rita", "request", "propose", name))
    return name


def written_by(branch: Branch) -> list[tuple[str, str, str]]:
    """(who, by which way, what) of the audit, newest first."""
    with reading(branch.engine) as connection, Session(connection) as session:
        return [(one.by, one.via, one.action) for one in audit_page(session, before=None, limit=100)]


def story(act: Run, look: Run, folder: Path, plans: tuple[Plan, Plan]) -> list[str]:
    """A request's whole life, waivers and a review; everything that was said."""
    first, second = (file_of(folder, one) for one in plans)
    made = act("rita", "request", "draft", first, *WORDS, "--json")
    name = json.loads(said(made))["request"]
    later = moment(now_ms() + 40 * DAY_MS)[:10]
    results = [
        made,
        act("rita", "request", "propose", name),
        act("pia", "request", "remark", name, "Why now?"),
        act("rita", "request", "approve", name),
        act("fay", "request", "withdraw", name),
        act("ana", "request", "approve", name, "--note", "Read the flips."),
        act("ana", "request", "approve", name),
        act("rita", "request", "schedule", name, "2001-01-01"),
        act("rita", "request", "schedule", name, later),
        act("ana", "request", "return", name, "--why", "Not before Christmas."),
        act("rita", "request", "revise", name, second),
        act("rita", "request", "propose", name),
        act("rita", "request", "withdraw", name),
        act("rita", "request", "propose", "cr-none"),
        *(look("request", *words) for words in (["list", "--json"], ["show", name, "--json"], ["plan", name])),
        look("request", "list", "--state", "approved", "--json"),
        waived := act(
            "ana", "waiver", "add", "live.no_certificate", "customer crm -> erp", "--reason", "A trial.",
            "--until", later,
        ),
        look("waiver", "list", "--json"),
        act("fay", "waiver", "end", said(waived).partition(":")[0]),
        act("sam", "waiver", "end", said(waived).partition(":")[0]),
        look("waiver", "list", "--json"),
        look("review", "list", "--json"),
        act("fay", "review", "sign-off", "customer"),
        act("ana", "review", "sign-off", "customer", "--note", "All in order.", "--pack", first),
        look("review", "list", "--json"),
    ]  # fmt: skip
    return [said(one) for one in results]


def comparable(text: str) -> str:
    """Without what differs between two stories of the same: names that were drawn, and times of day."""
    text = re.sub(r"\b(cr|wv)-[0-9a-f]{10}\b", r"\1-", text)
    return re.sub(r"\d{2}:\d{2}(:\d{2})?", "", text).lower()


def test_the_same_story_says_the_same_by_either_way(tmp_path: Path) -> None:
    plans = fresh(**NEW_OWNER), fresh(**OTHER_WORDS)
    with branch_in(tmp_path / "far") as far:
        there = story(far.by_console, lambda *words: far.by_console("pia", *words), tmp_path, plans)
        assert {via for _, via, action in written_by(far)} == {"api"}
        assert not (far.folder / "elsewhere").exists()
        with reading(far.engine) as connection:
            keys = [read_public(public_path(far.settings.audit_key))]
            assert verify(connection, keys, read_anchors(far.settings.anchors)).found == ()
    with branch_in(tmp_path / "near") as close:
        here = story(close.on_database, close.looked_at, tmp_path, plans)
        assert {via for _, via, _ in written_by(close)} == {"cli"}
    assert [comparable(text) for text in there] == [comparable(text) for text in here]
    for code in ("request.own", "request.not_yours", "request.too_early", "request.unknown"):
        assert any(f"[{code}]" in text for text in there), code
    assert any(text.startswith("approved since") or "\napproved since" in text for text in there)
    assert any("scheduled since" in text for text in there)


def test_what_is_read_is_the_same_by_either_way(branch: Branch) -> None:
    name = proposed(branch)
    for words in (["list"], ["show", name], ["plan", name]):
        json_too = [] if words[0] == "plan" else ["--json"]
        far = said(branch.by_console("ana", "request", *words, *json_too))
        assert far == said(branch.looked_at("request", *words, *json_too)), words
        assert json.loads(far)


def test_lists_are_followed_to_the_end(branch: Branch) -> None:
    office = Office(branch.engine, branch.settings)
    made = fresh(**NEW_OWNER)
    names = {office.draft(made, f"Number {number}") for number in range(61)}
    far = said(branch.by_console("ana", "request", "list", "--json"))
    assert far == said(branch.looked_at("request", "list", "--json"))
    assert {one["request"] for one in json.loads(far)} == names
    assert sum(path == "/api/v1/requests" for _, path, _ in branch.way.came) == 2


def test_whoever_has_the_token_does_it(branch: Branch) -> None:
    name = proposed(branch)
    other = said(branch.by_console("ana", "request", "approve", name, "--by", "sam"))
    assert "[request.not_you]" in other and "ana's" in other
    assert all(method == "GET" for method, _, _ in branch.way.came[-1:])
    assert "approved since" in said(branch.by_console("ana", "request", "approve", name, "--by", "ana"))
    assert written_by(branch)[0] == ("ana", "api", "request.approve")
    without = said(branch.looked_at("request", "withdraw", name))
    assert "[governed.by]" in without


def test_a_token_of_earlier_is_refused_and_told_by_its_file(branch: Branch) -> None:
    file = branch.token_file("ana")
    make_token(branch.settings.users_file, "ana")
    text = said(branch.by_console("ana", "request", "list"))
    assert "[console.token_refused]" in text and str(file) in text and file.read_text().strip() not in text


def test_who_may_only_read_is_told_so(branch: Branch) -> None:
    name = proposed(branch)
    assert "[console.refused]" in said(branch.by_console("vic", "request", "approve", name))


def test_a_change_over_somebody_elses_is_refused(branch: Branch) -> None:
    name = proposed(branch)
    branch.way.before.append(lambda: said(branch.on_database("rita", "request", "withdraw", name)))
    text = said(branch.by_console("ana", "request", "return", name, "--why", "No."))
    assert "[store.row_moved]" in text
    assert json.loads(said(branch.looked_at("request", "show", name, "--json")))["state"] == "draft"


def test_an_agreement_is_to_the_plan_that_was_read(branch: Branch) -> None:
    name, other = proposed(branch), file_of(branch.folder, fresh(**OTHER_WORDS))

    def another_plan() -> None:
        for words in (["withdraw", name], ["revise", name, other], ["propose", name]):
            said(branch.on_database("rita", "request", *words))

    branch.way.before.append(another_plan)
    assert "[store.row_moved]" in said(branch.by_console("ana", "request", "approve", name))
    shown = json.loads(said(branch.looked_at("request", "show", name, "--json")))
    assert (shown["state"], shown["agreed"]) == ("proposed", [])


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_answer_is_asked_for_again_and_counts_once(branch: Branch, lost: int) -> None:
    name = proposed(branch)
    branch.way.lose = lost
    assert "Really?" in said(branch.by_console("pia", "request", "remark", name, "Really?"))
    keys = [headers["idempotency-key"] for _, path, headers in branch.way.came if path.endswith("/remarks")]
    assert len(keys) == 1 + lost and len(set(keys)) == 1
    branch.way.lose = lost
    assert "approved since" in said(branch.by_console("ana", "request", "approve", name))
    shown = json.loads(said(branch.looked_at("request", "show", name, "--json")))
    assert [one["text"] for one in shown["remarks"]] == ["Really?"]
    assert [one["by"] for one in shown["agreed"]] == ["ana"]
    assert len({h["idempotency-key"] for m, _, h in branch.way.came if m != "GET"}) == 4


def test_an_answer_that_stays_lost_is_not_said_to_be_undone(branch: Branch) -> None:
    name = proposed(branch)
    branch.way.lose = 3
    text = said(branch.by_console("pia", "request", "remark", name, "Really?"))
    assert "[console.away]" in text and "It may have done what was asked" in text
    assert len(json.loads(said(branch.looked_at("request", "show", name, "--json")))["remarks"]) == 1


def test_a_console_that_is_away(branch: Branch) -> None:
    away = branch.far("ana") | {"SOLESOURCE_CONSOLE_URL": f"http://127.0.0.1:{free_port()}"}
    text = said(invoke(away, "request", "list"))
    assert "[console.away]" in text and "It may have" not in text
    done = subprocess.run(
        [sys.executable, "-m", "broker.cli", "request", "withdraw", "cr-1"],
        env={"PATH": "/usr/bin:/bin", **away}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("solesource: the console at 127.0.0.1:") and done.stderr.count("\n") == 1


def test_a_console_that_knows_itself_by_another_name_says_so(branch: Branch) -> None:
    headers = {"authorization": f"Bearer {branch.token_file('ana').read_text().strip()}"}
    for host, status in (("elsewhere.example.com", 403), (branch.url.removeprefix("http://"), 200)):
        answer = httpx2.get(f"{branch.url}/api/v1/me", headers=headers | {"host": host})
        assert answer.status_code == status, host
    assert answer.json() == {"name": "ana", "may_decide": True, "teams": ["sales-operations"]}
    problem = httpx2.get(f"{branch.url}/api/v1/me", headers=headers | {"host": "elsewhere.example.com"})
    assert problem.json()["type"] == "console.refused"
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_console_behind_a_certificate(tmp_path: Path) -> None:
    certificate, key = certificate_in(tmp_path)
    with branch_in(tmp_path / "branch", certificate=certificate, key=key) as branch:
        unknown = said(branch.by_console("ana", "request", "list"))
        assert "[console.away]" in unknown and "certificate verify failed" in unknown
        known = branch.far("ana") | {"SOLESOURCE_CONSOLE_CA_FILE": str(certificate)}
        assert said(invoke(known, "request", "list", "--json")).strip() == "[]"
        other_name = known | {"SOLESOURCE_CONSOLE_URL": branch.url.replace("127.0.0.1", "localhost")}
        assert "certificate verify failed" in said(invoke(other_name, "request", "list"))


def test_a_console_behind_a_proxy_answers_to_the_name_that_people_use(tmp_path: Path) -> None:
    port, name = free_port(), "solesource.example.com"
    (tmp_path / "credentials.json").write_text('{"console": "never used here"}')
    environment = NOWHERE | {
        "SOLESOURCE_HOME": str(tmp_path),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "SOLESOURCE_CREDENTIALS_FILE": str(tmp_path / "credentials.json"),
        "SOLESOURCE_MAP_DIR": str(MAP_DIR),
        "SOLESOURCE_CONSOLE_PORT": str(port),
        "SOLESOURCE_CONSOLE_PUBLIC_URL": f"https://{name}",
    }
    make_user(tmp_path / "users.json", "ana")
    assert said(invoke(environment, "user", "link", "ana")).startswith(f"https://{name}/login/link?code=")
    token = said(invoke(environment, "user", "token", "ana")).strip()
    process = subprocess.Popen([sys.executable, "-m", "broker.cli", "console"], env=os.environ | environment)
    try:
        while answers(port, {}) is None:
            assert process.poll() is None
            time.sleep(0.1)
        known = {"authorization": f"Bearer {token}"}
        assert answers(port, known | {"host": name}) == 200
        assert answers(port, known | {"host": "other.example.com"}) == 403
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int, headers: dict[str, str]) -> int | None:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/api/v1/me", headers=headers).status_code
    except httpx2.ConnectError:
        return None


@pytest.mark.parametrize(
    "arguments",
    [
        ["request", "apply", "cr-1", "--by", "rita"],
        ["request", "apply", "--due", "--by", "rita"],
        ["audit", "list"],
        ["audit", "verify"],
        ["database", "back", "0"],
        ["review", "pack", "finance"],
        ["review", "remind", "--by", "rita"],
        ["proof", "list"],
        ["proof", "conformance", "crm", "--by", "pat", "--reference", "ci/17"],
    ],
)
def test_what_needs_the_database_says_so(branch: Branch, arguments: list[str]) -> None:
    assert "[governed.no_database]" in said(branch.by_console("rita", *arguments))
    assert not (branch.folder / "elsewhere").exists()


def test_a_machine_that_has_both_reads_its_own_audit(branch: Branch) -> None:
    drafted(branch)
    both = near(branch.folder, branch.settings) | {
        name: value for name, value in branch.far("rita").items() if name.startswith("SOLESOURCE_CONSOLE")
    }
    assert json.loads(said(invoke(both, "audit", "list", "--json")))[-1]["action"] == "request.draft"
    assert "Nothing is due" in said(invoke(both, "request", "apply", "--due", "--by", "rita"))
    home = branch.folder / "at_home"
    home.mkdir()
    (home / "solesource.db").touch()
    at_home = branch.far("rita") | {"SOLESOURCE_HOME": str(home)}
    assert "Nothing is due" in said(invoke(at_home, "request", "apply", "--due", "--by", "rita"))
