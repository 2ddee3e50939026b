"""`solesource contract learn`: what a registry says comes into the map's folder, or nothing does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker.cli.output import CommandRefused
from broker.cli.root import app
from broker.rules import rules_of
from schemas.errors import ContractsClash, RegistryBroken
from schemas.remote import RegistryAway
from tests.gate_parts import CUSTOMER
from tests.registry_desk import BUYER, RegistryDesk, map_folder

GUID = "89791762-2336-4186-9674-299b90a802e2"
PHONELESS = {**CUSTOMER, "fields": [field for field in CUSTOMER["fields"] if field["name"] != "phone"]}
KEYLESS = {**CUSTOMER, "fields": CUSTOMER["fields"][1:]}


@pytest.fixture
def desk() -> Iterator[RegistryDesk]:
    desk = RegistryDesk({7: BUYER, 9: PHONELESS, 10: KEYLESS, 100: PHONELESS})
    desk.knows(7, BUYER, guid=GUID)
    desk.said[f"/schemas/guids/{GUID}"] = {"schema": json.dumps(BUYER), "id": 7}
    with desk.open():
        yield desk


@pytest.fixture
def folder(tmp_path: Path, desk: RegistryDesk, monkeypatch: pytest.MonkeyPatch) -> Path:
    return map_folder(tmp_path, desk, monkeypatch)


def learn(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["contract", "learn", *arguments, "--folder", str(folder)])


def documents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_schema_is_learned_by_its_id_or_its_guid(folder: Path) -> None:
    said = learn(folder, "customer", "7")
    assert said.exit_code == 0 and "Of what it has more (vip) every value is held" in said.stdout
    by_id = documents(folder)
    assert rules_of(by_id, 1).readers["customer"].learned == {7}
    told = learn(folder, "customer", GUID, "--json")
    assert json.loads(told.stdout) == {
        "object": "customer",
        "id": 7,
        "fields_nobody_knows": ["vip"],
        "file": "learned.json",
    }
    assert documents(folder) == by_id, "what is known is not learned twice"
    more = learn(folder, "customer", "9")
    assert "more" not in more.stdout and rules_of(documents(folder), 1).readers["customer"].learned == {7, 9}


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("customer", "8"), CommandRefused, "has no schema 8"),
        (("customer", "seven"), CommandRefused, "'seven' is neither an id nor a GUID"),
        (("order", "7"), RegistryBroken, "no schema of subject order"),
        (("customer", "10"), ContractsClash, "customer, schema id 10: customer_id: has no default"),
        (("customer", "100"), RegistryBroken, "learned id 100 of subject customer is taken"),
    ],
)
def test_what_is_of_no_use_is_not_written(
    folder: Path, arguments: tuple[str, ...], error: type[Exception], said: str
) -> None:
    before = documents(folder)
    result = learn(folder, *arguments)
    assert isinstance(result.exception, error) and said in str(result.exception)
    assert documents(folder) == before


def test_a_registry_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESOURCE_REGISTRY_URL", "http://127.0.0.1:1")
    assert isinstance(learn(folder, "customer", "7").exception, RegistryAway)
    monkeypatch.setenv("SOLESOURCE_REGISTRY_URL", "registry")
    assert "Mend SOLESOURCE_REGISTRY_URL" in str(learn(folder, "customer", "7").exception)
    monkeypatch.delenv("SOLESOURCE_REGISTRY_URL")
    assert "Set SOLESOURCE_REGISTRY_URL" in str(learn(folder, "customer", "7").exception)


def test_who_asks_has_a_password_by_reference(
    folder: Path, desk: RegistryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = folder.parent / "credentials.json"
    credentials.write_text(json.dumps({"asker": "secret"}))
    monkeypatch.setenv("SOLESOURCE_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("SOLESOURCE_REGISTRY_USER", "asker")
    assert learn(folder, "customer", "7").exit_code == 0
    assert [authorization[:6] for _, authorization in desk.calls] == ["Basic "]
