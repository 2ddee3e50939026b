"""Equality of values, and looking back at replaced ones."""

from __future__ import annotations

from typing import Any

import pytest

from broker.gate.fields import Earlier, Standing, same, standing
from broker.gate.state import (
    RECENT_BUSY_MS,
    RECENT_BYTES,
    RECENT_MAX,
    RECENT_MS,
    RECENT_USUAL,
    Memory,
    Parked,
    Reasserted,
    RecordState,
    braked,
    lately,
    remembered,
)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1, True),
        (None, None, True),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        (None, "", False),
        ({"a": [1]}, {"a": [1]}, True),
    ],
)
def test_same(one: Any, other: Any, *, equal: bool) -> None:
    assert same(one, other) is equal


@pytest.mark.parametrize(
    ("event", "last", "found"),
    [
        ("x", "x", Standing.SAME),
        ("seq:0:1/a", "seq:0:1/b", Standing.CLASH),
        ("seq:0:1", "seq:0:2", Standing.OLDER),
        ("seq:0:2", "seq:0:1", Standing.NEWER),
        ("time:0:1/a", "time:0:1/b", Standing.NEWER),
        ("x", "y", Standing.NEWER),
        ("x", "seq:0:1", Standing.NEWER),
    ],
)
def test_standing(event: str, last: str, found: Standing) -> None:
    assert standing(event, last) is found


def test_a_replaced_value_is_decoded_once_and_only_when_needed() -> None:
    decoded: list[bytes] = []

    def decode(value: bytes) -> dict[str, bytes]:
        decoded.append(value)
        return {"name": value}

    earlier = Earlier((b"c", b"b", b"a"), decode)
    assert decoded == [] and next(iter(earlier)) == {"name": b"c"}
    assert decoded == [b"c"]
    assert (
        [record["name"] for record in earlier] == [record["name"] for record in earlier] == [b"c", b"b", b"a"]
    )
    assert decoded == [b"c", b"b", b"a"]


def test_what_is_remembered_is_bounded() -> None:
    recent: tuple[tuple[int, bytes], ...] = ()
    for number in range(RECENT_MAX + 5):
        recent = remembered(recent, b"%d" % number, number)
    assert len(recent) == RECENT_MAX and recent[0][1] == b"5"
    state = RecordState(recent=recent[3:], older=iter(recent[2::-1]))
    assert list(lately(state, RECENT_MS + 10)) == [*reversed(recent[-RECENT_USUAL:])]
    assert list(lately(state, RECENT_MS + 60)) == [*reversed(recent[-8:])], "an hour at most"
    assert len(list(lately(RecordState(recent=recent, older=((4, b"4"),)), 100))) == RECENT_MAX
    assert remembered(recent, b"new", RECENT_MS * 2) == ((RECENT_MS * 2, b"new"),)


def test_of_a_record_edited_in_quick_succession_more_counts_for_a_while() -> None:
    recent = tuple((1000 * number, b"%d" % number) for number in range(50))
    state = RecordState(recent=recent[30:], older=iter(recent[29::-1]))
    assert list(lately(state, 60_000)) == [*reversed(recent)], "an echo of 50 edits ago is one"
    looked_at = []
    older = (looked_at.append(entry) or entry for entry in recent[::-1])  # type: ignore[func-returns-value]
    known = list(lately(RecordState(older=older), RECENT_BUSY_MS + 40_000))  # type: ignore[arg-type]
    assert [value for _, value in known] == [b"%d" % number for number in range(49, 33, -1)]
    assert len(looked_at) == RECENT_USUAL + 1, "nobody looks further"
    known = list(lately(RecordState(recent=recent), RECENT_BUSY_MS + 30_000))
    assert [value for _, value in known] == [b"%d" % number for number in range(49, 30, -1)]


def test_of_large_values_fewer_count() -> None:
    large = b"x" * (RECENT_BYTES // 4)
    recent = tuple((number, large) for number in range(9))
    assert len(list(lately(RecordState(recent=recent), 100))) == 4
    whole = ((1, b"small"), (2, large * 8))
    assert list(lately(RecordState(recent=whole), 100)) == [(2, large * 8)], "the newest in any case"


def test_the_longest_pause_is_an_hour() -> None:
    brake = Reasserted(system="erp", field="name", count=1000, last_ms=0, pending=False)
    assert brake.due_ms == 3_600_000


def test_versions_of_a_field() -> None:
    state = RecordState(owners=(("crm", "a", None), ("erp", "b", frozenset({"limit"}))))
    assert state.version_of("crm", "name") == "a" and state.version_of("erp", "limit") == "b"
    assert state.version_of("erp", "name") is None and state.version_of("crm", "limit") is None
    assert RecordState().version_of("crm", "name") is None


def test_parked_is_a_value() -> None:
    facts = {"topic": "t", "partition": 0, "offset": 1, "received_ms": 1, "source_time_ms": 1, "value": b""}
    one = Parked(system="erp", event_id="x", fields=None, **facts)
    assert one == Parked(system="erp", event_id="x", fields=None, **facts)


def test_what_was_said_in_an_earlier_term_is_found_by_system_and_field() -> None:
    former = (
        ("crm", "a", frozenset({"name"})),
        ("crm", "b", frozenset({"email"})),
        ("erp", "c", frozenset({"name"})),
    )
    state = RecordState(memory=Memory(former=former))
    found = [state.former_version_of(*who) for who in (("crm", "name"), ("crm", "email"), ("erp", "name"))]
    assert found == ["a", "b", "c"]
    assert state.former_version_of("erp", "email") is None and state.former_version_of("zoo", "name") is None
    assert RecordState(memory=Memory(former=(("crm", "a", None),))).former_version_of("crm", "name") is None


def test_a_value_is_remembered_for_less_than_an_hour() -> None:
    old, young = (1_000, b"old"), (1_001, b"young")
    now = 1_000 + RECENT_MS
    assert remembered((old, young), b"new", now) == (young, (now, b"new"))
    assert remembered((old, young), b"new", now - 1) == (old, young, (now - 1, b"new"))
    assert list(lately(RecordState(recent=(old, young)), now)) == [young]


def test_brakes_stand_in_order_and_end_after_two_quiet_hours() -> None:
    names = [f"field{n}" for n in range(9)]
    memory, allowed = braked(Memory(), "erp", frozenset(names), 0)
    assert [r.field for r in memory.reassertions] == names and allowed == set(names)
    assert {(r.system, r.count, r.last_ms, r.pending) for r in memory.reassertions} == {("erp", 1, 0, False)}
    two_hours = 2 * 3_600_000
    for wait_ms, count in ((1_999, 1), (2_000, 2), (two_hours, 2), (two_hours + 1, 1)):
        after, allowed = braked(memory, "erp", frozenset({"field3"}), wait_ms)
        brake = after.reassertions[3]
        assert (brake.field, brake.count, bool(allowed)) == ("field3", count, wait_ms >= 2_000), wait_ms
        assert brake.pending is (wait_ms < 2_000) and brake.last_ms == (wait_ms if allowed else 0)


def test_the_pause_doubles() -> None:
    pauses = [
        Reasserted(system="erp", field="f", count=n, last_ms=5, pending=False).due_ms - 5
        for n in range(1, 13)
    ]
    assert pauses == [*(2_000 * 2**n for n in range(11)), 3_600_000]


def test_time_alone_changes_something_where_anything_is_owed() -> None:
    paid = Reasserted(system="erp", field="name", count=1, last_ms=0, pending=False)
    owed = Reasserted(system="erp", field="email", count=1, last_ms=0, pending=True)
    assert Memory(reassertions=(paid, owed)).waits
    assert not Memory(reassertions=(paid,)).waits and not Memory().waits
