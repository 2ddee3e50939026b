"""Maps inferred from what was sent, and how much of it is owned, on a real Kafka: of systems that are only observed."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from broker.cli.root import app
from broker.kafka.admin import make_topics
from broker.kafka.estate import publish_map
from broker.topics import TopicPlan
from schemas.codec import Codec
from schemas.envelope import change_headers
from schemas.keys import partition_of
from schemas.register import with_version
from tests.estate import MAP_DIR, PARTITIONS, Estate, estate_of, map_documents
from tests.gate_parts import T0, money

pytestmark = pytest.mark.integration
SHIPMENT: dict[str, Any] = {
    "type": "record",
    "name": "shipment",
    "fields": [
        {"name": "shipment_id", "type": "string"},
        {"name": "carrier", "type": ["null", "string"], "default": None},
        {"name": "weight", "type": ["null", "long"], "default": None},
    ],
}
OBSERVED = {
    **map_documents(),
    "customer.yaml": map_documents()["customer.yaml"].replace(
        "  crm: {read: all}\n  erp: {read: all, on_violation: quarantine}",
        "  crm: {read: all, state: observe}\n  erp: {read: all, state: observe}",
    ),
}
assert OBSERVED["customer.yaml"].count("observe") == 2
RECORDS = 24


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Nothing judges here: everything is observed, or has no map yet."""
    for estate in estate_of(tmp_path_factory.mktemp("infer")):
        publish_map(estate.access("control"), OBSERVED, "test")
        folder = Path(shutil.copytree(MAP_DIR, estate.home / "map"))
        for name, text in with_version(map_documents(), "shipment", SHIPMENT).items():
            (folder / name).write_text(text)
        plans = [TopicPlan(f"changes.wms.{name}", PARTITIONS) for name in ("shipment", "parcel")]
        make_topics(estate.kafka.admin(), [*plans, TopicPlan("changes.erp.shipment", 1)], replicas=1)
        send_customers(estate)
        send_shipments(estate)
        yield estate


def send_customers(estate: Estate) -> None:
    """The CRM owns name and e-mail, the ERP the limit, both write phones, and billing repeats names."""
    keys = [f"C-{number}" for number in range(RECORDS)]
    for turn in range(2):
        for key in keys:
            values = {"name": f"{key} {turn}", "email": f"{turn}@{key}.example", "phone": f"{key}/{turn}"}
            estate.send("crm", key, values, wait=False)
        pause(estate, "crm")
        for key in keys:
            estate.send(
                "erp",
                key,
                {"name": f"{key} {turn}", "credit_limit": money(turn + 1)},
                fields=["name", "credit_limit"],
                wait=False,
            )
            estate.send("billing", key, {"name": f"{key} {turn}"}, fields=["name"], wait=False)
        pause(estate, "erp", "billing")
        for key in keys:
            estate.send("erp", key, {"phone": f"{turn}/{key}"}, fields=["phone"], wait=False)
        pause(estate, "erp")
    estate.send("erp", "C-0", {}, fields=["fax"])
    estate.send("erp", "C-0", None, value=b"no such thing")


def pause(estate: Estate, *systems: str) -> None:
    """Let what is sent next have a later append time."""
    for system in systems:
        estate.producer(system).flush(20)
    time.sleep(0.005)


def send_shipments(estate: Estate) -> None:
    """As the systems will, once they have users: by whoever may write everything."""
    producer = Producer(estate.kafka.client_settings("admin"))
    codec = Codec.of_document(101, SHIPMENT)

    def send(system: str, name: str, key: str, fields: list[str] | None, partition: int) -> None:
        value = codec.encode(101, {"shipment_id": key, "carrier": f"post {key}", "weight": 7})
        headers = change_headers(
            event_id=f"any:0:{key}", system=system, object_name=name, time_ms=T0, fields=fields
        )
        topic = f"changes.{system}.{name}"
        producer.produce(topic, value, key.encode(), headers=headers, partition=partition)

    keys = [f"S-{number}" for number in range(12)]
    for name in ("shipment", "parcel"):
        for key in keys:
            send("wms", name, key, None, partition_of(key.encode(), PARTITIONS))
    assert producer.flush(20) == 0
    time.sleep(0.005)
    for key in keys:
        send("erp", "shipment", key, ["carrier"], 0)
    assert producer.flush(20) == 0


def run(estate: Estate, *arguments: str) -> Result:
    environment = estate.environment(SOLESOURCE_MAP_DIR=str(estate.home / "map"), COLUMNS="200")
    return CliRunner().invoke(app, ["map", *arguments], env=environment)


def test_a_map_is_inferred_from_observed_traffic(estate: Estate) -> None:
    said = run(estate, "infer", "customer", "--json")
    assert said.exit_code == 0, said.output
    (customer,) = json.loads(said.stdout)["objects"]
    fields = {one["field"]: one for one in customer["fields"]}
    owners = {name: one["inferred"] for name, one in fields.items()}
    assert owners == {"name": "crm", "email": "crm", "phone": "?", "credit_limit": "erp"}
    assert (customer["system_of_record"], customer["create"]["inferred"], customer["delete"]["inferred"]) == (
        "crm",
        "crm",
        "?",
    )
    assert customer["readers"] == {"billing": ["name"]}
    name, phone = fields["name"]["systems"], fields["phone"]["systems"]
    assert (name["crm"]["changed"], name["crm"]["first"], name["erp"]["echoed"]) == (
        RECORDS,
        RECORDS,
        2 * RECORDS,
    )
    assert phone["erp"]["changed"] == 2 * RECORDS
    over = phone["crm"]["overwrote"]["erp"]
    assert over["values"] == RECORDS and over["sample"].startswith("changes.crm.customer/")
    assert [(one["system"], one["changes"]) for one in customer["unreadable"]] == [("erp", 1)]
    assert customer["lacking"] == [{"system": "erp", "field": "fax", "writes": 1}]


def test_what_is_written_is_a_map_once_the_open_places_are_filled(estate: Estate, tmp_path: Path) -> None:
    out = tmp_path / "inferred"
    said = run(estate, "infer", "--out", str(out))
    assert said.exit_code == 0, said.output
    for part in (
        "crm 100% of 24 values, last",
        "customer: of erp's changes 1 cannot be read (unreadable).",
        "customer: erp sends fax (1), which the contract does not have.",
        "changes.wms.parcel (12): nobody can read it, because no contract of the object is registered.",
    ):
        assert part in said.stdout, said.stdout
    written = {path.name: path.read_text() for path in out.iterdir()}
    contracts = {"registry.json", "customer.avsc", "shipment.avsc"}
    assert written.keys() == {"customer.yaml", "shipment.yaml", "systems.yaml"} | contracts
    assert "  name: {system_of_record: crm}  # crm 100% of 24 values, last" in written["customer.yaml"]
    assert (
        "billing repeats 48" in written["customer.yaml"]
        and "Sales operations decides" in written["customer.yaml"]
    )
    linted = run(estate, "lint", str(out))
    assert linted.exit_code == 2 and set(re.findall(r"\[(map\.\w+)\]", linted.stdout)) == {"map.left_open"}, (
        linted.stdout
    )
    for name, text in written.items():
        if name.endswith(".yaml"):
            filled = text.replace("'?'", "wms" if name == "shipment.yaml" else "crm")
            (out / name).write_text(filled)
    assert run(estate, "lint", str(out)).exit_code == 0, run(estate, "lint", str(out)).stdout
    again = run(estate, "infer", "--out", str(out))
    assert (
        "[infer.exists]" in str(again.exception)
        and (out / "customer.yaml").read_text().count("Inferred") == 1
    )


def test_an_object_without_a_map_gets_its_key_and_its_owner(estate: Estate) -> None:
    (shipment,) = json.loads(run(estate, "infer", "shipment", "--json").stdout)["objects"]
    assert (shipment["key"], shipment["system_of_record"]) == ("shipment_id", "wms")
    assert shipment["create"] == {"inferred": "wms", "records": {"wms": 12}}
    assert shipment["readers"] == {"erp": ["carrier"]}, (
        "its topic has other partitions, and is read with the others"
    )
    assert {one["field"]: (one["inferred"], one["counted"]) for one in shipment["fields"]} == {
        "carrier": ("wms", "first"),
        "weight": ("wms", "first"),
    }


def test_how_much_is_owned(estate: Estate) -> None:
    told = json.loads(run(estate, "coverage", "--json").stdout)
    customer, shipment = told["objects"]
    assert (customer["fields"], customer["fields_owned"], shipment["fields_owned"]) == (5, 5, 0)
    assert told["in_all"]["fields_share"] == 5 / 8 and told["contracts_without_object"] == ["shipment"]
    assert told["without_contract"] == {"changes.wms.parcel": 12}
    # each turn: crm writes all five fields, erp name, limit and phone, billing the name; and one fax
    assert (
        customer["writes"] == 2 * RECORDS * (5 + 3 + 1) + 1
        and customer["writes_owned"] == customer["writes"] - 1
    )
    assert customer["by_owner"] == 2 * RECORDS * (4 + 1) and customer["unreadable"] == 1
    assert customer["foreign"] == 2 * RECORDS and customer["repeated"] == 2 * RECORDS * (1 + 1 + 1)
    said = run(estate, "coverage")
    assert said.exit_code == 0 and said.stdout.startswith("62% of 8 fields have an owner, and 89% of 481 "), (
        said.output
    )
    assert (
        "shipment: has a contract, and is not in the map. See `solesource map infer shipment`." in said.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["infer", "ghost"], "infer.no_topic"),
        (["infer", "--since", "yesterday"], "map.span"),
        (["coverage", "--since", "7"], "map.span"),
    ],
)
def test_what_cannot_be_answered_says_why(estate: Estate, arguments: list[str], code: str) -> None:
    assert f"[{code}]" in str(run(estate, *arguments).exception)


def test_an_object_without_a_contract_is_told_plainly(estate: Estate) -> None:
    said = run(estate, "infer", "parcel")
    assert said.exit_code == 0 and "changes.wms.parcel (12): nobody can read it" in said.stdout
