"""The AsyncAPI document of an object: what the gate really receives and sends, in the form that the format asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import httpx2
import jsonschema_rs
import pytest
import yaml
from typer.testing import CliRunner

from broker import topics
from broker.cli.asyncapi import VERSION, document_of
from broker.cli.root import app
from broker.gate.outgoing import Destination
from broker.rules import rules_of
from tests import asyncapi_specs
from tests.estate import map_documents
from tests.gate_parts import Bench

DEMO = Path(__file__).parents[2] / "broker" / "demo" / "map"


def demo() -> dict[str, Any]:
    done = CliRunner().invoke(app, ["contract", "asyncapi", "customer", "--folder", str(DEMO)])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_every_topic_of_the_object_that_systems_write_or_read_is_there() -> None:
    found = demo()
    addresses = {channel["address"] for channel in found["channels"].values()}
    systems = ("billing", "crm", "erp")
    assert addresses == {"authoritative.customer", *(f"changes.{system}.customer" for system in systems)}
    actions = {name: one["action"] for name, one in found["operations"].items()}
    assert actions.pop("authoritative-customer") == "send" and set(actions.values()) == {"receive"}
    assert found["channels"]["changes-erp-customer"]["description"].endswith(
        "system of record of credit_limit."
    )


def test_headers_are_those_that_are_sent() -> None:
    found = demo()
    bench = Bench()
    sent = bench.upsert("crm", "seq:0:1", {"customer_id": "C-1", "name": "Ada"})
    seen = bench.see(sent)
    (record,) = [one for one, _ in seen.judged.outgoing if one.destination is Destination.AUTHORITATIVE]
    for topic, headers in (
        ("changes-crm-customer", sent.headers),
        ("authoritative-customer", record.headers),
    ):
        told = found["channels"][topic]["messages"]["record"]["headers"]
        names = {name for name, _ in headers}
        assert set(told["required"]) <= names <= set(told["properties"])


def test_the_payload_is_the_contract() -> None:
    payload = demo()["channels"]["authoritative-customer"]["messages"]["record"]["payload"]["schema"]
    contract = json.loads((DEMO / "customer.avsc").read_text())
    canonical = fastavro.schema.to_parsing_canonical_form
    assert canonical(payload) == canonical(contract) and "__" not in json.dumps(payload)


def test_a_restricted_reader_has_a_topic_with_its_fields_alone() -> None:
    documents = map_documents()
    customer = yaml.safe_load(documents["customer.yaml"])
    customer["systems"]["billing"] = {"read": ["customer_id", "name"]}
    rules = rules_of({**documents, "customer.yaml": yaml.safe_dump(customer)}, 1)
    (reading,) = (one.reading for one in rules.projections["customer"])
    found = document_of(rules, "customer", 4)
    channel = found["channels"][topics.deliveries_of(reading).replace(".", "-")]
    fields = channel["messages"]["record"]["payload"]["schema"]["fields"]
    assert [field["name"] for field in fields] == ["customer_id", "name"]
    assert channel["bindings"]["kafka"]["partitions"] == 4


def test_an_object_that_is_not_there() -> None:
    done = CliRunner().invoke(app, ["contract", "asyncapi", "order", "--folder", str(DEMO)])
    assert done.exit_code != 0


@pytest.mark.counterpart
def test_it_keeps_to_the_schema_of_the_format() -> None:
    try:
        validator = jsonschema_rs.validator_for(asyncapi_specs.fetched(VERSION))
    except httpx2.HTTPError as error:
        pytest.skip(f"ABSENT COUNTERPART: the AsyncAPI schema cannot be fetched: {type(error).__name__}")
    found = demo()
    assert [error.message for error in validator.iter_errors(found)] == []
    found["operations"]["authoritative-customer"]["action"] = "shout"
    assert not validator.is_valid(found)
