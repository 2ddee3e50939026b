"""The production gate: everything that a connection lacks is named at once."""

from __future__ import annotations

from dataclasses import replace

from ownership.going_live import Connection, Evidence, Need, Standing, going_live, missing, standings
from tests.governed_map import BILLING_READS, compiled

CRM_ERP = Connection("customer", "crm", "erp")
CRM_BILLING = Connection("customer", "crm", "billing")
GOOD = Evidence(conforming=frozenset(["crm", "erp", "billing"]), certified=frozenset([CRM_ERP, CRM_BILLING]))


def test_where_connections_stand() -> None:
    base = compiled()
    assert standings(base) == {CRM_ERP: Standing.LIVE, Connection("customer", "erp", "crm"): Standing.LIVE}
    assert standings(base, frozenset([("customer", "crm")]))[CRM_ERP] is Standing.SUSPENDED
    entry = base.objects["customer"]
    shadow = replace(base, objects={"customer": replace(entry, observed=frozenset(["erp"]))})
    assert set(standings(shadow).values()) == {Standing.SHADOW}
    promised = replace(entry, slas=(*entry.slas, replace(entry.slas[0], sink="billing")))
    assert standings(replace(base, objects={"customer": promised}))[CRM_BILLING] is Standing.PLANNED


def test_what_goes_live_is_what_was_not_live_before() -> None:
    assert going_live(compiled(), compiled()) == []
    assert going_live(compiled(), compiled(**BILLING_READS)) == [CRM_BILLING]
    entry = compiled().objects["customer"]
    shadow = replace(compiled(), objects={"customer": replace(entry, observed=frozenset(["crm"]))})
    assert CRM_ERP in going_live(shadow, compiled())


def test_everything_that_is_missing_is_named() -> None:
    wanted = compiled(**BILLING_READS)
    found = missing(wanted, CRM_BILLING, Evidence())
    assert [one.need for one in found] == [
        Need.PROMISE, Need.CONFORMANCE, Need.CONFORMANCE, Need.CERTIFICATE,
    ]  # fmt: skip
    entry = wanted.objects["customer"]
    sla = replace(entry.slas[0], sink="billing", alert_path=" ")
    bare = replace(
        entry, steward_contact=" ", slas=(sla,), owners={k: v for k, v in entry.owners.items() if k != "name"}
    )
    found = missing(replace(wanted, objects={"customer": bare}), CRM_BILLING, GOOD)
    assert [one.need for one in found] == [Need.OWNER, Need.STEWARD, Need.ALERT_PATH]
    assert "nobody owns name, which billing reads" in found[0].words


def test_what_is_there_or_waived_is_not_missing() -> None:
    wanted = compiled(**BILLING_READS)
    waived = replace(GOOD, waived={CRM_BILLING: frozenset([Need.PROMISE.value])})
    assert missing(wanted, CRM_BILLING, waived) == []
    assert missing(wanted, CRM_ERP, GOOD) == []
    other = replace(GOOD, waived={CRM_ERP: frozenset([Need.PROMISE.value])})
    assert [one.need for one in missing(wanted, CRM_BILLING, other)] == [Need.PROMISE]
