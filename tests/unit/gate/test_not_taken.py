"""What an early write also says of others' fields: told when the record is created, and not taken (I6)."""

from __future__ import annotations

from typing import Any

from broker.gate.outgoing import Destination
from tests.gate_parts import Bench, money


def told(early: dict[str, Any], born: dict[str, Any]) -> str | None:
    """The note of the line that tells of the merge."""
    bench = Bench()
    assert bench.see(bench.upsert("erp", "seq:0:01", early)).outcome == "parked"
    seen = bench.see(bench.upsert("crm", "seq:0:01", born))
    (line,) = [line for line in seen.to(Destination.TRAIL) if line["kind"] == "parked_merged"]
    values = bench.values()
    assert values is not None and values["credit_limit"] == early["credit_limit"]
    assert {name: values[name] for name in born} == born
    note = line["note"]
    assert note is None or isinstance(note, str)
    return note


def test_other_values_of_others_fields_are_named_in_order() -> None:
    early = {"credit_limit": money(5), "phone": "9", "name": "Eve", "email": "x"}
    assert told(early, {"name": "Ada", "email": "x", "phone": "1"}) == "not taken: name, phone"


def test_what_says_the_same_or_nothing_is_not_named() -> None:
    assert told({"credit_limit": money(5), "name": "Ada"}, {"name": "Ada", "email": "x"}) is None


def test_what_is_taken_is_not_named() -> None:
    assert told({"credit_limit": money(7)}, {"name": "Ada"}) is None
