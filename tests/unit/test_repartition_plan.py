"""From where to where an object goes, and which maps may not be published beside it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import same_generations
from broker.lane.copying import Generation
from broker.repartition.plan import RepartitionRefused, inputs_of, plan_of, to_make, topics_of
from ownership.generation import with_generation
from tests.estate import map_documents

FILES = map_documents()
COUNTS = {"authoritative.customer": 4, "changes.crm.customer": 4}


def as_of(generation: int, partitions: int) -> dict[str, str]:
    text = with_generation(FILES["customer.yaml"], "customer.yaml", generation, partitions)
    return FILES | {"customer.yaml": text}


def planned(wanted: int, published: Any = FILES, files: Any = FILES, counts: Any = COUNTS) -> Any:
    return plan_of("customer", wanted, published=published, files=files, counts=counts)


def test_the_next_generation_has_the_number_that_is_wanted() -> None:
    plan = planned(6)
    assert (plan.old, plan.new) == (Generation("customer", 4), Generation("customer.2", 6))
    assert not plan.in_force and plan.documents == as_of(2, 6)
    names = {made.name: made.partitions for made in to_make(plan, partitions=4, slots=4)}
    systems = [f"changes.{name}.customer.2" for name in ("billing", "crm", "erp")]
    kept = ["authoritative.customer.2", "commands.customer.2", "state.customer.2"]
    assert names == dict.fromkeys([*systems, *kept], 6)


def test_a_run_that_was_cut_is_recognised() -> None:
    counts = COUNTS | {"authoritative.customer.2": 6}
    assert planned(6, files=as_of(2, 6), counts=counts).documents == as_of(2, 6), "the file was written"
    assert planned(8, files=as_of(2, 6), counts=counts).documents == as_of(2, 8), "another number is wanted"
    again = planned(6, as_of(2, 6), as_of(2, 6), counts)
    assert again.in_force and again.new == Generation("customer.2", 6)
    assert planned(6, as_of(2, 6), FILES, counts).documents == as_of(2, 6), "files of before are mended"
    assert planned(4, as_of(2, 6), as_of(2, 6), counts).new == Generation("customer.3", 4)
    assert planned(4).in_force


def test_what_is_not_in_order_stops_it() -> None:
    other = yaml.safe_load(FILES["customer.yaml"]) | {"description": "Another."}
    for wrong in (
        {"published": {}},
        {"files": FILES | {"customer.yaml": yaml.safe_dump(other)}},
        {"files": FILES | {"more.avsc": "{}"}},
        {"counts": {}},
    ):
        with pytest.raises(RepartitionRefused):
            planned(6, **wrong)
    with pytest.raises(RepartitionRefused, match="no object order"):
        plan_of("order", 6, published=FILES, files=FILES, counts=COUNTS)


def test_topics_of_one_generation() -> None:
    existing = [
        f"{kind}.customer{end}" for kind in ("state", "authoritative", "commands") for end in ("", ".2")
    ]
    existing += [
        "changes.gone.customer",
        "changes.crm.customer.2",
        "deliveries.billing.customer.2.12345678",
        "ledger",
    ]
    assert inputs_of("customer", existing) == ["changes.gone.customer", "commands.customer"]
    assert topics_of("customer.2", existing) == [
        "authoritative.customer.2",
        "changes.crm.customer.2",
        "commands.customer.2",
        "deliveries.billing.customer.2.12345678",
        "state.customer.2",
    ]


def test_no_other_way_puts_another_generation_in_force() -> None:
    """Files of before would bring old records back; a number that nobody filled would lose all of them."""
    first, second, third = FILES, as_of(2, 6), as_of(3, 8)
    for before, after in ((first, second), (second, first), (second, third), (second, as_of(1, 4))):
        with pytest.raises(KafkaRefused, match="generation"):
            same_generations(before, after)
    for before, after in ((first, first), (second, as_of(2, 8)), ({}, second), (second, {})):
        same_generations(before, after)
    same_generations(first, second, repartitioned="customer")
    for before, after, name in (
        (second, second, "customer"),
        (first, third, "customer"),
        (first, second, "order"),
    ):
        with pytest.raises(KafkaRefused):
            same_generations(before, after, repartitioned=name)
