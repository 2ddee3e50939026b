"""What a torn batch is, and where a batch says that it wrote."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from broker.gate.outgoing import Destination, Outgoing
from broker.lane.places import named, outputs, place_in, place_of, places_of
from broker.lane.torn import Torn, begins, torn
from tests.gate_parts import Bench

A, B, C = ("authoritative.customer", 0), ("trail", 3), ("state.customer", 0)
LEDGER = ("ledger", 3)
BEFORE = {"slot": 3, "sequence": 6, "positions": {"changes.crm.customer/0": 10, "commands.customer/0": 4}}
RECORD: dict[str, Any] = {
    "slot": 3,
    "sequence": 7,
    "positions": {"changes.crm.customer/0": 12, "commands.customer/0": 4, "changes.erp.order.2/1": 1},
    "outputs": {"authoritative.customer/0": 40, "trail/3": 7, "state.customer/0": -1},
}


@pytest.mark.parametrize(
    "found", [dict(zip((A, B, C), there, strict=True)) for there in product((True, False), repeat=3)]
)
@pytest.mark.parametrize("committed", [True, False])
def test_a_batch_is_torn_when_something_of_it_is_there_and_something_is_not(
    found: dict[tuple[str, int], bool], committed: bool
) -> None:
    missing = {place for place, there in {**found, LEDGER: committed}.items() if not there}
    said = torn(RECORD, BEFORE, found, committed=committed)
    if len(missing) in (0, 4):
        assert said is None
    else:
        assert said == Torn(RECORD, BEFORE, frozenset(missing))


@pytest.mark.parametrize("committed", [True, False])
def test_of_a_batch_whose_outputs_cannot_be_looked_at_nothing_is_said(committed: bool) -> None:
    assert torn(RECORD, BEFORE, {}, committed=committed) is None


def test_what_is_not_known_is_not_looked_at() -> None:
    assert begins(RECORD) == {A: 40, B: 7}
    assert begins({"slot": 1}) == {}, "records of before have no outputs"


def test_what_it_was_made_from_is_where_its_inputs_moved() -> None:
    assert Torn(RECORD, BEFORE, frozenset()).shelves == {("customer", 0), ("order.2", 1)}
    assert Torn(RECORD, None, frozenset()).shelves == {("customer", 0), ("order.2", 1)}


def test_places_are_named_both_ways() -> None:
    assert named(("changes.crm.customer.2", 11)) == "changes.crm.customer.2/11"
    assert place_in("changes.crm.customer.2/11") == ("changes.crm.customer.2", 11)


def test_whatever_a_slot_writes_is_among_its_outputs() -> None:
    topics_of_all = {place_of(3, to, "erp", 1, {"erp": "erp"})[0] for to in Destination}
    existing = [*topics_of_all, "ledger", "changes.erp.erp", "slots", "projections"]
    written = {place_of(3, to, "erp", 1, {"erp": "erp"}) for to in Destination}
    assert outputs(3, [("erp", 1)], existing) == {*written, LEDGER}
    records = [(Outgoing(to, b"", None, target="erp"), 1) for to in (*Destination, *Destination)]
    assert places_of(3, records, {"erp": "erp"}) == sorted(written)


def test_a_batch_says_where_each_of_its_outputs_begins() -> None:
    bench = Bench()
    bench.memory.ends |= {A: 17}
    bench.judge(
        bench.upsert("crm", "1", {"name": "A"}), bench.upsert("erp", "2", {"name": "B"}, fields=["name"])
    )
    said = bench.ledger[-1]["outputs"]
    assert said.pop("authoritative.customer/0") == 17
    assert said and set(said.values()) == {-1}, "of the others the end is not known"
    assert {"quarantine/0", "trail/0"} <= said.keys()
