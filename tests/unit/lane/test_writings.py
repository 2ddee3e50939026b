"""What systems are told that they may write: what is news, and what a newer map said is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from broker.lane.writings import otherwise
from broker.published import ToldTerms
from schemas.errors import SchemaError
from schemas.registry import envelopes

TERMS = {"since_ms": 0, "owners": {"name": "crm"}, "create": "crm", "delete": "crm", "observed": False}


def said(version: int, **changed: Any) -> dict[str, Any]:
    terms = [TERMS | {"on_violation": "quarantine"} | changed]
    return {"system": "crm", "object": "customer", "map_version": version, "key_field": "id", "terms": terms}


CRM, ERP = ("crm", "customer"), ("erp", "customer")


def test_only_what_is_otherwise_is_told() -> None:
    told = {CRM: said(1), ERP: said(1)}
    assert otherwise({CRM: said(2), ERP: said(2)}, told, 2) == {}
    assert otherwise({CRM: said(2, create="erp"), ERP: said(2)}, told, 2) == {CRM: said(2, create="erp")}
    assert otherwise({CRM: said(2)}, {}, 2) == {CRM: said(2)}


def test_what_is_nobodys_to_send_any_more_is_taken_back() -> None:
    assert otherwise({CRM: said(2)}, {CRM: said(1), ERP: said(1)}, 2) == {ERP: None}


def test_a_newer_map_is_not_contradicted() -> None:
    told = {CRM: said(3, create="erp"), ERP: said(3)}
    assert otherwise({CRM: said(2)}, told, 2) == {}


def test_the_highest_version_counts_whatever_the_order() -> None:
    heard, codec = ToldTerms(), envelopes()
    for version, create in ((2, "erp"), (1, "crm"), (2, "billing")):
        heard.hear(*CRM, codec.codec.encode(codec.id_of("writing"), said(version, create=create)))
    assert heard[CRM]["terms"][0]["create"] == "billing"
    heard.hear(*CRM, None)
    assert heard == {}
    with pytest.raises(SchemaError):
        heard.hear(*CRM, b"nonsense")
