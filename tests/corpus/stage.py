"""Plays the steps of a scenario on the real judge: a slot without Kafka, with a map, a log and a time of its own.

What should come of a step is compared by `tests.corpus.compare`; here stands only what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broker import topics
from broker.gate.connections import Connections, confirmed
from broker.gate.decide import decide
from broker.gate.decision import Decision
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import RecordState
from broker.lane.judged import Judged
from broker.lane.memory import SlotMemory
from broker.lane.misrouted import placed
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from schemas.errors import SchemaError
from tests.corpus.map_texts import changed, contracts_of, map_document, moment_ms, rules
from tests.corpus.sentences import Step
from tests.corpus.wrong import WRONG
from tests.gate_parts import Bench, Record, change_of, encoded, money

SHELF = ("customer", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What came of one step."""

    record: Record
    judged: Judged
    before: RecordState
    after: RecordState
    values_before: Mapping[str, Any] | None
    values: Mapping[str, Any] | None
    decision: Decision | None
    """The decision that the same facts give, with its verdicts; None for a command."""
    connections: Connections
    bench: Bench

    @property
    def outcome(self) -> str:
        return next(iter(self.judged.account), "none")

    @property
    def reason(self) -> str:
        return next((reason for _, _, _, reason in self.judged.reasons), "") or "none"

    def to(self, destination: Destination) -> list[tuple[str, Any]]:
        """(target, body) of what was written there."""
        found = [outgoing for outgoing, _ in self.judged.outgoing if outgoing.destination is destination]
        return [(outgoing.target, outgoing.body) for outgoing in found]

    @property
    def revisions(self) -> list[tuple[AuthoritativeEnvelope, Outgoing]]:
        return [
            (parse_authoritative(outgoing.headers), outgoing)
            for outgoing, _ in self.judged.outgoing
            if outgoing.destination is Destination.AUTHORITATIVE
        ]


@dataclass
class Stage:
    """One scenario while it is played."""

    document: Any
    bench: Bench = field(init=False)
    key: str = "C-1"
    """The record that was last spoken of."""
    counts: dict[str, int] = field(default_factory=dict)
    """The last number that each system gave to a change of its own."""
    called: dict[str, Record] = field(default_factory=dict)
    cases: dict[str, Any] = field(default_factory=dict)
    """The last case of each label; the empty label is the last case of all."""

    def __post_init__(self) -> None:
        self.bench = Bench(rules=rules(self.document, 1), memory=SlotMemory(slot=0, partitions={}))

    @property
    def fields(self) -> dict[str, str]:
        """Field of the contract in force to what its values are: text, money, list."""
        names = {}
        for one in contracts_of(self.document)[-1]["fields"]:
            kind = one["type"][1] if isinstance(one["type"], list) else one["type"]
            names[one["name"]] = "text" if kind == "string" else "list" if "items" in kind else "money"
        return names

    @property
    def required(self) -> list[str]:
        """Fields that cannot be null: where a change does not set them, something stands there all the same."""
        fields = contracts_of(self.document)[-1]["fields"]
        return [one["name"] for one in fields if one["type"] == "string" and one["name"] != "customer_id"]

    def typed(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Values as they are written, as the contract has them. Raises ValueError for a text without quotes."""
        return {name: _typed(name, value, self.fields.get(name, "text")) for name, value in said.items()}

    def play(self, step: Step) -> Happened | None:
        """Play a step; None: nothing was handed to the gate."""
        self.key = step.key or self.key
        if step.kind == "wait":
            self.bench.now_ms += step.value
            return None
        if step.kind == "map":
            self.document = changed(self.document, step.value)
            self.bench.rules = rules(self.document, self.bench.rules.ownership_map.version + 1)
            return None
        record = self._record(step)
        happened = self._judge(record)
        for _, case in happened.to(Destination.QUARANTINE):
            self.cases[""] = case
            self.cases[str(step.beside.get("called", ""))] = case
        return happened

    def _judge(self, record: Record) -> Happened:
        bench, key = self.bench, self.key.encode()
        before, values_before = bench.state(key), bench.values(key)
        decision = decision_of(bench, record)
        judged = bench.judge(record)
        bench.memory.partitions = {}  # only a record in the wrong place is asked for its place
        for outgoing, _ in judged.outgoing:
            encoded(outgoing)
        return Happened(
            record=record,
            judged=judged,
            before=before,
            after=bench.state(key),
            values_before=values_before,
            values=bench.values(key),
            decision=decision,
            connections=dict(bench.memory.connections.get(SHELF, {})),
            bench=bench,
        )

    def _record(self, step: Step) -> Record:
        if step.kind in ("creates", "sends all", "writes", "deletes"):
            return self._change(step)
        if step.kind == "again":
            if step.label not in self.called:
                msg = f"no step is called `{step.label}`; write `called: {step.label}` beside one"
                raise ValueError(msg)
            said = self.called[step.label]
            return replace(
                self.bench._place(said.topic, said.key or b"", said.value, said.headers, _appended(step)),
                key=said.key,
            )
        return self._command(step)

    def _change(self, step: Step) -> Record:
        event, appended = self._event(step), _appended(step)
        if step.kind == "deletes":
            record = self.bench.delete(step.system, event, key=step.key, at_ms=appended)
        else:
            known = self.typed({name: told for name, told in step.value.items() if name in self.fields})
            more: dict[str, Any] = {"unavailable": step.beside.get("unavailable", ())}
            if "contract" in step.beside:
                codec, number = self.bench.rules.codec, 99 + int(step.beside["contract"])
                names = [f["name"] for f in contracts_of(self.document)[number - 100]["fields"]]
                full = dict.fromkeys(names) | {"customer_id": step.key} | known
                more["value"] = codec.encode(number, {name: full[name] for name in names})
            fields = list(step.value) if step.kind == "writes" else None
            unset = dict.fromkeys(self.required, "") if step.kind == "writes" else {}
            record = self.bench.upsert(
                step.system, event, unset | known, fields=fields, key=step.key, at_ms=appended, **more
            )
        told = step.beside.get("wrong", [])
        for wrong in told if isinstance(told, list) else [told]:
            if wrong not in WRONG:
                msg = f"`wrong: {wrong}` is not known; there is {', '.join(WRONG)}"
                raise ValueError(msg)
            WRONG[wrong](self.bench, record)
        if "called" in step.beside:
            self.called[str(step.beside["called"])] = record
        return record

    def _event(self, step: Step) -> str:
        """The id of a change: the next number of its system, where nothing else is said."""
        beside, incarnation = step.beside, step.beside.get("incarnation", 0)
        if "id" in beside:
            return str(beside["id"])
        version = beside.get("version", self.counts.get(step.system, 0) + 1)
        if isinstance(version, int):
            self.counts[step.system] = version
            head = f"seq:{incarnation}:{version:06d}"
        elif version == "any":
            head = f"any:{incarnation}:{len(self.bench.log)}"
        elif str(version).startswith("time "):
            head = f"time:{incarnation}:2026-11-25T{version[5:]}"
        else:
            msg = f"a version is a number, `time 10:05`, or `any`; not {version!r}"
            raise ValueError(msg)
        return f"{head}/{beside['event']}" if "event" in beside else head

    def _command(self, step: Step) -> Record:
        if step.kind == "tick":
            return self.bench.tick()
        if step.kind in ("pause", "resume", "source_reset"):
            order = {"command": step.kind, "system": step.system, "incarnation": step.value or 0}
            return self.bench.command(order, key=b"")
        case = self.cases.get(str(step.beside.get("about", "")))
        if case is None:
            msg = f"there is no case that `{step.said}` could be about"
            raise ValueError(msg)
        if step.kind == "redrive":
            held = next(r for r in self.bench.log if (r.topic, r.offset) == (case["topic"], case["offset"]))
            return self.bench.redrive(held, case["system"], attempt=step.beside.get("attempt", 1))
        told = {"command": step.kind, "case_id": case["case_id"], "by": "a steward", "system": case["system"]}
        told |= {"fields": step.value or [], "value": case["value"]}
        return self.bench.command(told, key=self.key.encode())


def decision_of(bench: Bench, record: Record) -> Decision | None:
    """What the same map, state, change and gate time give (I5): the judge tells the outcome, this the verdicts."""
    system, object_name = topics.parse_changes(record.topic) or ("", "")
    if not system:
        return None
    rules_now = bench.rules
    shelf = (object_name, record.partition)
    change = change_of(rules_now, record)
    known = bench.memory.states.get(shelf, {}).get(change.key)
    if known is None and change.fault is None:
        change = placed(change, bench.memory.partitions.get(object_name))
    change = confirmed(bench.memory.connections.get(shelf, {}), change)
    entry, reader = rules_now.ownership_map.objects.get(object_name), rules_now.readers.get(object_name)
    return decide(
        entry.at(record.timestamp) if entry else None,
        rules_now.ownership_map.version,
        known or RecordState(),
        change,
        max(bench.memory.gate_time_ms, record.timestamp),
        decode=reader.decode if reader else _unread,
        encode=reader.encode if reader else _unread,
    )


def _unread(_: Any) -> Any:
    msg = "a record without a contract is not read"
    raise SchemaError(msg)


def _appended(step: Step) -> int | None:
    said = step.beside.get("appended")
    return None if said is None else moment_ms(said)


def _typed(name: str, value: Any, kind: str) -> Any:
    if value is None:
        return None
    wanted: tuple[type, ...] = {"text": (str,), "list": (list,), "money": (int, str)}[kind]
    fits = isinstance(value, wanted)
    if not fits:
        msg = f"{name} is {'a text: put it in quotes' if kind == 'text' else f'a {kind}'}, not {value!r}"
        raise ValueError(msg)
    return money(value) if kind == "money" else value


def stage_of(base: str, changes: Mapping[str, Any]) -> Stage:
    """A stage on a base map with small changes."""
    return Stage(map_document(base, changes))
