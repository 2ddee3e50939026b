"""Whether a key is where it belongs: most clients' default partitioner is not Java's. Pure."""

from __future__ import annotations

from broker.gate.change import Change, Fault
from broker.gate.reason import Reason
from schemas.keys import partition_of


def placed(change: Change, partitions: int | None) -> Change:
    """The change, at fault if its key belongs to another partition. Asked where nothing is known of the record yet."""
    place = change.position
    if is_placed(change.key, place.partition, partitions):
        return change
    assert partitions is not None
    detail = (
        f"partition {place.partition} of {partitions}, murmur2 says {partition_of(change.key, partitions)}"
    )
    return change._replace(values=None, fault=Fault(Reason.MISROUTED_KEY, detail))


def is_placed(key: bytes, partition: int, partitions: int | None) -> bool:
    """Whether a key belongs to a partition; where it is not known how many there are, every place is right."""
    return partitions is None or partition_of(key, partitions) == partition
