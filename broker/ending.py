"""Ends tasks, and asks again those that did not hear it.

Cancelling is heard once, by whoever awaits at that moment. Kafka's client swallows it while it closes a connection:
aiokafka 0.14's `AIOKafkaClient.close` and `Fetcher.close` suppress every CancelledError there, not only that of their
own task. What does that in the middle of its work then works on for ever, and who waits for it waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 2.0
"""More than closing takes where Kafka answers: what cleans up is not disturbed in it."""


async def ended(tasks: Iterable[asyncio.Task[Any]], *, again_s: float = AGAIN_S) -> None:
    """Cancel tasks, again every `again_s`, until each has ended. What they raise stays theirs."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=again_s)
        for task in done:
            task.cancelled() or task.exception()  # or asyncio complains that nobody asked
