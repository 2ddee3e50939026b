"""How much is owned: fields of contracts, and what was sent, by the map in force."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from broker.rules import rules_of
from ownership.coverage import Covered, as_json, coverage, in_all, sentence
from ownership.inference import Traffic, Writes
from tests.gate_parts import FIELDS, map_texts

MAP = rules_of(map_texts(), 1).ownership_map
CONTRACTS = {"customer": FIELDS, "order": ("order_id", "total")}


def sent() -> dict[str, Traffic]:
    customer = Traffic(
        "customer",
        changes=Counter(crm=30, erp=20),
        fields={
            "name": {"crm": Writes(20, 5, 3, 2), "erp": Writes(1, 2, 4, 8)},
            "credit_limit": {"erp": Writes(10)},
        },
        unreadable=Counter({("erp", "unreadable"): 2, ("crm", "bad_key"): 1}),
        lacking=Counter({("erp", "fax"): 4, ("crm", "fax"): 1}),
    )
    return {"customer": customer, "order": Traffic("order", fields={"total": {"shop": Writes(40)}})}


def covered(texts: dict[str, Traffic] | None = None) -> list[Covered]:
    return coverage(MAP, CONTRACTS, sent() if texts is None else texts)


def test_writes_are_the_owners_or_foreign_and_those_that_only_repeat_are_told_apart() -> None:
    customer, order = covered()
    assert (customer.object, customer.mapped, customer.owned, customer.fields) == ("customer", True, 5, 5)
    assert (customer.by_owner, customer.foreign, customer.repeated) == (30 + 10, 3, 12)
    assert (customer.writes, customer.owned_writes) == (55 + 5, 55), "what the contract lacks nobody owns"
    assert (customer.changes, customer.unreadable, customer.lacking) == (50, 3, {"fax": 5})
    assert (order.mapped, order.owned, order.unowned) == (False, 0, ("order_id", "total"))
    assert (order.writes, order.owned_writes) == (40, 0)


def test_a_field_whose_owner_is_gone_is_nobodys() -> None:
    entry = MAP.objects["customer"]
    without = replace(entry, owners={name: owner for name, owner in entry.owners.items() if name != "name"})
    (customer,) = coverage(replace(MAP, objects={"customer": without}), {"customer": FIELDS}, sent())
    assert customer.unowned == ("name",) and (customer.writes, customer.owned_writes) == (60, 10)


def test_in_all_is_the_sum() -> None:
    whole = in_all(covered())
    assert (whole.fields, whole.owned, whole.writes, whole.owned_writes) == (7, 5, 100, 55)
    assert (whole.mapped, whole.unowned) == (False, ("order.order_id", "order.total"))
    assert (whole.changes, whole.unreadable, whole.lacking) == (50, 3, {"customer.fax": 5})


def test_it_is_said_in_one_sentence() -> None:
    assert sentence(in_all(covered()), "yesterday") == (
        "71% of 7 fields have an owner, and 55% of 100 field writes since yesterday were to a field that has one: "
        "40 by the owner itself, 15 by others, of which 12 only repeat what was there."
    )
    assert (
        sentence(in_all(covered({})), "yesterday")
        == "71% of 7 fields have an owner; nothing was sent since yesterday."
    )


def test_as_data_a_share_of_nothing_is_null() -> None:
    told = as_json(in_all(covered()))
    assert (told["fields_share"], told["writes_share"], told["by_owner"]) == (0.7143, 0.55, 40)
    assert (told["unowned"], told["lacking"]) == (["order.order_id", "order.total"], {"customer.fax": 5})
    assert as_json(in_all([]))["fields_share"] is None
