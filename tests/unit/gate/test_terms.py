"""Whose the fields are after a revision, and what is kept of those who own them no more."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.state import Memory, Owners, RecordState
from broker.gate.terms import grouped, parted, under
from broker.rules import rules_of
from ownership.map import ObjectMap
from tests.gate_parts import map_texts

BASE = rules_of(map_texts(), 1).ownership_map.objects["customer"]
FIELDS = BASE.fields
"""customer_id, name, email, phone, credit_limit; the record is crm's."""


def entry(**others: str | None) -> ObjectMap:
    """All is crm's but what is said; None = nobody's."""
    owners = dict.fromkeys(FIELDS, "crm") | {n: o for n, o in others.items() if o}
    return replace(BASE, owners={n: o for n, o in owners.items() if others.get(n, "x") is not None})


def names(*fields: str) -> frozenset[str]:
    return frozenset(fields)


def test_one_owner_of_everything_stands_alone() -> None:
    whole = frozenset(FIELDS)
    told = under(entry(), RecordState(), ("crm", "e2"), whole)
    assert told.owners == (("crm", "e2", None),)
    all_erps = replace(BASE, owners=dict.fromkeys(FIELDS, "erp"))
    assert under(all_erps, RecordState(), ("erp", "e2"), whole).owners == (("erp", "e2", None),)
    assert under(entry(), RecordState(), ("erp", "e2"), frozenset()).owners == (("crm", "", None),)
    some = under(entry(), RecordState(), ("crm", "e2"), names("name"))
    assert some.owners == (("crm", "", None), ("crm", "e2", names("name")))


def test_the_largest_group_of_the_default_is_not_named_and_the_others_stand_in_order() -> None:
    state = RecordState(
        owners=(("crm", "e1", None), ("erp", "z", names("name")), ("billing", "a", names("phone")))
    )
    found = under(entry(name="erp", phone="billing"), state, ("crm", "e2"), names("email"))
    assert found.owners == (
        ("crm", "e1", None),
        ("billing", "a", names("phone")),
        ("crm", "e2", names("email")),
        ("erp", "z", names("name")),
    )
    assert under(entry(name="erp", phone="billing"), found) is found, "nothing changed"


def test_a_default_that_owns_nothing_is_named_without_an_event() -> None:
    owners = dict.fromkeys(FIELDS, "erp") | {"phone": "billing"}
    found = under(replace(BASE, owners=owners), RecordState(), ("erp", "e1"), frozenset(FIELDS) - {"phone"})
    assert found.owners == (
        ("crm", "", None),
        ("billing", "", names("phone")),
        ("erp", "e1", names("customer_id", "name", "email", "credit_limit")),
    )


def test_what_is_nobodys_keeps_its_last_writer() -> None:
    # I4: the version is known when somebody owns the field again
    state = RecordState(owners=(("crm", "e1", None),))
    found = under(entry(phone=None), state, ("crm", "e2"), frozenset(FIELDS))
    assert found.owners == (("crm", "e2", None), ("crm", "e1", names("phone")))
    named = state._replace(owners=(*state.owners, ("erp", "x1", names("phone"))))
    found = under(entry(phone=None), named, ("crm", "e2"), frozenset(FIELDS))
    assert found.owners == (("crm", "e2", None), ("erp", "x1", names("phone")))
    never = under(entry(phone=None), RecordState(), ("crm", "e2"), names("name"))
    assert never.owners == (("crm", "", None), ("crm", "e2", names("name")))
    assert never.last_write("name") == ("crm", "e2")


def test_what_others_had_said_is_kept_when_their_fields_go() -> None:
    owners: Owners = (("crm", "e1", None), ("erp", "x1", names("credit_limit", "phone")))
    kept = (("billing", "b1", names("name")), ("erp", "x0", names("phone")))
    memory = Memory(held={"erp": "h"}, former=kept)
    found = parted(entry(), RecordState(owners=owners, memory=memory))
    assert found.held == {"erp": "h"}
    assert found.former == (
        ("billing", "b1", names("name")),
        ("erp", "x1", names("credit_limit", "phone")),
    )
    turned = parted(entry(name="billing", email="zoo"), RecordState(owners=owners))
    assert turned.former == (
        ("crm", "e1", names("email", "name")),
        ("erp", "x1", names("credit_limit", "phone")),
    )


def test_order_of_what_is_kept_does_not_depend_on_the_fields() -> None:
    owners: Owners = (("crm", "", None), ("zoo", "z", names("name")), ("abc", "a", names("phone")))
    assert [f[0] for f in parted(entry(), RecordState(owners=owners)).former] == ["abc", "zoo"]


def test_nothing_is_kept_of_who_owns_still_or_never_wrote() -> None:
    memory = Memory()
    alone = RecordState(owners=(("crm", "e1", None),), memory=memory)
    assert parted(entry(), alone) is memory
    assert parted(entry(name="erp"), alone).former == (("crm", "e1", names("name")),)
    one_other = RecordState(owners=(("erp", "x1", None),), memory=memory)
    assert parted(entry(), one_other).former == (("erp", "x1", frozenset(FIELDS)),)
    silent = RecordState(owners=(("crm", "e1", None), ("erp", "", names("phone"))), memory=memory)
    assert parted(entry(), silent) is memory
    nobody = RecordState(owners=(("crm", "e1", None), ("erp", "x1", names("phone"))), memory=memory)
    assert parted(entry(phone=None), nobody) is memory, "nobody's now: it stays where it is"


def test_fields_are_grouped_by_their_last_write() -> None:
    writes = [("a", ("crm", "1")), ("b", ("crm", "2")), ("c", ("crm", "1"))]
    assert grouped(writes) == {("crm", "1"): names("a", "c"), ("crm", "2"): names("b")}
