"""Which generation of a topic a connector takes, and what an acknowledgement counts in."""

from __future__ import annotations

from connectors.sdk.acknowledgements import Range
from connectors.sdk.generations import generation_of, newest


def test_the_newest_that_is_to_be_seen() -> None:
    visible = {
        "changes.crm.customer",
        "changes.crm.customer.2",
        "changes.crm.customer.10",
        "changes.crm.customers.11",
    }
    assert newest("changes.crm.customer", visible) == "changes.crm.customer.10"
    assert newest("changes.crm.customer", {"changes.crm.customer", "acks.crm"}) == "changes.crm.customer"
    assert newest("changes.crm.customer", {"changes.crm.customer.2"}) == "changes.crm.customer.2"
    assert newest("changes.crm.customer", {"changes.crm.customer.x"}) is None


def test_the_generation_stands_in_the_name() -> None:
    names = {
        "authoritative.customer": 1,
        "authoritative.customer.12": 12,
        "deliveries.billing.customer.12345678": 1,
        "deliveries.billing.customer.3.12345678": 3,
    }
    assert {name: generation_of(name) for name in names} == names


def test_an_acknowledgement_says_it() -> None:
    span = Range("customer", 0, generation_of("authoritative.customer.2"))
    assert span._record("erp", 1, [(5, 1, b"C-1", _settled())])["generation"] == 2


def _settled() -> object:
    from connectors.sdk.acknowledgements import Settled
    from connectors.sdk.sink import Skipped

    return Settled(Skipped("x"), 0, None, 1)
