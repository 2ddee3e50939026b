"""By which contracts what was sent is read, and what `systems.yaml` says of a system that nobody listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from broker.cli.inferring import _contracts, _systems
from broker.cli.output import CommandRefused
from ownership.lines import OPEN
from schemas.contract import make_contract
from schemas.learned import LEARNED, learned_from, written
from schemas.register import with_version
from schemas.registry import FileRegistry
from tests.gate_parts import CUSTOMER, map_texts, registry_document

ORDER = {"type": "record", "name": "order", "fields": [{"name": "order_id", "type": "string"}]}


def folder(tmp_path: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def subjects(contracts: dict[str, str]) -> frozenset[str]:
    return FileRegistry(documents=contracts, own=False).subjects


def test_a_folder_that_knows_more_than_the_map_in_force_is_read_by(tmp_path: Path) -> None:
    more = map_texts() | with_version(map_texts(), "order", ORDER)
    learned = learned_from("customer", make_contract(CUSTOMER, 100), 7, CUSTOMER)
    found = _contracts({**map_texts(), LEARNED: written([learned])}, folder(tmp_path, more))
    assert subjects(found) == {"customer", "order"} and not any(name.endswith(".yaml") for name in found)
    assert FileRegistry(documents=found, own=False).learned("customer") == {7}, "what was learned is kept"


def test_a_folder_that_knows_less_or_otherwise_is_not_read_by(tmp_path: Path) -> None:
    other = registry_document({**CUSTOMER, "doc": "Another one under the same id."})
    other |= with_version(other, "order", ORDER)
    assert subjects(_contracts(map_texts(), folder(tmp_path, other))) == {"customer"}
    assert subjects(_contracts(map_texts(), tmp_path / "nowhere")) == {"customer"}
    assert subjects(_contracts(map_texts(), None)) == {"customer"}


def test_before_there_is_a_map_the_folder_is_all_there_is(tmp_path: Path) -> None:
    assert subjects(_contracts({}, folder(tmp_path, registry_document(CUSTOMER)))) == {"customer"}
    with pytest.raises(CommandRefused, match=r"\[infer.no_contracts\]"):
        _contracts({}, None)


def test_a_system_that_nobody_listed_is_listed_with_everything_open() -> None:
    text = map_texts()["systems.yaml"]
    assert _systems(text, {"crm", "erp"}) == text
    entry = {"title": OPEN, "kind": OPEN, "contact": OPEN}
    listed = yaml.safe_load(_systems(text, {"shop", "crm"}))["systems"]
    assert listed["shop"] == entry and listed["crm"] == yaml.safe_load(text)["systems"]["crm"]
    assert "shop" not in yaml.safe_load(_systems(text, {"crm"}))["systems"], "the first time leaves no trace"
    assert yaml.safe_load(_systems("", {"shop"})) == {"systems": {"shop": entry}}
