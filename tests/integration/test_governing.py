"""A plan on its way through people into force, on a real Kafka: asked, approved, applied, judged by, audited."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from typer.testing import CliRunner, Result

from broker.cli.output import CommandRefused
from broker.cli.root import app
from broker.kafka.estate import newest_map, publish_map
from ownership.lifecycle import StepRefused
from tests.estate import MAP_DIR, Estate, estate_of
from tests.governed_map import TEAMS
from tests.inbox import Inbox, listening

pytestmark = pytest.mark.integration


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    yield from estate_of(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo's map, with teams and clearances."""
    made = Path(shutil.copytree(MAP_DIR, tmp_path / "map"))
    systems = yaml.safe_load((made / "systems.yaml").read_text())
    systems["systems"]["crm"]["cleared"] = ["pii"]
    (made / "systems.yaml").write_text(yaml.safe_dump(systems | {"teams": TEAMS}))
    return made


def run(estate: Estate, *arguments: str) -> Result:
    environment = estate.environment(SOLESOURCE_HOME=str(estate.home / "governed"))
    environment |= {
        "SOLESOURCE_CREDENTIALS_FILE": str(estate.all_credentials()),
        "SOLESOURCE_DATABASE_URL": "",
    }
    return CliRunner().invoke(app, list(arguments), env=environment, catch_exceptions=True)


def said(estate: Estate, *arguments: str) -> str:
    found = run(estate, *arguments)
    assert found.exit_code == 0, (arguments, found.output, found.exception)
    return found.stdout


def plan_file(estate: Estate, folder: Path, *more: str) -> str:
    out = estate.home / f"{len(list(estate.home.glob('plan-*')))}-plan.json"
    said(estate, "map", "plan", str(folder), "--out", str(out), *more)
    return str(out)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "customer.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_from_a_plan_to_the_map_in_force(estate: Estate, folder: Path) -> None:
    estate.start_gate()
    glass = plan_file(estate, folder)
    refused = run(estate, "map", "apply", glass, "--by", "pat")
    assert isinstance(refused.exception, CommandRefused) and "[map.not_approved]" in str(refused.exception)
    assert newest_map(estate.access("control")).version == 1
    why = "There are no teams yet that could approve."
    assert "Version 2" in said(estate, "map", "apply", glass, "--by", "pat", "--without-approval", why)

    estate.send("crm", "C-1", {"name": "Ada", "phone": "1"})
    estate.settle(1)
    limit, name_too = "  credit_limit: {system_of_record: erp}", "\n  name: {system_of_record: erp}"
    edit(folder, limit, limit + name_too)
    plan = plan_file(estate, folder, "--replay", "1d")
    words = ["--title", "Names from the ERP", "--reason", "It knows them better."]
    name = json.loads(said(estate, "request", "draft", plan, "--by", "rita", *words, "--json"))["request"]
    said(estate, "request", "propose", name, "--by", "rita")
    own = run(estate, "request", "approve", name, "--by", "rita")
    assert isinstance(own.exception, StepRefused) and "[request.own]" in str(own.exception)
    # Every one of one replayed change comes out otherwise: it reaches as far as can be.
    for person in ("ana", "pat"):
        assert "people have agreed" in said(estate, "request", "approve", name, "--by", person)
    text = said(estate, "request", "approve", name, "--by", "fay", "--note", "Checked.")
    assert "it stays in sight until" in text and "Its reach is far" in text
    soon = run(estate, "request", "apply", name, "--by", "rita")
    assert isinstance(soon.exception, StepRefused) and "[request.not_ready]" in str(soon.exception)
    assert newest_map(estate.access("control")).version == 2
    said(estate, "request", "return", name, "--by", "ana", "--why", "Only what the invoice needs.")

    edit(folder, name_too, "")
    edit(folder, "finance decides on credit limits", "finance decides on money")
    plan = plan_file(estate, folder)
    said(estate, "request", "revise", name, plan, "--by", "rita")
    said(estate, "request", "propose", name, "--by", "rita")
    assert "Put it in force" in said(estate, "request", "approve", name, "--by", "ana")
    assert "effective since" in said(estate, "request", "apply", name, "--by", "rita")
    newest = newest_map(estate.access("control"))
    assert newest.version == 3 and "finance decides on money" in newest.documents["customer.yaml"]
    assert "which is in force" in said(estate, "map", "apply", plan, "--by", "rita")
    listed = json.loads(said(estate, "request", "list", "--json"))
    assert {one["state"] for one in listed} == {"effective", "superseded"}

    assert "Everything is as it was written." in said(estate, "audit", "verify")
    actions = [one["action"] for one in json.loads(said(estate, "audit", "list", "--json", "--limit", "500"))]
    assert actions[0] == "request.apply" and actions[-1] == "map.without_approval"
    _waivers_proofs_and_reviews(estate)


def _waivers_proofs_and_reviews(estate: Estate) -> None:
    given = [
        "live.no_certificate",
        "customer crm -> erp",
        "--by",
        "ana",
        "--reason",
        "A trial.",
        "--until",
        "2027-01-15",
    ]
    waiver = said(estate, "waiver", "add", *given).partition(":")[0]
    assert waiver in said(estate, "waiver", "list", "--json")
    said(estate, "waiver", "end", waiver, "--by", "sam")
    assert json.loads(said(estate, "waiver", "list", "--json")) == []
    said(estate, "proof", "conformance", "crm", "--by", "pat", "--reference", "ci/17")
    assert json.loads(said(estate, "proof", "list", "--json"))[0]["result"] == "passed"
    html, pdf = (
        Path(line.split()[0])
        for line in said(estate, "review", "pack", "sales-operations", "--out", str(estate.home)).splitlines()
    )
    page = html.read_text()
    assert "finance decides on money" in page and "A company or person that buys from us." in page
    assert pdf.read_bytes().startswith(b"%PDF-")
    signed = ["--by", "ana", "--note", "Every field looked at.", "--pack", str(pdf)]
    said(estate, "review", "sign-off", "customer", *signed)
    assert json.loads(said(estate, "review", "list", "--json"))[0]["standing"] == "done"
    assert "0 notices" in said(estate, "review", "remind", "--by", "pat")
    assert "Everything is as it was written." in said(estate, "audit", "verify")


def test_whoever_was_cut_off_between_map_and_audit_does_the_second_part(
    estate: Estate, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.cli import planning

    said(estate, "map", "apply", plan_file(estate, folder), "--by", "pat", "--without-approval", "Teams.")
    edit(folder, "finance decides on credit limits", "finance decides on money")
    plan = plan_file(estate, folder)
    words = ["--title", "Money", "--reason", "Clearer.", "--json"]
    name = json.loads(said(estate, "request", "draft", plan, "--by", "rita", *words))["request"]
    said(estate, "request", "propose", name, "--by", "rita")
    said(estate, "request", "approve", name, "--by", "ana")
    with monkeypatch.context() as cut:
        cut.setattr(planning.taking_force, "applied", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(estate, "request", "apply", name, "--by", "rita")
    assert newest_map(estate.access("control")).version == 3
    assert json.loads(said(estate, "request", "show", name, "--json"))["state"] == "approved"
    assert "effective since" in said(estate, "request", "apply", name, "--by", "rita")
    assert newest_map(estate.access("control")).version == 3
    assert "Everything is as it was written." in said(estate, "audit", "verify")


def test_whatever_is_not_the_map_in_force_is_named(estate: Estate, folder: Path) -> None:
    estate.start_gate()
    plan = plan_file(estate, folder)
    said(estate, "map", "apply", plan, "--by", "pat", "--without-approval", "Teams come first")
    # A gate tells systems within seconds of a map; until then there is a drift, and it is named.
    deadline = time.monotonic() + 30
    while (found := run(estate, "map", "drift", str(folder), "--json")).exit_code:
        assert time.monotonic() < deadline, found.output
        time.sleep(0.5)
    assert json.loads(found.stdout) == []
    assert "Everything is as version 2 of the map says" in said(estate, "map", "drift", str(folder))

    admin = estate.kafka.admin()
    for gone in admin.delete_acls([right("erp", "changes.erp.customer")]).values():
        gone.result(20)
    for made in admin.create_topics([NewTopic("changes.shop.order", 1, 1)]).values():
        made.result(20)
    retention = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    trail = ConfigResource(ConfigResource.Type.TOPIC, "trail", incremental_configs=[retention])
    for changed in admin.incremental_alter_configs([trail]).values():
        changed.result(20)
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    edit(folder, "create: crm", "create: erp")
    before = "credit_limit: {system_of_record: erp}"
    moved = f"{before}\n  email: {{system_of_record: erp}}"
    past = {**texts, "customer.yaml": texts["customer.yaml"].replace(before, moved)}
    publish_map(estate.access("control"), past, "mallory")
    seen = run(estate, "map", "drift", str(folder), "--json")
    assert seen.exit_code == 2
    rows = {(row["kind"], row["where"]): row["detail"] for row in json.loads(seen.stdout)}
    assert rows.pop(("map", "version 3")).startswith(
        "mallory published it without a request: customer: email"
    )
    assert rows.pop(("right", "erp: allow write topic changes.erp.customer")) == "is missing"
    assert rows.pop(("topic", "changes.shop.order")).startswith("carries changes that nobody judges")
    assert rows.pop(("topic", "trail")) == "has retention.ms=1000 instead of 2592000000"
    assert rows.pop(("told", "erp, customer"))
    assert {kind for kind, _ in rows} <= {"file", "told"}, rows

    without = estate.environment(SOLESOURCE_HOME=str(estate.home / "governed"), SOLESOURCE_DATABASE_URL="")
    seen = CliRunner().invoke(app, ["map", "drift", str(folder), "--json"], env=without)
    blind = {row["kind"] for row in json.loads(seen.stdout) if row["where"] == "not looked at"}
    assert seen.exit_code == 2 and blind == {"right", "topic", "told"}, "without the admin's password"


def test_control_mails_whoever_is_concerned(estate: Estate, folder: Path) -> None:
    said(
        estate, "map", "apply", plan_file(estate, folder), "--by", "pat", "--without-approval", "Teams first"
    )
    with listening(Inbox()) as (inbox, port):
        environment = estate.environment(
            SOLESOURCE_HOME=str(estate.home / "governed"), SOLESOURCE_DATABASE_URL=""
        )
        environment |= {
            "SOLESOURCE_MAIL_SERVER": f"smtp://127.0.0.1:{port}",
            "SOLESOURCE_MAIL_FROM": "solesource@example.com",
        }
        with (estate.home / "control.log").open("ab") as log:
            command = [sys.executable, "-m", "broker.cli", "control"]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=estate.home)
        try:
            deadline = time.monotonic() + 30
            while not inbox.mails:
                assert time.monotonic() < deadline, (estate.home / "control.log").read_text()[-3000:]
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    told = {to[0]: mail["Subject"] for to, mail in inbox.mails}
    said_why = "Version 2 is in force, without approval, by pat: Teams first"
    assert told["sales-operations@example.com"] == said_why


def right(user: str, topic: str) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
