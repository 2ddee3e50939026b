"""How far each topic has been written into SQL: moved in the same transaction as the rows, hence exactly
once.

Nothing here talks to Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select, update

from broker.store.engine import upsert
from broker.store.errors import PositionMovedError
from broker.store.tables import gaps, positions

TopicPartition = tuple[str, int]


def read_positions(connection: Connection, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Next offset to read, for those partitions that were read before."""
    rows = connection.execute(select(positions).where(positions.c.topic.in_(list(topics))))
    return {(str(row.topic), int(row.partition)): int(row.next_offset) for row in rows}


def advance(connection: Connection, moves: Mapping[TopicPartition, tuple[int | None, int]]) -> None:
    """Move positions from what was read at the start to what follows (None = never read).

    Raises PositionMovedError when another process was here in between: its rows and ours must not both count.
    """
    for (topic, partition), (before, after) in moves.items():
        if before is None:
            row = {"topic": topic, "partition": partition, "next_offset": after}
            moved = upsert(connection, positions, [row], replace=False)
        else:
            moved = connection.execute(
                update(positions)
                .where(
                    positions.c.topic == topic,
                    positions.c.partition == partition,
                    positions.c.next_offset == before,
                )
                .values(next_offset=after)
            ).rowcount
        if moved != 1:
            msg = f"{topic}/{partition} is no longer at {before}"
            raise PositionMovedError(msg)


def record_gap(connection: Connection, topic: str, partition: int, start: int, end: int) -> None:
    """Say openly that the log no longer holds offsets that were never indexed."""
    row = {"topic": topic, "partition": partition, "from_offset": start, "to_offset": end}
    upsert(connection, gaps, [row])


def gap_count(connection: Connection) -> int:
    """How many stretches of the log were gone before they were indexed."""
    return len(connection.execute(select(gaps.c.topic)).all())
