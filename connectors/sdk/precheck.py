"""The second wall: a source looks at what it was told before it sends.

Of what is not its system's to send at all nothing leaves: Kafka would refuse it, again and again. What sets fields of
others is sent, for the gate decides, and people look at what it holds; that it will be stopped is said here at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog
from aiokafka.errors import KafkaError

from connectors.sdk.access import KafkaAccess
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.errors import ConnectorError
from connectors.sdk.source import ChangeEvent
from connectors.sdk.told import Told
from connectors.sdk.writing import Writing, writing_of
from schemas.errors import SchemaError

log = structlog.get_logger("connectors.sdk")
LOOK_EVERY_MS = 2_000
REMEMBERED_MAX = 1_000
"""So much of what was said is remembered, not to say it again under the same map."""
FOLLOWS = {
    "quarantine": "another value than the owner's is held for review",
    "reject": "another value than the owner's is refused",
    "propose": "another value than the owner's is put to the owner",
}
"""What a write to what is not one's own meets."""


class NotYours(ConnectorError):
    """The map lets this system send no changes of an object any more. The source waits there; nothing is lost."""

    code = "precheck.not_yours"
    remedy = (
        "List the system in the object's file of the map, or take the object out of the connector's file."
    )


class Precheck:
    """What one system may write; it learns of what changed while it is asked."""

    def __init__(self, access: KafkaAccess, system: str) -> None:
        self._told = Told(access, f"writings.{system}", "solesource.writing")
        self._system = system
        self._due_ms = 0
        self._said: set[tuple[object, ...]] = set()

    async def look(self) -> None:
        """Learn what was told since; without a word of the broker, or without Kafka, all stays as it was."""
        if ticks_ms() < self._due_ms:
            return
        self._due_ms = ticks_ms() + LOOK_EVERY_MS
        try:
            if await self._told.is_there():
                await self._told.listen()
        except (KafkaError, SchemaError) as error:
            await self._told.close()
            log.warning("precheck.not_told", system=self._system, fault=type(error).__name__)

    def writing(self, object_name: str) -> Writing | None:
        """What the system was told of an object. None = nothing yet. Raises NotYours when it was taken back."""
        if object_name not in self._told.said:
            return None
        said = self._told.said[object_name]
        if said is None:
            msg = f"{self._system} may not send changes of {object_name}"
            raise NotYours(msg)
        return writing_of(said)

    def examine(self, events: Sequence[ChangeEvent]) -> None:
        """Look at changes before they leave. Raises NotYours for one that is not this system's to send."""
        for name in sorted({event.object for event in events}):
            writing = self.writing(name)
            if writing is not None:
                self._foretell(writing, [event for event in events if event.object == name])

    def _foretell(self, writing: Writing, events: Iterable[ChangeEvent]) -> None:
        at_ms = now_ms()
        terms = writing.at(at_ms)
        kinds = {
            (event.deletes, event.fields): event for event in events
        }  # what is the same for many is asked once
        for (deletes, fields), event in kinds.items():
            if deletes:
                foreign = {} if writing.deletes(at_ms) else {"(end of the record)": terms.delete}
            else:
                # A full image names what others own as well; whether it changes that, the gate sees.
                foreign = writing.foreign(fields or (), at_ms)
            if foreign and self._is_news(writing, foreign):
                log.warning(
                    "precheck.not_own",
                    object=writing.object,
                    owners=foreign,
                    what_follows="it is only watched"
                    if terms.observed
                    else FOLLOWS.get(terms.on_violation, terms.on_violation),
                    map_version=writing.map_version,
                    event_id=event.event_id,
                )

    def _is_news(self, writing: Writing, foreign: Mapping[str, str]) -> bool:
        said = (writing.object, writing.map_version, *sorted(foreign))
        if said in self._said or len(self._said) >= REMEMBERED_MAX:
            return False
        self._said.add(said)
        return True

    async def close(self) -> None:
        """Let go of Kafka."""
        await self._told.close()
