"""The ledger's checker: a table of what it must find (I2, I3), each named in words."""

from __future__ import annotations

from typing import Any

import pytest

from broker.lane.ledger import chain_of, cut_off, verify
from tests.envelopes import ledger


def chained(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Records that follow from each other, each with its changes, chained after they were made."""
    records: list[dict[str, Any]] = []
    for number, changed in enumerate(changes, 1):
        previous = records[-1]["chain"] if records else b""
        record = ledger(number, previous_chain=previous) | changed
        records.append(record | {"chain": chain_of(record)})
    return records


def said(records: list[dict[str, Any]]) -> str:
    return "; ".join(fault.detail for fault in verify(records))


def test_a_good_ledger() -> None:
    assert verify([]) == [] and verify(chained({}, {}, {})) == []


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ([{"received": 5}], "5 changes were read, 4 have an outcome"),
        ([{"sequence": 3}], "records 1 to 2 are missing"),
        ([{"previous_chain": b"x"}], "the first record has a predecessor"),
        ([{}, {"sequence": 4}], "records 2 to 3 are missing"),
        ([{}, {"previous_chain": b"x"}], "it does not follow from the record before it"),
        ([{}, {"map_version": 2}], "the map went back to an older version"),
        ([{}, {"gate_time_ms": 1}], "gate time went backwards"),
        (
            [{}, {"positions": {"changes.crm.customer/0": 3}}],
            "position of changes.crm.customer/0 went from 4 to 3",
        ),
        (
            [{}, {"positions": {"changes.erp.customer/0": 3}}],
            "position of changes.crm.customer/0 went from 4 to -1",
        ),
        ([{}, {"positions": {"changes.crm.customer/0": 7}}], "positions moved by 3, 4 records were read"),
        ([{}, {"commands": 1}], "positions moved by 4, 5 records were read"),
    ],
)
def test_what_does_not_hold_together(changes: list[dict[str, Any]], detail: str) -> None:
    assert detail in said(chained(*changes))


def test_a_further_input_counts() -> None:
    more = {"positions": {"changes.crm.customer/0": 4, "changes.erp.customer/0": 4}}
    assert verify(chained({}, more)) == []


def test_an_edit() -> None:
    records = chained({}, {}, {})
    records[1] |= {"worker": "somebody else"}
    (fault,) = verify(records)
    assert fault.sequence == 2 and "was edited" in fault.detail


def test_a_ledger_whose_end_is_missing() -> None:
    records = chained({"revisions": 3}, {"revisions": 2}, {"revisions": 4})
    assert cut_off(0, records, 9) is None
    assert cut_off(0, records, 8) is None, "deleted records that were compacted away are not seen"
    assert verify(records[:-1]) == [], "what is left holds together"
    fault = cut_off(7, records[:-1], 9)
    assert fault is not None and (fault.slot, fault.sequence) == (7, 3)
    assert "9 revisions are in the log, 5 are accounted for" in fault.detail
    assert cut_off(0, [], 0) is None and cut_off(0, [], 1) is not None
