"""What counts say about ownership: clear is said, and everything else left open, as data, in words and as a file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from ownership.inference import Traffic, Writes
from ownership.inferred import COUNT_MIN, Inferred, as_json, inferred_from, share
from ownership.inferred_file import file_of
from ownership.lines import OPEN
from tests.gate_parts import object_document

DAY = 1_795_000_000_000
"""2026-11-18."""


def writes(changed: int = 0, first: int = 0, echoed: int = 0, **more: Any) -> Writes:
    overwrote = Counter(more.pop("overwrote", {}))
    earlier = Counter(more.pop("earlier", {}))
    samples = dict.fromkeys(overwrote, "changes.erp.customer/0/7")
    return Writes(
        changed, first, echoed, last_ms=DAY, overwrote=overwrote, samples=samples, earlier=earlier, **more
    )


def traffic(
    created: dict[str, int] | None = None, deleted: dict[str, int] | None = None, **fields: Any
) -> Traffic:
    systems = {system for found in fields.values() for system in found}
    return Traffic(
        "customer",
        changes=Counter(dict.fromkeys(systems | {*(created or {})}, 1)),
        fields=fields,
        created=Counter(created or {}),
        deleted=Counter(deleted or {}),
    )


def owner(**systems: Writes) -> str:
    (found,) = inferred_from(traffic(name=systems), ["name"]).fields
    return found.owner


def test_an_owner_is_who_changed_at_least_nine_of_ten_values() -> None:
    assert owner(crm=writes(90), erp=writes(10)) == "crm"
    assert owner(crm=writes(89), erp=writes(11)) == OPEN


def test_of_few_values_nothing_is_concluded() -> None:
    assert owner(crm=writes(COUNT_MIN)) == "crm"
    assert owner(crm=writes(COUNT_MIN - 1)) == OPEN
    assert owner(crm=writes(echoed=1_000)) == OPEN


def test_changes_say_more_than_first_values() -> None:
    assert owner(crm=writes(0, 1_000), erp=writes(10)) == "erp"


def test_where_nobody_changes_anything_who_says_it_first_counts_unless_a_change_contradicts() -> None:
    assert owner(crm=writes(0, 100), erp=writes(0, 11)) == "crm"
    assert owner(crm=writes(0, 100), erp=writes(0, 12)) == OPEN
    assert owner(crm=writes(1, 100)) == "crm"
    assert owner(crm=writes(0, 100), erp=writes(1)) == OPEN


def test_who_was_only_quick_to_tell_is_no_owner() -> None:
    assert owner(erp=writes(100), crm=writes(echoed=100, earlier={"erp": 10})) == "erp"
    assert owner(erp=writes(100), crm=writes(echoed=100, earlier={"erp": 11})) == OPEN


def test_the_system_of_record_owns_the_most_fields_and_a_tie_is_left_open() -> None:
    crm, erp = {"crm": writes(100)}, {"erp": writes(100)}
    assert inferred_from(traffic(a=crm, b=crm, c=erp), "abc").system_of_record == "crm"
    assert inferred_from(traffic(a=crm, c=erp), "ac").system_of_record == OPEN
    assert inferred_from(traffic(a=crm, key=erp), ["a", "key"], "key").system_of_record == "crm", (
        "the key is no field to own"
    )
    assert inferred_from(traffic(), ["a"]).system_of_record == OPEN


def test_who_creates_and_deletes_is_as_clear_or_open() -> None:
    found = inferred_from(traffic({"crm": 90, "erp": 10}, {"crm": 8, "erp": 2}), [])
    assert (found.create.system, found.delete.system) == ("crm", OPEN)
    assert found.create.words("records named first", "nobody") == "crm 90% of 100 records named first; erp 10"
    assert inferred_from(traffic(), []).delete.words("records", "nobody was seen to") == "nobody was seen to"


def test_who_repeats_others_values_reads_them_and_owners_read_anyway() -> None:
    name = {
        "crm": writes(100),
        "erp": writes(echoed=50),
        "billing": writes(echoed=10),
        "shop": writes(echoed=9),
    }
    limit = {"erp": writes(100), "billing": writes(echoed=9)}
    key = {"crm": writes(100), "billing": writes(echoed=99)}
    found = inferred_from(traffic(id=key, name=name, limit=limit), ["id", "name", "limit"], "id")
    assert found.readers == {"billing": ("name",), "shop": ()}


def test_the_key_is_the_field_that_always_was_it() -> None:
    found = traffic()
    assert inferred_from(found, ["id"]).key == OPEN and inferred_from(found, ["id"], "id").key == "id"
    found.named_by = frozenset({"id", "name"})
    assert inferred_from(found, ["id"]).key == OPEN
    found.named_by = frozenset({"id"})
    assert inferred_from(found, ["id"]).key == "id"


def test_evidence_in_words() -> None:
    def words(**systems: Writes) -> str:
        return inferred_from(traffic(name=systems), ["name"]).fields[0].words

    erp = writes(24, overwrote={"crm": 3})
    assert (
        words(crm=writes(1_180), erp=erp)
        == "crm 98% of 1,204 values, last 2026-11-18; erp 24, of which 3 overwrote crm"
    )
    crm = writes(echoed=40, earlier={"erp": 12, "shop": 1})
    assert words(erp=writes(0, 60), crm=crm) == (
        "erp 100% of 60 first values, last 2026-11-18; "
        "crm repeats 40, of which 12 it had before erp and 1 it had before shop"
    )
    assert words(crm=writes(unchanged=5), erp=writes(echoed=1)) == "nobody set it; erp repeats 1"
    assert words() == "nobody set it"


def test_a_share_is_never_rounded_up() -> None:
    assert (share(999, 1_000), share(1, 1), share(0, 3), share(0, 0)) == ("99%", "100%", "0%", "none")


def test_evidence_as_data() -> None:
    erp = writes(30, first=1, overwrote={"crm": 3}, records=20)
    found = as_json(
        inferred_from(
            traffic({"crm": 12}, id={}, name={"crm": writes(270), "erp": erp}), ["id", "name"], "id"
        ),
        {"name": "erp"},
    )
    (name,) = found["fields"]
    assert (name["field"], name["inferred"], name["in_force"], name["values"]) == ("name", "crm", "erp", 300)
    assert name["systems"]["erp"] == {
        "share": 0.1,
        "changed": 30,
        "first": 1,
        "echoed": 0,
        "unchanged": 0,
        "records": 20,
        "last_ms": DAY,
        "overwrote": {"crm": {"values": 3, "sample": "changes.erp.customer/0/7"}},
        "earlier": {},
        "overwritten": 0,
    }
    assert name["systems"]["crm"]["overwritten"] == 3
    assert found["create"] == {"inferred": "crm", "records": {"crm": 12}}
    unseen = as_json(inferred_from(traffic(name={"crm": Writes(echoed=1)}), ["name"]), {})["fields"][0][
        "systems"
    ]["crm"]
    assert (unseen["share"], unseen["last_ms"]) == (0.0, None)


# --- as a file


def inferred() -> Inferred:
    name = {"crm": writes(100), "erp": writes(echoed=100), "billing": writes(echoed=100)}
    fields = {"customer_id": {}, "name": name, "phone": {}, "credit_limit": {"erp": writes(50)}}
    return inferred_from(traffic({"crm": 20}, **fields), fields, "customer_id")


def written(known: dict[str, Any]) -> dict[str, Any]:
    text = file_of(inferred(), known, "customer.avsc", "2026-11-01 00:00 UTC")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def test_what_is_not_clear_is_left_open_in_the_file() -> None:
    found = written({})
    assert (found["description"], found["steward"]) == (OPEN, {"team": OPEN, "contact": OPEN})
    assert (found["key"], found["system_of_record"], found["create"]) == ("customer_id", OPEN, "crm")
    assert found["delete"] == {"authority": OPEN, "consumers": "soft"}
    assert found["fields"] == {
        "name": {"system_of_record": "crm"},
        "phone": {"system_of_record": OPEN},
        "credit_limit": {"system_of_record": "erp"},
    }
    assert found["systems"] == {"billing": {"read": ["name"]}}


def test_the_evidence_stands_beside_each_field() -> None:
    lines = file_of(inferred(), {}, "customer.avsc", "2026-11-01 00:00 UTC").splitlines()
    assert (
        lines[0]
        == "# Inferred from what was sent since 2026-11-01 00:00 UTC; beside each field what was seen of it."
    )
    assert "create: crm  # crm 100% of 20 records named first" in lines
    assert "delete: {authority: '?', consumers: soft}  # nobody was seen to delete one" in lines
    assert "  credit_limit: {system_of_record: erp}  # erp 100% of 50 values, last 2026-11-18" in lines
    assert "  phone: {system_of_record: '?'}  # nobody set it" in lines


@pytest.mark.parametrize(
    ("read", "then"),
    [
        ("all", "all"),
        ("none", ["name"]),
        (["phone"], ["phone", "name"]),
        (["name"], ["name"]),
        (None, ["name"]),
    ],
)
def test_what_a_file_says_and_traffic_cannot_stays(read: Any, then: Any) -> None:
    known = object_document(
        system_of_record="erp",
        delete={"authority": "erp", "consumers": "hard"},
        fields={
            "phone": {"class": "pii", "system_of_record": "erp"},
            "customer_id": {"class": "internal"},
            "name": None,
        },
        systems={"billing": {"read": read, "state": "observe"} if read else None, "crm": {"read": "all"}},
        conflicts="Sales decides.",
        slas=[{"connection": "crm -> erp"}],
        generation=2,
    )
    found = written(known)
    kept = ("description", "steward", "contract", "conflicts", "slas", "generation")
    assert {name: found[name] for name in kept} == {name: known[name] for name in kept}
    assert found["delete"] == {"authority": OPEN, "consumers": "hard"} and found["system_of_record"] == OPEN
    assert found["fields"]["phone"] == {"system_of_record": OPEN, "class": "pii"}
    assert found["fields"]["customer_id"] == {"class": "internal"}
    assert found["systems"]["billing"]["read"] == then and found["systems"]["crm"] == {"read": "all"}


def test_a_system_that_only_sends_is_listed_and_reads_nothing() -> None:
    few = traffic(name={"shop": writes(3)})
    values = yaml.safe_load(file_of(inferred_from(few, ["name"]), {}, "c.avsc", ""))
    assert values["systems"] == {"shop": {"read": "none"}}
    none = yaml.safe_load(file_of(inferred_from(traffic(), []), {}, "c.avsc", ""))
    assert "systems" not in none and "fields" not in none
    bare = yaml.safe_load(file_of(inferred_from(traffic(), ["id"], "id"), {}, "c.avsc", ""))
    assert "fields" not in bare, "the key belongs to who creates"


def test_names_that_yaml_would_read_otherwise_come_back_as_they_are() -> None:
    found = yaml.safe_load(file_of(inferred_from(traffic(), ["no", "on", "null"]), {}, "c.avsc", ""))
    assert list(found["fields"]) == ["no", "on", "null"]
