"""A backfill among live changes, kills and a slow source, in every order: the real loop and the real gate's rules.

The database, its log and the slot are a model here (a real one: tests/integration/test_backfill.py); whatever the
loop does is a moment at which anything else may happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.rules import Rules, rules_of
from connectors.postgres.backfill import version_of_reading
from connectors.postgres.lsn import version_at
from connectors.sdk.access import KafkaAccess
from connectors.sdk.backfill import Chunk, KeyRange
from connectors.sdk.backfill_loop import BackfillRun, Order
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.precheck import Precheck
from connectors.sdk.publish import Outgoing, change_record
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from connectors.sdk.wiring import Wiring
from tests.connector_parts import MAP_FOLDER, REGISTRY
from tests.estate import map_documents
from tests.gate_parts import Bench
from tests.histories import FEWER

KEYS = ("C-1", "C-2", "C-3")
PAGE = 2
CONTRACT = REGISTRY.contract("customer")
FIELDS = frozenset({"customer_id", "name", "email"})
Row = tuple[str, str]


@cache
def rules() -> Rules:
    return rules_of(map_documents(), 1)


class Killed(BaseException):
    """The backfill's process is gone."""


@dataclass
class World:
    """A database with a log and a slot, the source that reads it, and the gate behind one partition."""

    draw: Any
    partial: bool
    """The log names only what an update set."""
    gate: Bench = field(default_factory=lambda: Bench(rules=rules()))
    rows: dict[str, Row] = field(default_factory=dict)
    log: list[tuple[int, ChangeEvent]] = field(default_factory=list)
    """(end of the commit, its event)."""
    lsn: int = 0x1000
    confirmed: int = 0x1000
    published: int = 0
    edits: int = 0
    kills: int = 0
    names: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    # -- what happens beside the backfill

    def edit(self, *, told: bool = True) -> None:
        """One commit. `told` = False: it never reaches the log that the source reads."""
        key, self.edits = self.draw(st.sampled_from(KEYS)), self.edits + 1
        before, number = self.rows.get(key), f"{self.edits}"
        kind = self.draw(st.sampled_from(("name", "email", "both", "delete")))
        if before is None:
            after: Row | None = (number, number)
        else:
            after = {
                "name": (number, before[1]),
                "email": (before[0], number),
                "both": (number, number),
                "delete": None,
            }[kind]
        set_ = FIELDS if before is None or not self.partial else frozenset({kind})
        set_ = frozenset({"name", "email"}) if set_ == {"both"} else set_
        event = self._event(key, after, version_at(self.lsn, 1), set_)
        self.lsn += 32
        self.rows = {k: r for k, r in {**self.rows, key: after}.items() if r is not None}
        if told:
            self.log.append((self.lsn, event))
        else:
            self.confirmed = self.lsn

    def publish(self) -> None:
        if self.published < len(self.log):
            self.to_gate(change_record(self.log[self.published][1], "crm", CONTRACT, REGISTRY.codec))
            self.published += 1

    def confirm(self) -> None:
        """The slot follows what is on Kafka; with nothing left, to the end of the log."""
        done = self.published == len(self.log)
        ends = [end for end, _ in self.log[: self.published]]
        self.confirmed = max(self.confirmed, self.lsn if done else max(ends, default=0))

    def moment(self) -> None:
        """Anything may happen now."""
        acts = (self.edit, self.edit, self.publish, self.confirm)
        for act in self.draw(st.lists(st.sampled_from(acts), max_size=4)):
            act()
        if self.kills and self.draw(st.integers(0, 9)) == 0:
            self.kills -= 1
            raise Killed

    def to_gate(self, record: Outgoing) -> None:
        key = record.key.decode()
        place = ("changes.crm.customer", record.key, record.value, tuple(record.headers), None)
        seen = self.gate.see(self.gate._place(*place))
        if seen.outcome in ("quarantined", "unreadable", "refused"):
            self.held.add(seen.reason)
        values = self.gate.values(record.key)
        if values is None:
            self.names.pop(key, None)
        elif int(values["name"]) < self.names.get(key, -1):
            self.faults.append(f"{key}: {values['name']} after {self.names[key]}")
        else:
            self.names[key] = int(values["name"])

    def _event(
        self, key: str, row: Row | None, version: Any, fields: frozenset[str], rest: str = ""
    ) -> ChangeEvent:
        values = {} if row is None else {"customer_id": key, "name": row[0], "email": row[1]}
        return ChangeEvent("customer", key, version, 1, values, rest, row is None, fields)

    # -- the adapter: the three steps of connectors/postgres/backfill.py

    async def open(self, object_name: str, keys: KeyRange) -> int | None:
        del object_name, keys
        return None

    async def close(self) -> None:
        """Nothing to let go of."""

    def read(self, keys: Sequence[str], page: int) -> Chunk:
        confirmed = self.confirmed
        self.moment()
        rows = [(key, self.rows[key]) for key in keys if key in self.rows][:page]
        self.moment()
        version = version_of_reading(confirmed, self.lsn)
        events = [self._event(key, row, version, FIELDS, key) for key, row in rows]
        mark = str(self.lsn)
        self.moment()
        return Chunk(events, rows[-1][0] if len(rows) == page else None, mark, version)

    async def chunk(self, after: str | None) -> Chunk:
        return self.read([key for key in KEYS if after is None or key > after], PAGE)

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        return self.read([key for key in KEYS if keys[0] <= key <= keys[-1]], len(KEYS) + 1)

    async def behind(self, mark: str, position: str | None) -> int:
        del position
        self.moment()
        while self.confirmed < int(mark):
            self.publish()
            self.confirm()
        return 0


class Topic:
    """What the loop publishes to: the gate judges each record at once, and the process may be killed before any."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def publish(self, records: Sequence[Outgoing], stop: asyncio.Event) -> bool:
        del stop
        self._world.moment()
        for record in records:
            self._world.to_gate(record)
            self._world.moment()
        return True

    async def close(self) -> None:
        """Nothing to let go of."""


def backfilled(world: World) -> None:
    """Started again after each kill, until its end."""
    store = Store(":memory:")
    config = ConnectorConfig.model_validate(
        {
            "system": "crm",
            "adapter": "model",
            "kafka": {"bootstrap": "127.0.0.1:1", "username": "crm", "password": {"env": "HOME"}},
            "contracts": MAP_FOLDER,
            "store": "unused",
            "objects": {"customer": {}},
        }
    )
    access = KafkaAccess("127.0.0.1:1", "crm", "")
    wiring = Wiring(config, access, REGISTRY, {"customer": CONTRACT}, store, Precheck(access, "crm"))
    order = Order("customer", rate=10_000_000)

    async def attempt() -> bool:
        run = BackfillRun(wiring, world, order, Topic(world), asyncio.Event(), lambda _: None)
        try:
            return (await run.run()).finished
        except Killed:
            return False

    while not asyncio.run(attempt()):
        pass
    store.close()


@FEWER
@given(st.data(), st.booleans())
def test_every_row_is_in_force_in_the_end_and_nothing_ever_went_back(
    data: st.DataObject, partial: bool
) -> None:
    world = World(data.draw, partial)
    for _ in range(data.draw(st.integers(0, 6), label="edits that were told")):
        world.edit()
        world.publish()
        world.confirm()
    for _ in range(data.draw(st.integers(0, 6), label="edits that nobody told")):
        world.edit(told=False)
    world.kills = data.draw(st.integers(0, 2), label="kills")
    told_before = set(world.names)
    backfilled(world)
    while world.published < len(world.log):
        world.publish()
    in_force = {key: world.gate.values(key.encode()) for key in KEYS}
    found = {key: (v["name"], v["email"]) for key, v in in_force.items() if v is not None}
    # A row that was deleted while nobody told it is not found by reading rows: that is a reconciliation.
    forgotten = {key for key in told_before if key not in world.rows and key in found}
    ended = {key for key, last in {event.key: event for _, event in world.log}.items() if last.deletes}
    assert {key: row for key, row in found.items() if key not in forgotten - ended} == world.rows
    assert world.faults == []
    assert world.held <= {"incomplete_record"}, "only live changes of records that nobody had told"
