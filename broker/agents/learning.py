"""Learns by which schemas systems write: asks the company's registry about what is held as an unknown schema.

Beside the lane: the gate holds what it cannot read and goes on; who waits for a registry that is away or slow is this
task alone. What the contract in force can read comes into the next map version, and what was held is judged again, in
its order. What it cannot read stays held, and the log says why.
"""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaError

from broker import telemetry
from broker.access import KafkaAccess
from broker.agents.orders import send_everywhere
from broker.agents.redrives import Order, orders_of
from broker.agents.sender import KafkaSender
from broker.clock import now_ms
from broker.commands import command_value
from broker.gate.commands import KEEP
from broker.gate.connections import RESUME
from broker.gate.reason import Reason
from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import newest_map, publish_map
from broker.rules import Rules, rules_of
from broker.store.cases import Case, CaseFilter, list_cases, of_each_detail
from broker.store.engine import Engine, reading
from broker.store.errors import StoreUnavailableError
from broker.store.trail import attempts_of
from schemas.codec import guid_text, named_schema
from schemas.errors import SchemaError
from schemas.learned import LEARNED, LEARNED_MAX, Learned, learned_from, read_learned, written
from schemas.registry import FileRegistry
from schemas.remote import RegistryAway, RemoteRegistry, SchemaName

LEARN_EVERY_S = 2.0
AGAIN_MS, TRIES_MAX = 10_000, 2
"""A held write is not judged again within so long, and by itself so often: after that it is a person's."""
ASKED_MAX, REDRIVEN_MAX = 200, 5_000
"""In one look."""
BY = "control"
NOTE = "Its schema is known since."
INTERRUPTIONS = (KafkaError, KafkaRefused, StoreUnavailableError, SchemaError, OSError, TimeoutError)
"""What comes and goes by itself, or with another map: somebody may publish one meanwhile."""


class Learner:
    """One registry, asked about what is held."""

    def __init__(self, engine: Engine, access: KafkaAccess, registry: RemoteRegistry) -> None:
        self._engine = engine
        self._access = access
        self._registry = registry
        self._sender = KafkaSender(access)
        self._rules: Rules | None = None
        """Of the newest map, compiled once: an id that stays unknown is looked at for as long as its case is open."""
        self._refused: dict[tuple[str, SchemaName], int] = {}
        """(object, schema) that the contract in force could not read, to the map version of then."""
        self._sent_ms: dict[str, int] = {}
        """Case to when something was sent about it."""

    async def run(self) -> None:
        """Look until cancelled."""
        told = ""
        try:
            while True:
                said = ""
                try:
                    await self.look()
                except INTERRUPTIONS as error:
                    said = f"{type(error).__name__}: {error}"[:300]
                if said and said != told:
                    telemetry.log("registry.not_asked", level="warning", error=said)
                told = said
                await asyncio.sleep(LEARN_EVERY_S)
        finally:
            await self._sender.close()
            await self._registry.close()

    async def look(self) -> None:
        """Ask about what is held now, learn what can be, and have judged again what can be read since.

        Raises what `INTERRUPTIONS` lists.
        """
        self._sent_ms = {case: ms for case, ms in self._sent_ms.items() if now_ms() - ms < AGAIN_MS}
        samples = await asyncio.to_thread(self._samples)
        if not samples:
            return
        newest = await asyncio.to_thread(newest_map, self._access)
        if self._rules is None or self._rules.ownership_map.version != newest.version:
            self._rules = rules_of(newest.documents, newest.version)
        rules, known = self._rules, read_learned(newest.documents, LEARNED)
        unknown = []
        for case in samples:
            if _readable(rules, case):
                await self._judge_again(case)
            else:
                unknown.append(case)
        new, away = await self._asked(unknown, rules, dict(newest.documents), known)
        if new:
            documents = {**newest.documents, LEARNED: written([*known, *new])}
            version = await asyncio.to_thread(publish_map, self._access, documents, BY)
            ids = ", ".join(str(one.schema_id) for one in new)
            telemetry.log("registry.schemas_learned", ids=ids, map_version=version)
        if away is not None:
            raise away

    def _samples(self) -> list[Case]:
        with reading(self._engine) as connection:
            return of_each_detail(connection, Reason.UNKNOWN_SCHEMA.code, ASKED_MAX)

    async def _asked(
        self, samples: list[Case], rules: Rules, documents: dict[str, str], known: list[Learned]
    ) -> tuple[list[Learned], RegistryAway | None]:
        """What can be learned, and why no more was asked for. `documents`, `known`: the map in force."""
        found: list[Learned] = []
        for case in samples:
            name, reader = named_schema(case.headers.items(), case.value), rules.readers.get(case.object)
            if name is None or reader is None or len(known) + len(found) >= LEARNED_MAX:
                continue
            if self._refused.get((case.object, name)) == rules.ownership_map.version:
                continue
            try:
                said = await self._registry.schema(name)
                if said is None:
                    continue
                learned = learned_from(case.object, reader.contract, said.schema_id, said.document, said.guid)
                text = written([*known, *found, learned])
                FileRegistry(documents={**documents, LEARNED: text}, own=False)  # its id may be taken
            except RegistryAway as away:
                return found, away
            except SchemaError as error:
                self._refuse(case.object, name, rules.ownership_map.version, error)
            else:
                found.append(learned)
        return found, None

    def _refuse(self, object_name: str, name: SchemaName, version: int, error: SchemaError) -> None:
        self._refused[object_name, name] = version
        schema = name if isinstance(name, int) else guid_text(name)
        telemetry.log(
            "registry.schema_refused", level="warning", object=object_name, schema=schema, why=str(error)
        )

    async def _judge_again(self, sample: Case) -> None:
        """Everything that is held like the sample, oldest first; then the system goes on, if it was paused for it."""
        orders, paused = await asyncio.to_thread(self._orders, sample)
        for case_id, order in orders:
            await self._sender.send(*order)
            self._sent_ms[case_id] = now_ms()
        if not orders or not paused:
            return
        issued_ms = now_ms()
        await send_everywhere(
            self._access,
            [sample.object],
            lambda name, place: command_value(
                RESUME,
                command_id=f"{RESUME}/{sample.system}/{name}/{place}/{issued_ms}",
                by=BY,
                note=NOTE,
                system=sample.system,
                issued_ms=issued_ms,
            ),
        )
        for case in paused:
            value = command_value(
                KEEP,
                command_id=f"{KEEP}/{case.case_id}",
                by=BY,
                note=NOTE,
                case_id=case.case_id,
                system=case.system,
                issued_ms=issued_ms,
            )
            await self._sender.send(case.object, case.key, value)
            self._sent_ms[case.case_id] = issued_ms

    def _orders(self, sample: Case) -> tuple[list[tuple[str, Order]], list[Case]]:
        """(case, order) of what is held like the sample, and the cases that say that its system was paused."""
        alike = CaseFilter(reason=sample.reason, object=sample.object, detail=sample.detail)
        rose = CaseFilter(reason=Reason.HOLDS_ROSE.code, object=sample.object, system=sample.system)
        with reading(self._engine) as connection:
            held = [
                case
                for case in list_cases(connection, alike, limit=REDRIVEN_MAX)
                if case.case_id not in self._sent_ms
            ]
            tried = {case.case_id: attempts_of(connection, case.case_id) for case in held}
            paused = [case for case in list_cases(connection, rose) if case.case_id not in self._sent_ms]
        able = sorted(
            (case for case in held if tried[case.case_id] < TRIES_MAX),
            key=lambda case: (case.received_ms, *case.place),
        )
        orders = [
            (case.case_id, order)
            for case in able
            for order in orders_of([case], tried, by=BY, note=NOTE, issued_ms=now_ms())
        ]
        return orders, paused


def _readable(rules: Rules, case: Case) -> bool:
    """Whether the schema of a held write is known by now."""
    name, reader = named_schema(case.headers.items(), case.value), rules.readers.get(case.object)
    if name is None or reader is None:
        return False
    return reader.codec.id_of(name) in reader.schema_ids
