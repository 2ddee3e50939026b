"""The order in which a batch is judged: by append time, then topic, partition, offset.

Pure. Within a partition the offset alone rules, even where the broker's clock stepped back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

BATCH_RECORDS_MAX = 3000
BATCH_BYTES_MAX = 4 * 1024 * 1024


def in_order(partitions: Iterable[Sequence[Any]]) -> list[Any]:
    """The records of several partitions in the order of judging."""
    return [
        record
        for _, record in heapq.merge(*(_keyed(records) for records in partitions), key=lambda pair: pair[0])
    ]


def _keyed(records: Sequence[Any]) -> Iterator[tuple[tuple[int, str, int, int], Any]]:
    latest = 0
    for record in records:
        latest = max(latest, record.timestamp)
        yield (latest, record.topic, record.partition, record.offset), record


def batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut into batches of at most 3,000 records and 4 MiB; a larger single record makes a batch of its own."""
    start, size = 0, 0
    for index, record in enumerate(records):
        length = len(record.value or b"") + len(record.key or b"") + 256
        if index > start and (size + length > BATCH_BYTES_MAX or index - start >= BATCH_RECORDS_MAX):
            yield records[start:index]
            start, size = index, 0
        size += length
    if start < len(records):
        yield records[start:]
