"""What a sink may write: never its own fields, never backwards, never half of what it missed."""

from __future__ import annotations

import pytest

from connectors.sdk.deliveries import next_update, nothing_to_do
from connectors.sdk.errors import OutcomeMissing
from connectors.sdk.sink import Applied, Skipped, Update, exhaustive
from connectors.sdk.store import AppliedRevision
from schemas.authoritative import AuthoritativeEnvelope
from tests.connector_parts import FIELDS, update_of

OWNERS = (("crm", "seq:0:1", None), ("erp", "time:0:1", frozenset({"credit_limit"})))
CRM_OWN = {"customer_id", "name", "email", "phone"}


def envelope(
    revision: int, changed: str = "", *, reassert: str = "", deleted: bool = False, cause: str = "crm"
):
    system, _, fields = reassert.partition(":")
    return AuthoritativeEnvelope(
        object="customer",
        deleted=deleted,
        time_ms=1,
        causation=(cause, "seq:0:1"),
        revision=revision,
        changed=frozenset(changed.split()),
        owners=OWNERS,
        map_version=1,
        ingress_ms=2,
        reassert=(system, frozenset(fields.split())) if reassert else None,
    )


def step(system: str, before: Update | AppliedRevision | None, found: AuthoritativeEnvelope) -> Update | None:
    values = {} if found.deleted else dict.fromkeys(FIELDS)
    return next_update(found, values, system=system, key="a", decided_ms=3, before=before)


def at(revision: int, *, deleted: bool = False) -> AppliedRevision:
    return AppliedRevision(revision, deleted)


WRITES = [
    # system, before, what came, fields written
    ("erp", at(1), envelope(2, "name"), {"name"}),
    ("erp", at(1), envelope(2, "name credit_limit"), {"name"}),
    ("erp", at(1), envelope(2, "credit_limit"), set()),
    ("crm", at(1), envelope(2, "name credit_limit"), {"credit_limit"}),
    ("erp", None, envelope(7, "name"), CRM_OWN),
    ("crm", None, envelope(1, "name"), {"credit_limit"}),
    ("billing", None, envelope(1, "name"), set(FIELDS)),
    ("erp", at(1), envelope(3, "name"), CRM_OWN),
    ("erp", at(2, deleted=True), envelope(3, "name"), CRM_OWN),
    ("erp", at(1), envelope(2, reassert="erp:name phone"), {"name", "phone"}),
    ("erp", at(1), envelope(2, reassert="erp:credit_limit"), set()),
    ("crm", at(1), envelope(2, reassert="erp:name"), set()),
    ("erp", at(1), envelope(2, deleted=True), set()),
    # what was its own at the last revision and is another's now
    ("erp", AppliedRevision(1, deleted=False, own=frozenset({"name"})), envelope(2), {"name"}),
    ("erp", AppliedRevision(1, deleted=False, own=frozenset({"credit_limit"})), envelope(2), set()),
    # deliveries under other rights: an equal revision is news, and is written whole
    ("erp", AppliedRevision(2, deleted=False, generation="g1"), envelope(2), CRM_OWN),
    ("erp", AppliedRevision(1, deleted=False, generation="g1"), envelope(2), CRM_OWN),
]


def test_other_deliveries_take_nobody_back():
    before = AppliedRevision(3, deleted=False, generation="g1")
    assert step("erp", before, envelope(2, "name")) is None  # I4


@pytest.mark.parametrize(("system", "before", "found", "written"), WRITES)
def test_fields_written(
    system: str, before: AppliedRevision | None, found: AuthoritativeEnvelope, written: set[str]
):
    update = step(system, before, found)
    assert update is not None
    assert update.write == written
    assert not found.owned_by(system, update.write)  # I11


@pytest.mark.parametrize("revision", [3, 4])
def test_never_backwards(revision: int):
    assert step("erp", at(4), envelope(revision, "name")) is None  # I4


def test_several_revisions_of_a_key_become_one_with_all_their_fields():
    first = step("erp", at(1), envelope(2, "name"))
    second = step("erp", first, envelope(3, "email"))
    third = step("erp", second, envelope(4, reassert="crm:phone"))
    assert third is not None
    assert (third.revision, third.write, third.created) == (4, {"name", "email"}, False)


def test_an_end_and_a_new_life_in_one_batch_write_everything():
    ended = step("erp", at(1), envelope(2, deleted=True))
    assert ended is not None
    assert (ended.deleted, ended.write) == (True, frozenset())
    again = step("erp", ended, envelope(3, "name"))
    assert again is not None
    assert (again.deleted, again.write, again.created) == (False, CRM_OWN, True)


def test_an_update_that_became_a_delete_writes_nothing():
    changed = step("erp", at(1), envelope(2, "name"))
    ended = step("erp", changed, envelope(3, deleted=True))
    assert ended is not None
    assert ended.write == frozenset()


def test_what_the_adapter_need_not_see():
    own_end = step("crm", at(1), envelope(2, deleted=True, cause="crm"))
    others_end = step("erp", at(1), envelope(2, deleted=True, cause="crm"))
    own_field = step("erp", at(1), envelope(2, "credit_limit"))
    assert own_end is not None
    assert others_end is not None
    assert own_field is not None
    assert nothing_to_do(own_end, "crm") == "deleted here"
    assert nothing_to_do(others_end, "erp") is None
    assert nothing_to_do(own_field, "erp") == "nothing to write"


def test_a_missing_outcome_is_not_taken_for_done():
    updates = [update_of("a", 1), update_of("b", 1)]
    assert exhaustive(updates, [Applied(), Skipped("x")]) == [Applied(), Skipped("x")]
    for outcomes in ([Applied()], [Applied(), None], [Applied()] * 3):
        with pytest.raises(OutcomeMissing):
            exhaustive(updates, outcomes)  # type: ignore[arg-type] # an adapter written without types
