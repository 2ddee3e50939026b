"""Evaluates every promise about once a second and writes the result into SQL.

Gathers the evidence (store, log); judging is `service_levels`, wording is `sentences`. Evidence that cannot
be had makes a sync *cannot tell*; if even that cannot be written, the console sees that the evaluation is old
(I9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from broker import telemetry, topics
from broker.access import KafkaAccess
from broker.agents.progress import LogProbe
from broker.agents.sentences import Names, explain
from broker.agents.service_levels import Assessment, Evidence, Measured, SlaTerms, Waiting, assess
from broker.agents.streams import Streams
from broker.clock import now_ms
from broker.store.engine import Engine, reading, writing
from broker.store.errors import StoreUnavailableError
from broker.store.ledger import input_positions, slot_standings
from broker.store.levels import SinkStanding, Window, sink_standings, windows_since
from broker.store.syncs import SyncRow, read_syncs, write_syncs
from ownership.map import OwnershipMap

EVALUATE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Promise:
    """One sync: what is promised, and what its parts are called."""

    object: str
    sla: SlaTerms
    names: Names
    only_source: bool
    """Whether every change that the sink applies comes from this source; else its latency is not this
    sync's.
    """


@dataclass(frozen=True, slots=True)
class _Store:
    """What SQL knows at one moment."""

    slots: list[int]
    inputs: Mapping[tuple[str, int], tuple[int, int]]
    sinks: list[SinkStanding]
    windows: Mapping[tuple[str, str], list[Window]]


def promises_of(ownership_map: OwnershipMap) -> list[Promise]:
    """Every SLA of the map as a promise."""
    found = []
    for name, entry in sorted(ownership_map.objects.items()):
        titles = {system: known.title or system for system, known in ownership_map.systems.items()}
        for sla in entry.slas:
            names = Names(
                name, titles.get(sla.source, sla.source), titles.get(sla.sink, sla.sink), entry.steward_team
            )
            only = entry.writers - {sla.sink} == {sla.source}
            found.append(Promise(name, sla, names, only))
    return found


class Evaluator:
    """Keeps the syncs in SQL true."""

    def __init__(self, engine: Engine, access: KafkaAccess, promises: Iterable[Promise]) -> None:
        self.evaluated_ms = 0
        self._engine = engine
        self._access = access
        self._promises = list(promises)
        self._probe: LogProbe | None = None
        self._streams = Streams(access)
        self._now: Mapping[str, str] = {}
        """Object to the stream in force, as of the last look."""
        self._contact_ms: int | None = None
        self._standing: dict[tuple[str, str, str], tuple[str, int]] | None = None

    async def run(self, every_s: float = EVALUATE_EVERY_S) -> None:
        """Evaluate until cancelled."""
        try:
            while True:
                try:
                    await self.evaluate_once()
                except StoreUnavailableError as error:
                    telemetry.log("evaluation.failed", level="warning", error=error.code)
                await asyncio.sleep(every_s)
        finally:
            await self._drop_probe()
            await self._streams.close()

    async def evaluate_once(self) -> list[SyncRow]:
        """One round. Raises StoreUnavailableError."""
        known = await asyncio.to_thread(self._from_store)
        waits = await self._from_log(known)
        rows = [
            self._row(promise, known, *waits.get(index, (None, None))) for index, promise in self._numbered()
        ]
        await asyncio.to_thread(self._write, rows)
        self.evaluated_ms = now_ms()
        return rows

    def _numbered(self) -> Iterable[tuple[int, Promise]]:
        return enumerate(self._promises)

    def _from_store(self) -> _Store:
        longest_ms = max((promise.sla.window_ms for promise in self._promises), default=0)
        with reading(self._engine) as connection:
            if self._standing is None:
                rows = read_syncs(connection)
                self._standing = {(r.object, r.source, r.sink): (r.state, r.since_ms) for r in rows}
            return _Store(
                slots=[slot.written_ms for slot in slot_standings(connection)],
                inputs=input_positions(connection),
                sinks=sink_standings(connection),
                windows=windows_since(connection, now_ms() - longest_ms - 60_000),
            )

    async def _from_log(self, known: _Store) -> dict[int, tuple[Waiting | None, Waiting | None]]:
        """What waits before and after the gate per promise; empty when Kafka does not answer."""
        try:
            probe = await self._connected(await self._streams.now())
            await probe.look()
            self._contact_ms = now_ms()
            return {index: await self._waiting(probe, promise, known) for index, promise in self._numbered()}
        except (KafkaError, OSError, TimeoutError) as error:
            telemetry.log("evaluation.failed", level="warning", error=type(error).__name__)
            await self._drop_probe()
            return {}

    async def _connected(self, streams: Mapping[str, str]) -> LogProbe:
        if streams != self._now:
            await self._drop_probe()
            self._now = streams
        if self._probe is None:
            names = {topics.authoritative(self._stream(promise)) for promise in self._promises}
            names |= {topics.changes(promise.sla.source, self._stream(promise)) for promise in self._promises}
            self._probe = LogProbe(self._access, sorted(names))
            await self._probe.start()  # a probe that could not start is dropped like any other
        return self._probe

    async def _drop_probe(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None:
            await probe.stop()

    def _stream(self, promise: Promise) -> str:
        return self._now.get(promise.object, promise.object)

    async def _waiting(
        self, probe: LogProbe, promise: Promise, known: _Store
    ) -> tuple[Waiting | None, Waiting | None]:
        ingress = topics.changes(promise.sla.source, self._stream(promise))
        judged = {part: offset for (topic, part), (offset, _) in known.inputs.items() if topic == ingress}
        applied = {sink.partition: sink.through_offset + 1 for sink in self._sinks(promise, known)}
        return (
            await probe.waiting("gate", ingress, judged),
            await probe.waiting(promise.sla.sink, topics.authoritative(self._stream(promise)), applied),
        )

    def _sinks(self, promise: Promise, known: _Store) -> list[SinkStanding]:
        """How far the promise's sink is. What it applied of an older generation says nothing of this one  # I9"""
        wanted = (self._stream(promise), promise.sla.sink)
        return [sink for sink in known.sinks if (sink.stream, sink.system) == wanted]

    def _row(
        self, promise: Promise, known: _Store, before_gate: Waiting | None, after_gate: Waiting | None
    ) -> SyncRow:
        sla, at_ms = promise.sla, now_ms()
        sinks = self._sinks(promise, known)
        last = max((sink for sink in sinks if sink.changed_ms), key=lambda s: s.changed_ms or 0, default=None)
        arrivals = [moved for (topic, _), (_, moved) in known.inputs.items() if _is_of(promise, topic)]
        evidence = Evidence(
            now_ms=at_ms,
            contact_ms=self._contact_ms,
            gate_seen_ms=min(known.slots, default=None),
            before_gate=before_gate,
            after_gate=after_gate,
            acknowledged_ms=max((sink.acknowledged_ms for sink in sinks), default=None),
            changed_ms=last.changed_ms if last else None,
            latency_ms=last.latency_ms if last and promise.only_source else None,
            arrived_ms=max(arrivals, default=None),
            windows=[
                Measured(w.minute_ms, w.applied, w.failed, w.hops)
                for w in known.windows.get((promise.object, sla.sink), [])
            ],
        )
        found = assess(sla, evidence)
        words = explain(promise.names, sla, evidence, found)
        key = (promise.object, sla.source, sla.sink)
        assert self._standing is not None
        before = self._standing.get(key)
        if before is None or before[0] != found.state:
            self._standing[key] = (found.state, at_ms)
            facts = {"object": promise.object, "source": sla.source, "sink": sla.sink}
            telemetry.log("evaluation.changed", state=found.state, cause=found.cause, **facts)
        return SyncRow(
            *key,
            state=found.state,
            since_ms=self._standing[key][1],
            evaluated_ms=at_ms,
            sentence=words.sentence,
            effect=words.effect,
            next_step=words.next_step,
            measures=_measures(promise, found),
        )

    def _write(self, rows: list[SyncRow]) -> None:
        with writing(self._engine) as connection:
            write_syncs(connection, rows)


def _is_of(promise: Promise, topic: str) -> bool:
    """Whether a topic is an ingress of a promise, of any generation: what arrived in an older one did arrive."""
    system, stream = topics.parse_changes(topic) or ("", "")
    return (system, topics.object_of(stream)) == (promise.sla.source, promise.object)


def _measures(promise: Promise, found: Assessment) -> dict[str, Any]:
    hops = {
        hop: {"p50_ms": s.quantile_ms(0.5), "p99_ms": s.quantile_ms(0.99), "count": s.count}
        for hop, s in found.hops.items()
    }
    return {
        "hops": hops,
        "promise_p99_ms": promise.sla.latency_p99_ms,
        "promise_max_ms": promise.sla.latency_max_ms,
        "window_ms": promise.sla.window_ms,
        "applied": found.applied,
        "failed": found.failed,
        "waiting": found.waiting,
        "source_title": promise.names.source,
        "sink_title": promise.names.sink,
    }
