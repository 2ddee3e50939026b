"""The published JSON Schema says of a file what reading it says: a key more or less in either would show here."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
import yaml
from typer.testing import CliRunner

from broker.cli.maps import app
from ownership.document import ObjectDocument, SystemsDocument
from ownership.json_schema import Kind, json_schema
from tests.estate import map_documents
from tests.unit.ownership.test_reference_page import PAGE, blocks_of

FILES = blocks_of(PAGE.read_text("utf-8").partition("## What can be wrong")[0])


def plain(text: str) -> Any:
    """As a JSON reader sees the file: dates are texts there."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def fits(kind: Kind, values: Any) -> bool:
    return jsonschema_rs.validator_for(json_schema(kind)).is_valid(values)


@pytest.mark.parametrize("files", [FILES, map_documents()], ids=["page", "demo"])
def test_good_files_fit(files: dict[str, str]) -> None:
    assert fits(Kind.SYSTEMS, plain(files["systems.yaml"]))
    assert fits(Kind.OBJECT, plain(files["customer.yaml"]))


WRONG: list[tuple[tuple[Any, ...], Any]] = [
    (("steward",), None),
    (("keey",), "customer_id"),
    (("object",), "Customer"),
    (("fields", "email", "class"), "private"),
    (("systems", "erp", "on_violation"), "ignore"),
    (("systems", "erp", "read"), "some"),
    (("slas", 0, "latency", "p99"), "5 seconds"),
    (("slas", 0, "connection"), "crm"),
    (("slas", 0, "errors", "alert_above"), 1),
    (("generation",), 0),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[str(path) for path, _ in WRONG])
def test_what_is_refused_does_not_fit(path: tuple[Any, ...], value: Any) -> None:
    values = plain(FILES["customer.yaml"])
    place = values
    for part in path[:-1]:
        place = place[part]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert not fits(Kind.OBJECT, values)
    with pytest.raises(ValueError, match="validation error"):
        ObjectDocument.model_validate(values)


def test_it_is_written_for_editors(tmp_path: Any) -> None:
    out = tmp_path / "systems.schema.json"
    assert CliRunner().invoke(app, ["schema", "systems", "--out", str(out)]).exit_code == 0
    found = json.loads(out.read_text())
    assert found == json_schema(Kind.SYSTEMS) and found["$schema"].endswith("2020-12/schema")
    assert json.loads(CliRunner().invoke(app, ["schema", "object"]).stdout) == json_schema(Kind.OBJECT)
    assert SystemsDocument.model_validate(plain(FILES["systems.yaml"]))
