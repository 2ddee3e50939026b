"""`solesource contract new --register`: a version is called as the company's registry calls it, or there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from broker.cli.output import CommandRefused
from broker.cli.root import app
from schemas.registry import FileRegistry
from schemas.remote import RegistryAway, RegistryRefuses
from tests.gate_parts import CUSTOMER
from tests.registry_desk import RegistryDesk, map_folder

PATH = "/subjects/authoritative.customer-value/versions"
NOTE = {"name": "note", "type": ["null", "string"], "default": None, "doc": "What was said."}


def with_note(number: int) -> dict[str, Any]:
    return {**CUSTOMER, "fields": [*CUSTOMER["fields"], {**NOTE, "name": f"note_{number}"}]}


@pytest.fixture
def desk() -> Iterator[RegistryDesk]:
    desk = RegistryDesk({7: with_note(1)})
    desk.gives[PATH] = 7
    with desk.open():
        yield desk


@pytest.fixture
def folder(tmp_path: Path, desk: RegistryDesk, monkeypatch: pytest.MonkeyPatch) -> Path:
    return map_folder(tmp_path, desk, monkeypatch)


def new(folder: Path, document: Any, *more: str) -> Result:
    given = folder.parent / "edited.avsc"
    given.write_text(json.dumps(document))
    words = ["contract", "new", "customer", "--from", str(given), "--folder", str(folder), *more]
    return CliRunner().invoke(app, words)


def versions(folder: Path) -> list[tuple[int, int, str]]:
    documents = {path.name: path.read_text() for path in folder.iterdir()}
    found = FileRegistry(documents=documents, own=False).versions("customer")
    return [(one.version, one.schema_id, one.registered) for one in found]


def test_it_takes_the_id_that_it_is_given(folder: Path) -> None:
    done = new(folder, with_note(1), "--register", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["id"] == 7
    assert versions(folder) == [(1, 100, ""), (2, 7, "authoritative.customer-value")]


def test_the_next_one_is_registered_too(folder: Path) -> None:
    assert new(folder, with_note(1), "--register").exit_code == 0
    fields = [*with_note(1)["fields"], {**NOTE, "name": "more"}]
    done = new(folder, {**CUSTOMER, "fields": fields})
    assert isinstance(done.exception, CommandRefused)
    assert "[contract.not_registered] Say --register" in str(done.exception)
    assert len(versions(folder)) == 2


def test_what_the_registry_does_not_take_is_no_version(folder: Path, desk: RegistryDesk) -> None:
    desk.gives.clear()
    assert isinstance(new(folder, with_note(1), "--register").exception, RegistryRefuses)
    desk.gives[PATH] = 8
    assert isinstance(new(folder, with_note(1), "--register").exception, RegistryAway), (
        "it does not know its own id"
    )
    assert versions(folder) == [(1, 100, "")]


def test_what_is_unfit_is_not_registered(folder: Path, desk: RegistryDesk) -> None:
    unfit = {**CUSTOMER, "fields": CUSTOMER["fields"][:2]}
    assert new(folder, unfit, "--register").exit_code != 0
    assert desk.calls == []


def test_without_a_registry_nothing_is_registered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOLESOURCE_REGISTRY_URL")
    done = new(folder, with_note(1), "--register")
    assert isinstance(done.exception, CommandRefused) and "[registry.no_url]" in str(done.exception)
    assert versions(folder) == [(1, 100, "")]
