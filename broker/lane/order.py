"""The order in which a batch is judged: by append time, then topic, partition, offset.

Pure. Within a partition the offset alone rules, even where the broker's clock stepped back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

BATCH_RECORDS_MAX = 3000
BATCH_BYTES_MAX = 4 * 1024 * 1024
DECIDING_S_MAX = 0.2
"""So long a batch may be decided; whoever waits behind it waits so long."""
BATCH_RECORDS_MIN = 50


def records_max(s_per_record: float) -> int:
    """Records of a batch, by what deciding one of them took lately."""
    if s_per_record * BATCH_RECORDS_MAX <= DECIDING_S_MAX:
        return BATCH_RECORDS_MAX
    return max(BATCH_RECORDS_MIN, int(DECIDING_S_MAX / s_per_record))


def in_order(partitions: Iterable[Sequence[Any]]) -> Sequence[Any]:
    """The records of several partitions in the order of judging."""
    fetched = [records for records in partitions if records]
    if len(fetched) == 1:
        return fetched[0]
    fetched.sort(key=lambda records: (records[0].topic, records[0].partition))
    latest: list[int] = []
    for records in fetched:
        latest += accumulate([record.timestamp for record in records], max)
    together = list(chain.from_iterable(fetched))
    # Sorting keeps what is equal as it stands: by topic, partition and offset.
    return [together[place] for place in sorted(range(len(together)), key=latest.__getitem__)]


def batches(records: Sequence[Any], most: int = BATCH_RECORDS_MAX) -> Iterator[Sequence[Any]]:
    """Cut into batches of at most `most` records and 4 MiB; a larger single record makes a batch of its own."""
    least = sum([len(record.value or b"") + len(record.key or b"") for record in records])
    if records and len(records) <= most and least + 256 * len(records) <= BATCH_BYTES_MAX:
        yield records  # nearly always
        return
    start, size = 0, 0
    for index, record in enumerate(records):
        length = len(record.value or b"") + len(record.key or b"") + 256
        if index > start and (size + length > BATCH_BYTES_MAX or index - start >= most):
            yield records[start:index]
            start, size = index, 0
        size += length
    if start < len(records):
        yield records[start:]
