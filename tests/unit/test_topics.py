"""Names of topics: generations of an object, and which of them are judged."""

from __future__ import annotations

import yaml

from broker import topics
from broker.lane.service import in_force
from broker.rules import rules_of
from ownership.reading import readings
from tests.gate_parts import map_texts


def test_a_stream_is_read_back_from_every_name() -> None:
    for object_name, generation in (("customer", 1), ("customer", 2), ("order-line_2", 10)):
        stream = topics.stream_of(object_name, generation)
        assert (topics.object_of(stream), topics.generation_of(stream)) == (object_name, generation)
        assert topics.parse_changes(topics.changes("crm", stream)) == ("crm", stream)
        assert topics.parse_commands(topics.commands(stream)) == stream
        assert topics.parse_deliveries(topics.deliveries("billing", stream, "12345678")) == stream
        assert topics.stream_in(topics.changes("crm", stream)) == stream
    for name in ("changes.crm.customer.1", "changes.crm.customer.02", "commands.customer.x", "changes.crm.2"):
        assert topics.stream_in(name) is None


def test_the_plan_makes_the_generation_that_the_map_names() -> None:
    texts = map_texts()
    document = yaml.safe_load(texts["customer.yaml"]) | {"generation": 2, "partitions": 9}
    document["systems"]["billing"] = {"read": ["name"]}
    ownership_map = rules_of(texts | {"customer.yaml": yaml.safe_dump(document)}, 1).ownership_map
    planned = {plan.name: plan.partitions for plan in topics.plan(ownership_map, partitions=4, slots=2)}
    (reading,) = readings(ownership_map.objects["customer"])
    deliveries = f"deliveries.billing.customer.2.{reading.generation}"
    for name in ("authoritative.customer.2", "state.customer.2", "commands.customer.2", deliveries):
        assert planned[name] == 9
    assert planned["changes.crm.customer.2"] == 9 and "changes.crm.customer" not in planned
    first = rules_of(texts | {"customer.yaml": yaml.safe_dump(document | {"generation": 1})}, 1).ownership_map
    (before,) = readings(first.objects["customer"])
    assert reading.generation == before.generation, "the same rights: what was applied is no news elsewhere"


def test_only_the_generation_that_the_map_names_is_judged() -> None:
    existing = [f"changes.crm.customer{end}" for end in ("", ".2", ".3")]
    existing += ["commands.customer", "commands.customer.2", "changes.x.ghost", "changes.x.ghost.2", "ledger"]
    assert in_force(existing, {"customer": "customer.2"}) == {
        "changes.crm.customer.2": "customer.2",
        "commands.customer.2": "customer.2",
        "changes.x.ghost.2": "ghost.2",
    }
    assert in_force(existing, {"customer": "customer"})["changes.crm.customer"] == "customer"
    assert in_force(existing, {"customer": "customer.4", "ghost": "ghost"}) == {"changes.x.ghost": "ghost"}
