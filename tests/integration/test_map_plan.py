"""From files to the map in force: planned, applied, refused when the world moved, and gone back to, on a real Kafka."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from broker.cli.root import app
from broker.clock import now_ms
from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import newest_map, publish_map
from broker.store.engine import open_store, reading
from broker.store.errors import StoreUnavailableError
from broker.store.syncs import read_syncs
from ownership.plan import PlanRefused
from tests.estate import MAP_DIR, Estate, estate_of, map_documents

pytestmark = pytest.mark.integration
EMAIL = (
    "credit_limit: {system_of_record: erp}",
    "credit_limit: {system_of_record: erp}\n  email: {system_of_record: erp}",
)


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    """One of its own for each test: versions are counted."""
    yield from estate_of(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MAP_DIR, tmp_path / "map"))


def run(estate: Estate, *arguments: str) -> Result:
    # Who must approve is asked in test_governing.py.
    environment = estate.environment(SOLESOURCE_APPROVALS="off")
    environment |= {"SOLESOURCE_CREDENTIALS_FILE": str(estate.all_credentials())}
    return CliRunner().invoke(app, list(arguments), env=environment, catch_exceptions=True)


def at() -> str:
    return datetime.fromtimestamp(now_ms() / 1000, UTC).isoformat()


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "customer.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def planned(estate: Estate, folder: Path, *more: str) -> Path:
    out = estate.home / f"plan-{time.monotonic_ns()}.json"
    said = run(estate, "map", "plan", str(folder), "--out", str(out), *more)
    assert said.exit_code == 0, said.output
    return out


def test_a_plan_takes_force_and_the_gate_judges_by_it(estate: Estate, folder: Path) -> None:
    estate.start_gate()
    estate.send("crm", "C-1", {"name": "Ada", "email": "ada@example.com"})
    estate.settle(1)
    assert "Nothing would change: this is version 1" in run(estate, "map", "plan", str(folder)).stdout
    edit(folder, *EMAIL)
    told = run(estate, "map", "plan", str(folder)).stdout
    assert "On top of version 1, published by test on" in told
    assert (
        "customer: email (pii) belongs to erp instead of crm; what crm writes to it is held for review"
        in told
    )
    assert "Concerns crm, erp." in told and newest_map(estate.access("control")).version == 1
    before = at()
    time.sleep(0.01)
    applied = run(estate, "map", "apply", str(planned(estate, folder)), "--by", "anna")
    assert applied.exit_code == 0 and "Version 2 is in force" in applied.stdout, applied.output
    time.sleep(2)
    estate.send("erp", "C-1", {"email": "ada@new.example"}, fields=["email"])
    estate.send("crm", "C-1", {"email": "ada@old.example"}, fields=["email"])
    account = estate.settle(3)
    assert account["accepted"] == 2 and account["quarantined"] == 1, account
    table = json.loads(run(estate, "map", "history", "--words", "--json").stdout)
    assert [(row["version"], row["by"], row["files"]) for row in table][1] == (2, "anna", ["customer.yaml"])
    assert len(table) == 2 and "email (pii) belongs to erp" in table[1]["changes"][0]
    now, then = (
        json.loads(run(estate, "map", "at", when, "customer.email", "--json").stdout)
        for when in (at(), before)
    )
    assert (now["fields"][0]["owner"], now["map_version"], now["by"]) == ("erp", 2, "anna")
    assert (then["fields"][0]["owner"], then["map_version"]) == ("crm", 1)


def test_a_plan_is_refused_once_the_world_has_moved(estate: Estate, folder: Path) -> None:
    edit(folder, *EMAIL)
    late = planned(estate, folder)
    other = Path(shutil.copytree(MAP_DIR, folder.parent / "other"))
    edit(other, "Sales operations decides", "Finance decides")
    assert run(estate, "map", "apply", str(planned(estate, other)), "--by", "otto").exit_code == 0
    refused = run(estate, "map", "apply", str(late), "--by", "anna")
    assert isinstance(refused.exception, KafkaRefused) and "[map.moved]" in str(refused.exception)
    assert "version 1 of the map, and version 2 is in force, published by otto" in str(refused.exception)
    again = planned(estate, folder)
    changed = json.loads(again.read_text())
    assert {change["kind"] for change in changed["changes"]} == {"owner", "people"}, (
        "otto's change would be undone"
    )
    changed["documents"]["customer.yaml"] += "# slipped in\n"
    again.write_text(json.dumps(changed))
    tampered = run(estate, "map", "apply", str(again), "--by", "anna")
    assert isinstance(tampered.exception, PlanRefused) and tampered.exception.code == "plan.damaged"
    assert newest_map(estate.access("control")).version == 2


def test_going_back_is_a_plan_of_an_earlier_version(estate: Estate, folder: Path) -> None:
    edit(folder, *EMAIL)
    first = planned(estate, folder)
    assert run(estate, "map", "apply", str(first), "--by", "anna").exit_code == 0
    assert "which is in force" in run(estate, "map", "apply", str(first), "--by", "anna").stdout, (
        "once more is no more"
    )
    back = planned(estate, folder, "--back-to", "1")
    assert "email (pii) belongs to crm instead of erp" in json.loads(back.read_text())["changes"][0]["words"]
    assert run(estate, "map", "apply", str(back), "--by", "anna").exit_code == 0
    newest = newest_map(estate.access("control"))
    assert (newest.version, dict(newest.documents), newest.by) == (3, map_documents(), "anna")
    missing = run(estate, "map", "plan", "--back-to", "9")
    assert isinstance(missing.exception, KafkaRefused) and "there is 1 to 3 [map.no_version]" in str(
        missing.exception
    )


@contextmanager
def control(estate: Estate) -> Iterator[None]:
    """The process, started with the files of the first map, whatever is in force."""
    with (estate.home / "control.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker.cli", "control"],
            env=estate.environment(),
            stdout=log,
            stderr=log,
            cwd=estate.home,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (estate.home / "control.log").read_text()[-3000:]


def promised(estate: Estate, wanted_ms: int) -> None:
    """Wait until control evaluates crm -> erp against this promise."""
    deadline, found = time.monotonic() + 40, list[Any]()
    while time.monotonic() < deadline:
        with (
            suppress(StoreUnavailableError),
            reading(open_store(f"sqlite:///{estate.home / 'solesource.db'}")) as store,
        ):
            found = [row.measures["promise_p99_ms"] for row in read_syncs(store) if row.source == "crm"]
        if found == [wanted_ms]:
            return
        time.sleep(0.3)
    raise AssertionError(f"{found}\n{(estate.home / 'control.log').read_text()[-3000:]}")


def test_control_goes_over_to_the_map_in_force_and_stays_with_it(estate: Estate, folder: Path) -> None:
    edit(
        folder,
        "latency: {p99: 60s, max: 5m}\n    freshness: {expect_every: 15m}",
        "latency: {p99: 30s, max: 5m}",
    )
    with control(estate):
        promised(estate, 60_000)
        assert run(estate, "map", "apply", str(planned(estate, folder)), "--by", "anna").exit_code == 0
        promised(estate, 30_000)
    with control(estate):
        time.sleep(3)
        promised(estate, 30_000)
    assert newest_map(estate.access("control")).version == 2, "older files beside it are not put in force"


def test_a_replay_says_what_would_flip_and_writes_nothing(estate: Estate, folder: Path) -> None:
    estate.start_gate()
    for number in range(60):
        estate.send("crm", f"C-{number % 20}", {"name": f"N{number}", "email": f"{number}@example.com"})
    estate.send("erp", "C-1", {"email": "not@its.own"}, fields=["email"])
    estate.settle(61)
    before = {topic: len(estate.read(topic)) for topic in ("authoritative.customer", "quarantine", "trail")}
    edit(folder, *EMAIL)
    plan = json.loads(planned(estate, folder, "--replay", "1d").read_text())
    found = plan["replay"]
    flips = {
        (one["system"], one["fields"], one["before"], one["after"]): one["count"] for one in found["flips"]
    }
    assert flips[("crm", "email", "accepted", "partly_accepted: not_owner")] == 60, found  # creating, too
    assert flips[("erp", "email", "quarantined: not_owner", "accepted")] == 1
    assert (found["judged"], found["begun"]) == (61, 0)
    assert found["reviewed_before"] == 1 and found["reviewed_after"] >= 60
    assert before == {topic: len(estate.read(topic)) for topic in before}
    text = run(estate, "map", "diff", str(folder), "--replay", "1d").stdout
    assert (
        "| 60 | crm email of customer: accepted -> partly_accepted: not_owner | `changes.crm.customer/"
        in text
    )
    assert "What people decided, and time that passes, is not replayed." in text
    late = json.loads(planned(estate, folder, "--replay", "1d").read_text())
    assert late["hash"] != plan["hash"], "another replay is another plan"


def test_prepare_does_not_change_the_map_in_force(estate: Estate, folder: Path) -> None:
    edit(folder, *EMAIL)
    settings = {**estate.environment(SOLESOURCE_MAP_DIR=str(folder))}
    settings["SOLESOURCE_CREDENTIALS_FILE"] = str(estate.all_credentials())
    said = CliRunner().invoke(app, ["prepare", "--json"], env=settings)
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert (told["map_version"], told["files_differ"], told["topics_made"]) == (1, True, [])
    assert newest_map(estate.access("control")).version == 1
    assert "See what they would change" in CliRunner().invoke(app, ["prepare"], env=settings).stdout


def test_rights_are_those_of_the_map_in_force_when_somebody_was_quicker(
    estate: Estate, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.cli import planning

    edit(
        folder,
        "  erp: {read: all, on_violation: quarantine}",
        "  erp: {read: all, on_violation: quarantine}\n  billing: {read: all}",
    )
    plan = planned(estate, folder)
    otto = {**map_documents(), "customer.yaml": map_documents()["customer.yaml"] + "# otto\n"}
    brought_up, first = planning.brought_up, [True]

    def slow(*given: object) -> object:
        done = brought_up(*given)
        if first:
            first.pop()
            publish_map(estate.access("control"), otto, "otto")
        return done

    monkeypatch.setattr(planning, "brought_up", slow)
    refused = run(estate, "map", "apply", str(plan), "--by", "anna")
    assert isinstance(refused.exception, KafkaRefused) and "[map.moved]" in str(refused.exception)
    granted = [
        acl
        for acl in acls(estate)
        if acl.principal == "User:billing" and acl.name == "authoritative.customer"
    ]
    assert granted == [], "billing reads nothing by the map in force"


def acls(estate: Estate) -> list[object]:
    from broker.kafka.admin import _ANY

    admin = estate.kafka.admin()
    return list(admin.describe_acls(_ANY).result(timeout=30))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["map", "at", "yesterday", "customer.email"], "map.at_moment"),
        (["map", "at", "2020-01-01", "customer.email"], "map.none_then"),
        (["map", "at", "2099-01-01", "customer.fax"], "map.at_field"),
        (["map", "at", "2099-01-01", "ghost"], "map.at_field"),
        (["map", "apply", "nowhere.json", "--by", "anna"], "plan.not_one"),
    ],
)
def test_what_cannot_be_answered_says_why(one_estate: Estate, arguments: list[str], code: str) -> None:
    found = run(one_estate, *arguments)
    assert f"[{code}]" in str(found.exception)


@pytest.fixture(scope="module")
def one_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("asked"))
