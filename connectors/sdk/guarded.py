"""One sink, used by two loops: one call at a time, opened when needed, closed and opened again after a loss.

No retries and no pauses here: the loops own those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.sdk.errors import ConnectionLost, ConnectorError
from connectors.sdk.feedback import Proposal, Refusal
from connectors.sdk.sink import Outcome, ReceivesProposals, ReceivesRefusals, Sink, Update, exhaustive

Answer = TypeVar("Answer")


class GuardedSink:
    """The sink of one system."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._open = False
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """One outcome per update. Raises ConnectionLost, OutcomeMissing or another ConnectorError."""
        return exhaustive(updates, await self._call(lambda: self._sink.apply(updates)))

    async def receive(self, message: Refusal | Proposal) -> bool:
        """Give a message to the adapter; False when it takes none of this kind. Raises ConnectorError."""
        sink = self._sink
        if isinstance(message, Refusal):
            if not isinstance(sink, ReceivesRefusals):
                return False
            await self._call(lambda: sink.receive_refusal(message))
        else:
            if not isinstance(sink, ReceivesProposals):
                return False
            await self._call(lambda: sink.receive_proposal(message))
        return True

    async def _call(self, action: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._one_at_a_time:
            if not self._open:
                await self._make_ready()
            try:
                return await action()
            except ConnectionLost:
                self._open = False
                await self._sink.close()
                raise

    async def _make_ready(self) -> None:
        try:
            await self._sink.open()
        except ConnectorError as error:
            await self._sink.close()
            # A system that cannot be made ready takes nothing: updates wait for it as if it were away.
            raise ConnectionLost(error.detail, error.remedy, code=error.code) from error
        self._open = True

    async def close(self) -> None:
        async with self._one_at_a_time:
            self._open = False
            await self._sink.close()
