"""Foreign topics as a source: read, mapped, and told under our own keys and versions.

What cannot be mapped is told as it is, so that the gate holds it with its bytes (I6); nothing is skipped.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import structlog

from connectors.adopt.avro_values import AvroReader
from connectors.adopt.errors import Unmapped
from connectors.adopt.formats import Foreign, KeyReader, Told, reader_of
from connectors.adopt.mapping import Mapper
from connectors.adopt.position import Standing, parse, text_of
from connectors.adopt.registry import Schemas
from connectors.adopt.settings import TopicMapping
from connectors.adopt.topics import Topics
from connectors.sdk.errors import ConfigInvalid
from connectors.sdk.source import ChangeEvent, ReadBatch

log = structlog.get_logger("connectors.adopt")

GONE_MAX = 100_000
"""Deleted records of which it is remembered that Kafka's own word for it is still to come."""
HELD_LENGTH_MAX = 512 * 1024
_TOLD_MAX = 100


class Adopted:
    """One object's topic: from its records to changes."""

    def __init__(self, name: str, mapping: TopicMapping, mapper: Mapper, avro: AvroReader) -> None:
        self._name = name
        self._mapper = mapper
        self._read = reader_of(mapping.format, avro.read)
        self._keys = KeyReader(avro.read if mapping.is_avro else None)
        self._gone: OrderedDict[bytes | None, None] = OrderedDict()
        self._said: set[str] = set()

    @property
    def spare(self) -> frozenset[str]:
        """Columns of the latest row that the mapping does not name."""
        return self._mapper.spare

    @property
    def missing(self) -> frozenset[str]:
        """Fields whose columns the latest row did not have."""
        return self._mapper.missing

    def change(self, record: Foreign, standing: Standing) -> ChangeEvent | None:
        """The change that a record tells; None where it tells none. What cannot be mapped is a change as well."""
        told: Told | None = None
        try:
            told = self._read(record)
            if told is None or self._known(record, told):
                return None
            mapped = self._mapper.mapped(told, self._keys.read(record.key))
        except Unmapped as error:
            return self._held(record, standing, str(error), error.key)
        except RecursionError:
            return self._held(record, standing, "values that are nested too deep", "")
        finally:
            standing.passed(record, told)
        self._tell_columns(standing.topic)
        if mapped is None:
            return None
        return ChangeEvent(
            self._name,
            mapped.key,
            standing.version(record, told),
            told.time_ms,
            mapped.values,
            rest=str(record.partition) if told.lsn is None else mapped.key,
            deletes=mapped.gone,
            fields=None if mapped.gone else mapped.fields,
            unavailable=mapped.unavailable,
        )

    def _known(self, record: Foreign, told: Told) -> bool:
        """Whether it is Kafka's word for a delete that was told before."""
        if told.tombstone:
            return self._gone.pop(record.key, self) is None
        if not told.gone:
            self._gone.pop(record.key, None)
            return False
        self._gone[record.key] = None
        if len(self._gone) > GONE_MAX:
            self._gone.popitem(last=False)
        return False

    def _held(self, record: Foreign, standing: Standing, why: str, key: str) -> ChangeEvent:
        """Under the record's key where that can be told, otherwise under its place in the topic."""
        self._say("adopt.unmapped", why, partition=record.partition, offset=record.offset)
        told = Told(None, max(record.time_ms, 0))
        return ChangeEvent(
            self._name,
            key or f"{record.topic}/{record.partition}/{record.offset}",
            standing.version(record, told),
            told.time_ms,
            {},
            rest=str(record.partition),
            original=_original(record, why),
        )

    def _tell_columns(self, topic: str) -> None:
        if self.spare:
            self._say("adopt.columns_not_mapped", ", ".join(sorted(self.spare))[:500], topic=topic)
        if self.missing:
            self._say("adopt.columns_missing", ", ".join(sorted(self.missing)), topic=topic)

    def _say(self, event: str, detail: str, **where: Any) -> None:
        """Once, with the first place where it is so."""
        if f"{event} {detail}" not in self._said and len(self._said) < _TOLD_MAX:
            self._said.add(f"{event} {detail}")
            log.warning(event, object=self._name, detail=detail, **where)


def _original(record: Foreign, why: str) -> bytes:
    """What came, as JSON; by reference where it is too large. It never begins as our wire format does."""
    found: dict[str, Any] = {
        "unmapped": why,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
    }
    for name, content in (("key", record.key), ("value", record.value)):
        if content is None:
            found[name] = None
        elif len(content) > HELD_LENGTH_MAX:
            found |= {f"{name}_bytes": len(content), f"{name}_sha256": hashlib.sha256(content).hexdigest()}
        else:
            try:
                found[name] = content.decode("utf-8")
            except UnicodeDecodeError:
                found[f"{name}_base64"] = base64.b64encode(content).decode()
    return json.dumps(found, ensure_ascii=False).encode()


class AdoptSource:
    """The source of one system whose changes are on topics already."""

    def __init__(
        self,
        mappings: Mapping[str, TopicMapping],
        adopted: Mapping[str, Adopted],
        options: Mapping[str, Any],
        records_max: int,
        nudge: asyncio.Event,
        schemas: Schemas | None = None,
    ) -> None:
        """schemas: of topics in Avro."""
        self._nudge = nudge
        self._schemas = schemas
        self._mappings = mappings
        self._adopted = adopted
        self._options = options
        self._records_max = records_max
        self._topics: Topics | None = None
        self._standings: dict[str, Standing] = {}
        self._objects = {mapping.topic: name for name, mapping in mappings.items()}

    async def open(self, position: str | None) -> None:
        await self.close()
        self._standings = standings_of(self._mappings, {} if position is None else parse(position))
        self._topics = Topics(self._options, self._standings, self._records_max)
        at_end = frozenset(mapping.topic for mapping in self._mappings.values() if mapping.start == "end")
        await self._topics.start(at_end)

    async def read(self) -> ReadBatch:
        assert self._topics is not None
        events, records = [], await self._topics.read()
        if self._schemas is not None:
            await self._schemas.learn(r for r in records if self._mappings[self._objects[r.topic]].is_avro)
        for record in records:
            name = self._objects[record.topic]
            event = self._adopted[name].change(record, self._standings[name])
            if event is not None:
                events.append(event)
        self._nudge.set()  # a read waits for records by itself; nobody has to wait once more
        return ReadBatch(events, text_of(self._standings))

    async def commit(self, position: str | None) -> None:
        """The topics keep what they have; where this adopter stands is in its store."""

    async def close(self) -> None:
        if self._topics is not None:
            await self._topics.close()
            self._topics = None
        if self._schemas is not None:
            await self._schemas.close()


def standings_of(mappings: Mapping[str, TopicMapping], stored: Mapping[str, Standing]) -> dict[str, Standing]:
    """Where every object stands. Raises ConfigInvalid for a mapping that was changed under its old number."""
    found = {}
    for name, mapping in mappings.items():
        standing = stored.get(name)
        if standing is None or (standing.topic, standing.incarnation) != (mapping.topic, mapping.incarnation):
            found[name] = Standing(
                mapping.topic, mapping.mapping, mapping.digest(), incarnation=mapping.incarnation
            )
            continue
        if mapping.mapping < standing.mapping or (
            mapping.mapping == standing.mapping and mapping.digest() != standing.digest
        ):
            msg = f"objects.{name}: the mapping is not the one that was number {standing.mapping}"
            raise ConfigInvalid(msg, f"Give it a higher number: `mapping: {standing.mapping + 1}`.")
        standing.mapping, standing.digest = mapping.mapping, mapping.digest()
        found[name] = standing
    return found
