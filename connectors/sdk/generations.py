"""Generations of an object's topics, as names tell them: `authoritative.customer`, later `authoritative.customer.2`.

Kafka shows a system the topics that it may use. While an object gets other topics, with more partitions, there is a
time in which it may write none; then it may use the new ones, and no longer the old.
"""

from __future__ import annotations

from collections.abc import Iterable

_DELIVERIES_PARTS = 5
"""Of `deliveries.<system>.<object>.<generation of the object>.<what may be read>`."""


def newest(topic: str, visible: Iterable[str]) -> str | None:
    """The newest generation among visible topics of one that is named as the first is; None = there is none."""
    begin = f"{topic}."
    numbers = [
        int(end) for name in visible if name.startswith(begin) and (end := name[len(begin) :]).isdecimal()
    ]
    if numbers:
        return f"{begin}{max(numbers)}"
    return topic if topic in set(visible) else None


def generation_of(topic: str) -> int:
    """The generation of the object whose authoritative records or deliveries a topic holds."""
    parts = topic.split(".")
    if parts[0] == "deliveries":
        return int(parts[3]) if len(parts) == _DELIVERIES_PARTS else 1
    return int(parts[2]) if len(parts) > 2 else 1
