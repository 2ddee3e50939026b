"""The order of judging: append time across partitions, offsets within one; and batches of a bounded size."""

from __future__ import annotations

from broker.lane.order import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, batches, in_order
from tests.gate_parts import Record


def record(topic: str, offset: int, timestamp: int = 0, value: bytes | None = b"") -> Record:
    return Record(topic, 0, offset, timestamp, None, value, ())


def test_append_time_then_topic_and_offset() -> None:
    crm = [record("crm", 0, 1), record("crm", 1, 3), record("crm", 2, 3)]
    erp = [record("erp", 0, 2), record("erp", 1, 3)]
    ordered = [(r.topic, r.offset) for r in in_order([erp, crm])]
    assert ordered == [("crm", 0), ("erp", 0), ("crm", 1), ("crm", 2), ("erp", 1)]


def test_within_a_partition_the_offset_rules_although_the_clock_stepped_back() -> None:
    crm = [record("crm", 0, 9), record("crm", 1, 2)]
    erp = [record("erp", 0, 5)]
    assert [(r.topic, r.offset) for r in in_order([crm, erp])] == [("erp", 0), ("crm", 0), ("crm", 1)]


def test_batches_are_bounded() -> None:
    small = [record("crm", n) for n in range(BATCH_RECORDS_MAX + 1)]
    assert [len(batch) for batch in batches(small)] == [BATCH_RECORDS_MAX, 1]
    large = [record("crm", n, value=b"x" * (BATCH_BYTES_MAX // 2)) for n in range(3)]
    assert [len(batch) for batch in batches(large)] == [1, 1, 1]
    assert [len(b) for b in batches([record("crm", 0, value=b"x" * (2 * BATCH_BYTES_MAX))])] == [1]
    assert list(batches([])) == [] and [len(b) for b in batches([record("crm", 0, value=None)])] == [1]
