"""One batch of one slot: records in, outgoing records and new states out. No I/O; the slot commits what this says.

Nothing of the slot's memory changes until `keep` is called after the commit, so an aborted batch leaves no trace (I3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from broker import topics
from broker.gate.change import Change, Fault, Position, in_the_way, read
from broker.gate.commands import TICK, Context, judge_command, pass_time
from broker.gate.connections import (
    CONNECTIONS_KEY,
    ORDERS,
    PAUSE,
    RESUME,
    Connections,
    confirmed,
    connections_record,
    ordered,
)
from broker.gate.decide import decide
from broker.gate.decision import Decision
from broker.gate.echo import EchoPlan
from broker.gate.express import ExpressPlan
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.reason import Reason
from broker.gate.route import route
from broker.gate.state import NO_RECORD, RecordState
from broker.gate.trail import trail_line
from broker.gate.watch import Watch, watched
from broker.lane import alarms
from broker.lane.judged import STEP_RECORDS, Input, Judged, LogRecord, NotDecided, revision_parts, whole
from broker.lane.ledger import chain_of
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.misrouted import is_placed, placed
from broker.lane.places import named, places_of
from broker.lane.short_ways import SHORT_WAYS, ShortWays
from broker.lane.states import StatesUnusable
from broker.rules import Rules
from schemas.errors import SchemaError
from schemas.registry import envelopes


class Judge:
    """Judges the batches of one slot."""

    def __init__(self, memory: SlotMemory, worker: str, short_ways: ShortWays = SHORT_WAYS) -> None:
        self.memory = memory
        self.worker = worker
        self._short_ways = short_ways

    def judge(self, rules: Rules, records: Sequence[LogRecord], fault: Fault | None = None) -> Judged:
        """Judge records in the given order. The slot's memory stays as it is until `keep`.

        `fault`: nothing is decided; these records are in the way and are held for this reason, by reference.
        Raises NotDecided with the record over which deciding failed.
        """
        return whole(self.steps(rules, records, fault))

    def steps(
        self, rules: Rules, records: Sequence[LogRecord], fault: Fault | None = None
    ) -> Generator[None, None, Judged]:
        """The same, a few records at a time: whoever takes the steps may do something else between two of them."""
        judged = Judged(gate_time_ms=self.memory.gate_time_ms)
        inputs: dict[tuple[str, int], Input] = {}
        for start in range(0, len(records), STEP_RECORDS):
            try:
                self._each(rules, judged, inputs, records[start : start + STEP_RECORDS], fault)
            except StatesUnusable:
                raise  # not the record's doing
            except Exception as error:
                raise NotDecided(judged.index) from error
            yield
        for source in inputs.values():
            self._add_up(rules, judged, source)
        moved = {source.name.decode(): source.read_to for source in inputs.values()}
        judged.ledger = self._ledger(rules, judged, {**self.memory.positions, **moved})
        return judged

    def _each(
        self,
        rules: Rules,
        judged: Judged,
        inputs: dict[tuple[str, int], Input],
        records: Sequence[LogRecord],
        fault: Fault | None,
    ) -> None:
        for record in records:
            judged.index += 1
            place = (record.topic, record.partition)
            source = inputs.get(place)
            if source is None:
                source = inputs[place] = self._input(rules, judged, *place)
            source.read_to = record.offset + 1
            judged.gate_time_ms = max(judged.gate_time_ms, record.timestamp)
            if not fault and (
                (source.plan is not None and self._expressed(source, source.plan, judged, record))
                or (source.echoes is not None and self._echoed(source, source.echoes, judged, record))
            ):
                continue
            if source.system is not None:
                self._change(rules, judged, record, source, source.system, fault)
            else:
                judged.commands += 1
                self._command(rules, judged, record, source.shelf, fault)

    def _input(self, rules: Rules, judged: Judged, topic: str, partition: int) -> Input:
        system, stream = topics.parse_changes(topic) or (None, topics.parse_commands(topic) or "")
        shelf, object_name = (stream, partition), topics.object_of(stream)
        judged.streams[object_name] = stream
        return Input(
            name=f"{topic}/{partition}".encode(),
            system=system,
            shelf=shelf,
            plan=None if system is None else rules.express.get((system, object_name)),
            echoes=None if system is None else rules.echoes.get((system, object_name)),
            known=self.memory.states.get(shelf, {}),
            pending=judged.states.setdefault(shelf, {}),
            partitions=self.memory.partitions.get(stream),
        )

    def keep(self, judged: Judged) -> None:
        """Take over what a committed batch left behind."""
        memory = self.memory
        for shelf, states in judged.states.items():
            memory.states.setdefault(shelf, {}).update(states)
        for shelf, key in judged.considered:
            waiting = memory.waiting.setdefault(shelf, set())
            (waiting.add if judged.states[shelf][key].memory.waits else waiting.discard)(key)
        memory.connections.update(judged.connections)
        memory.follow(judged.ledger)

    def _state(self, judged: Judged, shelf: Shelf, key: bytes) -> RecordState | None:
        pending = judged.states.get(shelf)
        if pending is not None and key in pending:
            return pending[key]
        return self.memory.states.get(shelf, {}).get(key)

    def _change(
        self,
        rules: Rules,
        judged: Judged,
        record: LogRecord,
        source: Input,
        system: str,
        fault: Fault | None,
    ) -> None:
        shelf, object_name = source.shelf, topics.object_of(source.shelf[0])
        position, key, at_ms = (
            Position(record.topic, record.partition, record.offset),
            record.key,
            record.timestamp,
        )
        if fault is not None:
            bare = Change(object_name, system, key or b"", position, at_ms, record.headers, record.value)
            change = in_the_way(bare, fault)
        else:
            change = read(
                rules.ownership_map,
                rules.readers,
                object_name=object_name,
                system=system,
                key=key,
                position=position,
                received_ms=at_ms,
                headers=record.headers,
                value=record.value,
            )
        known = self._state(judged, shelf, change.key)
        if known is None and change.fault is None:
            change = placed(change, source.partitions)
        change = confirmed(self._connections(judged, shelf), change)
        state = known or NO_RECORD
        entry, reader = rules.ownership_map.objects.get(object_name), rules.readers.get(object_name)
        terms = entry.at(record.timestamp) if entry is not None else None
        decision = decide(
            terms,
            rules.ownership_map.version,
            state,
            change,
            judged.gate_time_ms,
            decode=reader.decode if reader else _nothing,
            encode=reader.encode if reader else _nothing,
        )
        self._count(judged, change, decision)
        source.going.saw(change, decision, state)
        if decision.state is not state:
            judged.states.setdefault(shelf, {})[change.key] = decision.state
            judged.considered.add((shelf, change.key))
        for outgoing in route(change, decision, state, judged.gate_time_ms):
            if outgoing.target == system and system not in rules.ownership_map.systems:
                continue  # a writer that the map does not list has no topic to be answered in
            judged.outgoing.append((outgoing, record.partition))

    def _expressed(self, source: Input, plan: ExpressPlan, judged: Judged, record: LogRecord) -> bool:
        """Take the short way if it can be taken; False = nothing was done."""
        key = record.key
        if key is None:
            return False
        state = source.pending.get(key) or source.known.get(key)
        if state is None and not is_placed(key, source.shelf[1], source.partitions):
            return False
        received_ms = record.timestamp
        taken = self._short_ways.express(plan, state, key, record.value, record.headers, received_ms)
        if taken is None:
            return False
        source.expressed += 1
        after, outgoing = taken
        source.pending[key] = after
        judged.outgoing.append((outgoing, source.shelf[1]))
        judged.decisions += (b"%b/%d|accepted||" % (source.name, record.offset), *revision_parts(after))
        return True

    def _echoed(self, source: Input, plan: EchoPlan, judged: Judged, record: LogRecord) -> bool:
        """Take the short way of an echo if it can be taken; False = nothing was done."""
        key = record.key
        if key is None:
            return False
        state = source.pending.get(key) or source.known.get(key)
        place = Position(record.topic, record.partition, record.offset)
        line = self._short_ways.echo(
            plan, state, key, record.value, record.headers, place, record.timestamp, judged.gate_time_ms
        )
        if line is None:
            return False
        source.echoed += 1
        judged.outgoing.append((line, source.shelf[1]))
        judged.decisions.append(b"%b/%d|echo|echo|" % (source.name, record.offset))
        return True

    def _connections(self, judged: Judged, shelf: Shelf) -> Connections:
        return judged.connections.get(shelf) or self.memory.connections.get(shelf, {})

    def _count(self, judged: Judged, change: Change, decision: Decision) -> None:
        outcome = decision.outcome.value
        judged.account[outcome] += 1
        judged.revisions += decision.writes
        reason = decision.reason.code if decision.reason else ""
        judged.reasons[change.object, change.system, outcome, reason] += 1
        place = change.position
        said = f"{place.topic}/{place.partition}/{place.offset}|{outcome}|{reason}|".encode()
        judged.decisions.append(said)
        if decision.writes:
            judged.decisions += revision_parts(decision.state)

    def _command(
        self, rules: Rules, judged: Judged, record: LogRecord, shelf: Shelf, fault: Fault | None
    ) -> None:
        if fault is not None:
            return  # counted as a command; the slot says in its log that it failed
        object_name = topics.object_of(shelf[0])
        entry, reader = rules.ownership_map.objects.get(object_name), rules.readers.get(object_name)
        if entry is None or reader is None or record.value is None:
            return
        try:
            command = envelopes().codec.decode(record.value, envelopes().ids("solesource.command"))
        except SchemaError:
            return  # counted as a command; only control and console may write here
        if command["command"] in ORDERS:
            place = Position(record.topic, record.partition, record.offset)
            self._order(rules, judged, place, record.timestamp, shelf, command)
            return
        tick = command["command"] == TICK
        if tick:
            keys = sorted(self.memory.waiting.get(shelf, set()) | set(judged.states.get(shelf, {})))
        else:
            keys = [record.key or b""]
        for key in keys:
            context = Context(
                entry=entry.at(judged.gate_time_ms),
                ownership_map=rules.ownership_map,
                reader=reader,
                connections=self._connections(judged, shelf),
                key=key,
                position=Position(record.topic, record.partition, record.offset),
                received_ms=record.timestamp,
                gate_time_ms=judged.gate_time_ms,
            )
            self._act(judged, shelf, context, None if tick else command)

    def _add_up(self, rules: Rules, judged: Judged, source: Input) -> None:
        """How the changes of one input went in this batch; a breaker that trips pauses its system."""
        if source.system is None:
            return
        if source.expressed:
            judged.account["accepted"] += source.expressed
            judged.revisions += source.expressed
        if source.echoed:
            judged.account["echo"] += source.echoed
            object_name = topics.object_of(source.shelf[0])
            judged.reasons[object_name, source.system, "echo", Reason.ECHO.code] += source.echoed
        shelf, name, going = source.shelf, source.name.decode(), source.going
        known = judged.watches.get(name) or self.memory.watches.get(name, Watch())
        going.tally.express(source.expressed + source.echoed)
        judged.watches[name], tripped = watched(known, going.tally)
        version = rules.ownership_map.version
        setting = alarms.Setting(version, self._map_since(judged, version), judged.gate_time_ms)
        for case in alarms.cases(going, tripped, setting):
            judged.outgoing.append((case, shelf[1]))
            assert isinstance(case.body, Mapping)
            if case.body["reason"] == Reason.HOLDS_ROSE.code:
                order = {
                    "command": PAUSE,
                    "system": source.system,
                    "by": alarms.BREAKER,
                    "note": case.body["detail"],
                }
                place = Position(case.body["topic"], case.body["partition"], case.body["offset"])
                self._order(rules, judged, place, case.body["received_ms"], shelf, order)

    def _map_since(self, judged: Judged, version: int) -> int:
        known = self.memory.map_version == version
        return self.memory.map_since_ms if known else judged.gate_time_ms

    def _order(
        self,
        rules: Rules,
        judged: Judged,
        place: Position,
        received_ms: int,
        shelf: Shelf,
        command: Mapping[str, Any],
    ) -> None:
        after = ordered(self._connections(judged, shelf), command, judged.gate_time_ms)
        if after is not None:
            judged.connections[shelf] = after
            if command["command"] == RESUME:  # what was counted before is what people have looked at
                judged.watches[f"{topics.changes(command['system'], shelf[0])}/{shelf[1]}"] = Watch()
            body = connections_record(after)
            kept = Outgoing(Destination.STATE, CONNECTIONS_KEY, body, target=topics.object_of(shelf[0]))
            judged.outgoing.append((kept, shelf[1]))
        line = trail_line(
            kind="command_refused" if after is None else ORDERS[command["command"]],
            object_name=topics.object_of(shelf[0]),
            key=CONNECTIONS_KEY,
            system=command["system"] or "",
            event_id=None,
            position=place,
            reason="",
            fields=[],
            map_version=rules.ownership_map.version,
            received_ms=received_ms,
            gate_time_ms=judged.gate_time_ms,
            by=command["by"],
            note=command["note"] or None,
        )
        judged.outgoing.append((line, shelf[1]))

    def _act(self, judged: Judged, shelf: Shelf, context: Context, command: Mapping[str, Any] | None) -> None:
        state = self._state(judged, shelf, context.key) or NO_RECORD
        after, records = (
            pass_time(context, state) if command is None else judge_command(context, state, command)
        )
        if after is not state:
            judged.states.setdefault(shelf, {})[context.key] = after
            judged.considered.add((shelf, context.key))
            judged.revisions += after.revision - state.revision
        judged.outgoing += [(outgoing, shelf[1]) for outgoing in records]

    def _ledger(self, rules: Rules, judged: Judged, positions: dict[str, int]) -> dict[str, Any]:
        memory = self.memory
        record: dict[str, Any] = {
            "slot": memory.slot,
            "sequence": memory.sequence + 1,
            "worker": self.worker,
            "positions": positions,
            "map_version": rules.ownership_map.version,
            "gate_time_ms": judged.gate_time_ms,
            "received": sum(judged.account.values()),
            "commands": judged.commands,
            "account": dict(judged.account),
            "revisions": judged.revisions,
            "decisions_digest": hashlib.blake2b(b"".join(judged.decisions), digest_size=32).digest(),
            "map_since_ms": self._map_since(judged, rules.ownership_map.version),
            "watches": {name: watch._asdict() for name, watch in (memory.watches | judged.watches).items()},
            "outputs": {
                named(place): memory.ends.get(place, -1)
                for place in places_of(memory.slot, judged.outgoing, judged.streams)
            },
            "previous_chain": memory.chain,
        }
        record["chain"] = chain_of(record)
        return record


def _nothing(_: Any) -> Any:
    """Stands in for the contract of an object that the map does not know; a change of it is never decoded."""
    msg = "an object without a contract is neither read nor written"
    raise SchemaError(msg)
