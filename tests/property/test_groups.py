"""Owners in bits are the owners that the long way names, whatever was written before, and by whom."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.gate.fields import Standing, standing
from broker.gate.groups import Ownership, is_first_count, owners_after, ownership_in_bits
from broker.gate.state import Memory, Owners, RecordState
from broker.gate.terms import under
from broker.rules import rules_of
from ownership.map import ObjectMap
from tests.gate_parts import FIELDS, FLAT, SYSTEMS, map_texts, object_document

owned = st.dictionaries(st.sampled_from(FIELDS[1:]), st.sampled_from(SYSTEMS), max_size=4)
some = st.frozensets(st.sampled_from(FIELDS), min_size=1)
events = st.builds("seq:0:{:02d}".format, st.integers(1, 30)) | st.sampled_from(["time:0:1", "any:0:x", "p"])
writes = st.lists(st.tuples(st.sampled_from(SYSTEMS), some, events), min_size=1, max_size=12)


def entry_of(owners: dict[str, str], of_record: str = "crm") -> ObjectMap:
    fields = {name: {"system_of_record": system} for name, system in owners.items()}
    document = object_document(fields=fields, system_of_record=of_record)
    return rules_of(map_texts(document, [FLAT]), 1).ownership_map.objects["customer"]


def bits(names: frozenset[str]) -> int:
    return sum(1 << FIELDS.index(name) for name in names)


def in_bits(entry: ObjectMap) -> Ownership:
    return ownership_in_bits(entry.fields, entry.owners, entry.system_of_record)


def news(entry: ObjectMap, state: RecordState, system: str, written: frozenset[str], event: str) -> bool:
    """Whether the event is newer for each field written, and was not the last one of any other field."""
    last = {name: state.version_of(system, name) for name in entry.fields if entry.owner_of(name) == system}
    if any(event == last[name] for name in last.keys() - written):
        return False
    return is_first_count(event) and all(
        standing(event, last[name] or "") is Standing.NEWER for name in written
    )


def own_of(entry: ObjectMap, system: str, names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if entry.owner_of(name) == system)


@given(owned, st.sampled_from(SYSTEMS), writes)
def test_owners_in_bits_are_those_of_the_long_way(
    owners: dict[str, str], of_record: str, written: list[tuple[str, frozenset[str], str]]
) -> None:
    entry = entry_of(owners, of_record)
    today, state = in_bits(entry), under(entry, RecordState(revision=1))
    for system, names, event in written:
        own = own_of(entry, system, names)
        if not own:
            continue
        found = owners_after(today, state.owners, (), system, event, bits(own))
        after = under(entry, state, (system, event), own)
        assert (found is not None) == news(entry, state, system, own, event)
        assert found in (None, (after.owners, ()))
        state = after


@given(owned, owned, st.sampled_from(SYSTEMS), writes, st.data())
def test_whose_the_fields_were_before_is_remembered_as_by_the_long_way(
    before: dict[str, str],
    after: dict[str, str],
    of_record: str,
    written: list[tuple[str, frozenset[str], str]],
    draw: Any,
) -> None:
    """Of a record that was last written under other terms."""
    was, entry = entry_of(before), entry_of(after, of_record)
    state = under(was, RecordState(revision=1))
    for system, names, event in written:
        state = under(was, state, (system, event), own_of(was, system, names))
    system = draw.draw(st.sampled_from(sorted(set(entry.owners.values()))))
    own = own_of(entry, system, draw.draw(some))
    if not own:
        return
    found = owners_after(in_bits(entry), state.owners, (), system, "seq:0:99", bits(own))
    wanted = under(entry, state, (system, "seq:0:99"), own)
    assert (found is not None) == news(entry, state, system, own, "seq:0:99")
    assert found in (None, (wanted.owners, wanted.memory.former))
    if not found or not found[1]:
        return
    again = owners_after(in_bits(was), *found, "crm", "seq:0:98", bits(own_of(was, "crm", frozenset(FIELDS))))
    assert again is None, "what was said in an earlier term is the long way's"


def test_a_field_that_no_contract_has_any_more_is_the_long_ways() -> None:
    today = in_bits(entry_of({"credit_limit": "erp"}))
    owners: Owners = (("crm", "seq:0:01", None), ("erp", "seq:0:01", frozenset({"credit_limit", "gone"})))
    assert owners_after(today, owners, (), "crm", "seq:0:02", 2) is None
    limit = ("erp", "", frozenset({"credit_limit"}))
    twice: Owners = (("crm", "seq:0:01", None), ("crm", "seq:0:00", None), limit)
    assert owners_after(today, twice, (), "crm", "seq:0:02", 2) is None
    assert owners_after(today, (), (), "crm", "seq:0:02", 2) is None


def test_nobody_is_heard_again_who_may_have_said_it_before() -> None:
    entry = entry_of({"credit_limit": "erp"})
    state = under(entry, RecordState(revision=1, memory=Memory()))
    limit = frozenset({"credit_limit"})
    for former, found in (((), True), ((("erp", "seq:0:09", limit),), False)):
        given_ = owners_after(in_bits(entry), state.owners, former, "erp", "seq:0:01", 16)
        assert (given_ is not None) is found


def test_who_has_set_all_of_its_fields_at_once_is_known_at_a_glance() -> None:
    two = ownership_in_bits(("a", "b", "c"), {"a": "shop", "b": "crm", "c": "billing"}, "crm")
    assert two.whole == (("crm", None), ("billing", frozenset("c")), ("shop", frozenset("a")))
    assert (two.owned, two.every) == ({"shop": 1, "crm": 2, "billing": 4}, 7)
    none_of_record = ownership_in_bits(("a", "b"), {"a": "shop", "b": "shop"}, "crm")
    assert none_of_record.whole == (("shop", None),)


def test_what_is_gone_is_so_from_the_first_field_on() -> None:
    today = ownership_in_bits(("a", "b"), {"a": "crm", "b": "crm"}, "crm")
    owners: Owners = (("crm", "seq:0:01", None), ("erp", "seq:0:07", frozenset("a")))
    after = (("crm", "seq:0:02", None),)
    assert owners_after(today, owners, (), "crm", "seq:0:02", 3) == (
        after,
        (("erp", "seq:0:07", frozenset("a")),),
    )


def test_where_every_group_is_named_nothing_is_left_over() -> None:
    today = ownership_in_bits(("a", "b"), {"a": "crm", "b": "crm"}, "crm")
    named: Owners = (("crm", "seq:0:01", frozenset("ab")),)
    after = (("crm", "seq:0:02", None), ("crm", "seq:0:01", frozenset("b")))
    assert owners_after(today, named, (), "crm", "seq:0:02", 1) == (after, ())
    assert owners_after(today, (("crm", "seq:0:01", frozenset("a")),), (), "crm", "seq:0:02", 1) is None
