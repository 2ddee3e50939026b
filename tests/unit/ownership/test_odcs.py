"""Objects as data contracts: what the standard's own validator takes, and nothing of the map lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyodcs
import pytest
import yaml
from typer.testing import CliRunner

from broker.cli.root import app
from broker.rules import rules_of
from ownership.map import OwnershipMap
from ownership.odcs import odcs_of
from tests import datacontract_cli
from tests.estate import MAP_DIR, map_documents


@pytest.fixture
def law() -> OwnershipMap:
    return rules_of(map_documents(), 4).ownership_map


def contract_of(law: OwnershipMap) -> dict[str, Any]:
    reader = rules_of(map_documents(), 4).readers["customer"]
    fields = {str(field["name"]): field for field in reader.contract.schema["fields"]}
    written = yaml.safe_load(map_documents()["customer.yaml"])
    return odcs_of(law, "customer", "authoritative.customer", fields, written)


def faults(document: dict[str, Any]) -> list[str]:
    report = pyodcs.parse_and_validate(yaml.safe_dump(document).encode(), format="yaml")
    return [] if pyodcs.is_valid(report) else [str(report)]


def test_the_standards_validator_takes_it(law: OwnershipMap, tmp_path: Path) -> None:
    assert faults(contract_of(law)) == []
    said = CliRunner().invoke(app, ["map", "odcs", str(tmp_path), "--folder", str(MAP_DIR)])
    assert said.exit_code == 0, said.output
    written = (tmp_path / "customer.odcs.yaml").read_bytes()
    assert pyodcs.is_valid(pyodcs.parse_and_validate(written, format="yaml"))


@pytest.mark.parametrize("part", ["apiVersion", "kind", "status", "version", "id"])
def test_the_validator_would_say_if_it_were_none(law: OwnershipMap, part: str) -> None:
    document = contract_of(law)
    del document[part]
    assert faults(document)


def test_what_it_says(law: OwnershipMap) -> None:
    document, entry = contract_of(law), law.objects["customer"]
    (schema,) = document["schema"]
    by_name = {one["name"]: one for one in schema["properties"]}
    assert list(by_name) == list(entry.fields)
    assert by_name["customer_id"]["primaryKey"] is True and by_name["email"]["classification"] == "pii"
    owners = {
        name: next(
            c["value"] for c in one["customProperties"] if c["property"] == "solesource.systemOfRecord"
        )
        for name, one in by_name.items()
    }
    assert owners == dict(entry.owners)
    assert {(role["role"], role["access"]) for role in document["roles"]} == {
        ("crm", "write"),
        ("erp", "write"),
    }
    assert len(document["slaProperties"]) == 5 * len(entry.slas)


@pytest.mark.counterpart
@pytest.mark.timeout(300)
def test_the_data_contract_cli_takes_it_and_sees_what_is_wrong(tmp_path: Path) -> None:
    if not datacontract_cli.to_be_had():
        pytest.skip("ABSENT COUNTERPART: the Data Contract CLI could not be installed")
    said = CliRunner().invoke(app, ["map", "odcs", str(tmp_path), "--folder", str(MAP_DIR)])
    assert said.exit_code == 0, said.output
    (file,) = tmp_path.glob("*.yaml")
    valid, words = datacontract_cli.lint(file)
    assert valid and "valid against ODCS v3.1.0" in words, words
    contract = yaml.safe_load(file.read_text("utf-8"))
    contract["schema"][0]["properties"][0]["logicalType"] = "strang"
    file.write_text(yaml.safe_dump(contract), "utf-8")
    valid, words = datacontract_cli.lint(file)
    assert not valid, words
