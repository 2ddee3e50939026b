"""Acknowledged ranges: contiguous, complete, honest about hops across clocks."""

from __future__ import annotations

from connectors.sdk.acknowledgements import FAILURES_MAX, Range, Settled, hops_ms
from connectors.sdk.sink import Applied, Failed, Skipped
from schemas.hops import sketches_of
from schemas.registry import envelopes
from tests.connector_parts import update_of

UPDATE = update_of("a", 1)


def test_hops_add_up_also_when_a_clock_runs_behind():
    for applied_ms in (900, 2_000):
        hops = hops_ms(UPDATE, applied_ms)
        assert (
            hops["source_to_log"] + hops["log_to_decision"] + hops["decision_to_applied"]
            == hops["end_to_end"]
        )
    assert hops_ms(UPDATE, 900)["end_to_end"] == -100


def test_an_open_offset_holds_the_range_back():
    span = Range("customer", 3)
    for offset in (10, 12, 15, 16):
        span.saw(offset, b"k", 1_000 + offset)
    done = Settled(Applied(), 0, UPDATE, 1_100)
    span.settle(10, Settled(Skipped("overtaken"), 0, None, 1_100))
    span.settle(15, done)
    first = span.take("erp", 1_200)
    assert first is not None
    assert (first["from_offset"], first["through_offset"], first["skipped"], first["applied"]) == (
        10,
        10,
        1,
        0,
    )
    assert first["last_source_ms"] == 1_010
    assert first["hops"] == []
    assert span.take("erp", 1_200) is None
    span.settle(12, Settled(Applied(), 3, UPDATE, 1_150))
    second = span.take("erp", 1_300)
    assert second is not None
    assert (second["from_offset"], second["through_offset"], second["applied"], second["retries"]) == (
        12,
        15,
        2,
        3,
    )
    sketches = sketches_of(second["hops"])
    assert (sketches["end_to_end"].count, sketches["end_to_end"].sum_ms) == (2, 250)
    assert len(span) == 1
    registry = envelopes()
    assert registry.codec.decode(registry.codec.encode(registry.id_of("acknowledgement"), second)) == second


def test_failures_are_listed_and_none_is_left_out():
    span = Range("customer", 0)
    for offset in range(FAILURES_MAX + 5):
        span.saw(offset, b"k", 1)
        span.settle(offset, Settled(Failed("test.no", "no"), 5, UPDATE, 2))
    first, second = span.take("erp", 2), span.take("erp", 2)
    assert first is not None
    assert second is not None
    assert [len(found["failures"]) for found in (first, second)] == [FAILURES_MAX, 5]
    assert first["failures"][0] == {
        "key": b"k", "offset": 0, "revision": 1, "code": "test.no", "message": "no", "attempts": 6,
    }  # fmt: skip


def test_an_offset_of_a_partition_given_away_is_ignored():
    span = Range("customer", 0)
    span.settle(7, Settled(Applied(), 0, UPDATE, 2))
    assert span.take("erp", 2) is None
