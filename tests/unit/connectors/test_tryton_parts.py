"""Tryton's JSON, its error table, and what is sent for an update."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.sdk.errors import ConnectionLost
from connectors.tryton.faults import (
    ERRORS,
    STATUSES,
    Reaction,
    TrytonFault,
    fault_of_error,
    fault_of_status,
    without_quotes,
)
from connectors.tryton.json_types import dumps, loads
from connectors.tryton.parties import Image, Mechanism, digest_of
from connectors.tryton.settings import PartyMapping
from connectors.tryton.writes import creation_of, write_of
from tests.connector_parts import update_of

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001 - Tryton's are naive

MAPPING = PartyMapping(
    fields={
        "customer_id": "code", "name": "name", "email": "contact:email", "phone": "contact:phone",
        "credit_limit": "credit_limit_amount",
    }
)  # fmt: skip
VALUES = {"customer_id": "a", "name": "A", "email": "a@x", "phone": None, "credit_limit": Decimal("5.00")}


def image(**more: Any) -> Image:
    return Image(
        7,
        "a",
        more.pop("active", True),
        "1.5",
        MOMENT,
        VALUES | more,
        {"email": Mechanism(3, "1.25")},
    )


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        MOMENT,
        date(2026, 1, 2),
        b"\x00x",
        "text",
        None,
        [1, {"a": Decimal(2)}],
    ],
)
def test_json_types_survive(value: Any):
    assert loads(dumps(value)) == value


@pytest.mark.parametrize(("status", "reaction"), [(row[0], row[1]) for row in STATUSES])
def test_every_status_of_the_table(status: int, reaction: Reaction):
    found = fault_of_status(status)
    if reaction is Reaction.LOST:
        assert isinstance(found, ConnectionLost)
    else:
        assert isinstance(found, TrytonFault)
        assert found.reaction is reaction


@pytest.mark.parametrize(("name", "reaction"), [(row[0], row[1]) for row in ERRORS])
def test_every_error_of_the_table(name: str, reaction: Reaction):
    found = fault_of_error([name, ['The email "ann@example.com" is not valid.', "", None]])
    assert "ann@example.com" not in str(found)
    if reaction is Reaction.LOST:
        assert isinstance(found, ConnectionLost)
    else:
        assert isinstance(found, TrytonFault)
        assert (found.reaction, found.code) == (reaction, f"tryton.{name}")


def test_any_other_error_is_tried_again_and_its_text_is_kept_back():
    for error in (["'ann@example.com'", ""], [], "text", None):
        found = fault_of_error(error)
        assert isinstance(found, TrytonFault)
        assert found.reaction is Reaction.RETRY
        assert "ann" not in str(found)
    assert without_quotes('The code "C-1" of “Ann” is taken.') == "The code … of … is taken."


def test_a_creation_holds_every_field_but_the_erps_own():
    update = update_of("a", 1, created=True, writable="customer_id name email phone", name="A", email="a@x")
    write = creation_of(update, MAPPING)
    assert write.values == {
        "code": "a", "name": "A", "contact_mechanisms": [["create", [{"type": "email", "value": "a@x"}]]],
    }  # fmt: skip
    assert write.digest == digest_of(VALUES | {"credit_limit": None})


WRITES = [
    ({"write": "name", "name": "A"}, None),
    ({"write": "name", "name": "B"}, {"name": "B"}),
    ({"write": "credit_limit", "credit_limit": Decimal(9)}, None),
    ({"write": "email", "email": "b@x"}, {"contact_mechanisms": [["write", [3], {"value": "b@x"}]]}),
    ({"write": "email", "email": None}, {"contact_mechanisms": [["delete", [3]]]}),
    (
        {"write": "phone", "phone": "1"},
        {"contact_mechanisms": [["create", [{"type": "phone", "value": "1"}]]]},
    ),
    ({"write": "phone", "phone": ""}, None),
    ({"deleted": True}, {"active": False}),
]


@pytest.mark.parametrize(("update", "values"), WRITES)
def test_only_the_difference_is_written(update: dict[str, Any], values: dict[str, Any] | None):
    found = write_of(update_of("a", 2, **update), image(), MAPPING)
    assert (None if found is None else found.values) == values


def test_a_write_names_the_dates_it_relies_on_and_the_content_after_it():
    found = write_of(update_of("a", 2, "name email", name="B", email="b@x"), image(), MAPPING)
    assert found is not None
    assert found.timestamps == {"party.party,7": "1.5", "party.contact_mechanism,3": "1.25"}
    assert found.digest == digest_of(VALUES | {"name": "B", "email": "b@x", "credit_limit": Decimal(5)})


def test_a_record_that_comes_back_is_active_again():
    update = update_of("a", 2, "name", created=True, name="A")
    found = write_of(update, image(active=False), MAPPING)
    assert found is not None
    assert found.values == {"active": True}
