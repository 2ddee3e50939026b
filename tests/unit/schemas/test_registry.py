"""The file registry: ids are stable, and what contradicts itself is not used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import guid_of
from schemas.errors import RegistryBroken
from schemas.registry import FileRegistry, canonical_digest, envelopes, read_folder
from tests.gate_parts import CUSTOMER, registry_document

PHONELESS = {**CUSTOMER, "fields": [f for f in CUSTOMER["fields"] if f["name"] != "phone"]}


GUID = "89791762-2336-4186-9674-299b90a802e2"


def listed(*entries: dict[str, Any]) -> dict[str, str]:
    texts = registry_document(CUSTOMER)
    first = json.loads(texts["registry.json"])["schemas"][0]
    return texts | {"registry.json": json.dumps({"schemas": [first | entry for entry in entries]})}


def test_the_products_own_envelopes() -> None:
    assert envelopes().id_of("case") in envelopes().ids("solesource.case")
    assert all(subject.startswith("solesource.") for subject in envelopes().subjects)


def test_versions_of_a_contract() -> None:
    registry = FileRegistry(documents=registry_document(PHONELESS, CUSTOMER))
    assert registry.ids("customer") == {100, 101}
    assert registry.contract("customer").schema_id == 101
    assert registry.latest("customer").version == 2


def test_a_schema_may_have_a_guid() -> None:
    found = FileRegistry(documents=listed({"guid": GUID})).latest("customer")
    assert found.guid == guid_of(GUID) and FileRegistry(documents=listed({})).latest("customer").guid is None


def test_a_folder_is_read(tmp_path: Path) -> None:
    for name, text in registry_document(CUSTOMER).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "notes.txt").write_text("no schema")
    assert FileRegistry(tmp_path).subjects == envelopes().subjects | {"customer"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryBroken, match="cannot be read"):
        read_folder(tmp_path / "nowhere")


def test_a_subject_that_nobody_registered() -> None:
    with pytest.raises(RegistryBroken, match=r"no schema of subject order .*Add it to registry.json"):
        envelopes().contract("order")


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ({}, "cannot be read"),
        ({"registry.json": "{"}, "cannot be read"),
        ({"registry.json": "[]"}, "cannot be read"),
        (listed({"file": "elsewhere.avsc"}), "cannot be read"),
        (listed({"sha256": canonical_digest(PHONELESS)}), "changed under id 100"),
        (listed({}, {"version": 2}), "gives one id to two schemas"),
        (listed({}, {"id": 101}), "gives one version of a subject to two schemas"),
        (listed({"guid": "8979"}), "cannot be read"),
        (listed({"guid": 7}), "cannot be read"),
        (
            listed({"guid": GUID}, {"guid": GUID, "id": 101, "version": 2}),
            "one GUID is given to ids 100 and 101",
        ),
        (listed({"id": 99}), "id 99 of subject customer is taken"),
        (listed({"id": 3}), "id 3 of subject customer is taken"),
    ],
)
def test_what_contradicts_itself_is_not_used(documents: dict[str, str], said: str) -> None:
    with pytest.raises(RegistryBroken, match=said) as broken:
        FileRegistry(documents=documents)
    assert broken.value.code == "registry.broken"
