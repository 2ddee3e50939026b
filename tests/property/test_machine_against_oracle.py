"""A machine of rules instead of drawn histories: systems, stewards, maps, time and slots act on what came before.

After every step the product and the oracle say, write and remember the same. Checks I1, I2, I3, I4.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from broker.lane.ledger import verify
from tests.agreement import KEYS, agree, agree_on_what_is_remembered
from tests.gate_parts import FIELDS, SYSTEMS, T0, Bench, Record
from tests.histories import PAUSES_MS, SUMS, TEXTS, laws, record_of, rules_of_law
from tests.oracle import Oracle
from tests.oracle_words import Again, Ask, Handover, Law, Order, Reset, Step, Tick, Write
from tests.reopened import SHELF, reopened

STEPS = 30
VALUES = st.fixed_dictionaries(
    {name: st.sampled_from(TEXTS) for name in FIELDS[1:-1]} | {FIELDS[-1]: st.sampled_from(SUMS)}
)
NAMES = st.frozensets(st.sampled_from(FIELDS[1:]), min_size=1, max_size=3)
SYSTEM, KEY = st.sampled_from(("crm", "crm", "erp", "billing")), st.sampled_from(("C-1", "C-1", "C-2"))


class Gate(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.number, self.version = T0, 0, 1
        self.writes: list[Write] = []
        self.judged: list[Step] = []

    @initialize(law=laws())
    def begin(self, law: Law) -> None:
        self.law, self.oracle = law, Oracle(law)
        self.bench = Bench(rules=rules_of_law(law))

    def act(self, step: Step, record: Record | None = None) -> None:
        where = f"step {len(self.judged)}: {step}"
        seen = self.bench.see(record or record_of(self.bench, step))
        expected = self.oracle.step(step)
        self.judged.append(step)
        agree(self.bench, self.oracle, step, seen, expected, where)
        agree_on_what_is_remembered(self.bench, self.oracle, where)
        event(f"{type(step).__name__} {expected.outcome} {expected.reason}")

    def write(self, system: str, key: str, number: int, values: dict[str, Any], **more: Any) -> None:
        self.now_ms += 10
        said = {} if more.get("deletes") else values | {"customer_id": key}
        write = Write(system, f"seq:0:{number:04d}", said, self.now_ms, key=key, **more)
        self.writes.append(write)
        self.act(write)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    # -- systems

    @rule(system=SYSTEM, key=KEY, values=VALUES, fields=st.none() | NAMES)
    def edits(self, system: str, key: str, values: dict[str, Any], fields: frozenset[str] | None) -> None:
        self.write(system, key, self.next_number(), values, fields=fields)

    @rule(key=KEY, values=VALUES)
    def creates(self, key: str, values: dict[str, Any]) -> None:
        self.write(self.law.at(self.now_ms + 10).create, key, self.next_number(), values)

    @rule(system=SYSTEM, key=KEY, whole=st.booleans())
    def echoes(self, system: str, key: str, *, whole: bool) -> None:
        values = self.bench.values(key.encode())
        if values is not None:
            fields = None if whole else frozenset(("name", "credit_limit"))
            self.write(system, key, self.next_number(), values, fields=fields)

    @rule(system=SYSTEM, key=KEY, back=st.integers(1, 4), values=VALUES)
    def says_something_old(self, system: str, key: str, back: int, values: dict[str, Any]) -> None:
        self.write(system, key, max(0, self.number - back), values)

    @rule(system=SYSTEM, key=KEY)
    def deletes(self, system: str, key: str) -> None:
        self.write(system, key, self.next_number(), {}, deletes=True)

    @rule(key=KEY)
    def deletes_as_it_may(self, key: str) -> None:
        self.write(self.law.at(self.now_ms + 10).delete, key, self.next_number(), {}, deletes=True)

    @precondition(lambda self: self.writes)
    @rule(data=st.data())
    def is_delivered_again(self, data: st.DataObject) -> None:
        self.now_ms += 10
        self.act(replace(data.draw(st.sampled_from(self.writes[-8:])), received_ms=self.now_ms))

    # -- the map

    @rule(law=laws(), keep=st.booleans())
    def the_map_changes(self, law: Law, *, keep: bool) -> None:
        self.enact(replace(law, handovers=self.law.handovers if keep else ()))

    @rule(
        name=st.sampled_from(("name", "credit_limit", "*")),
        to=st.sampled_from(SYSTEMS),
        wait_ms=st.sampled_from(PAUSES_MS[2:6]),
        lasting_ms=st.sampled_from((None, None, *PAUSES_MS[2:6])),
    )
    def is_handed_over(self, name: str, to: str, wait_ms: int, lasting_ms: int | None) -> None:
        before = [h.until_ms or h.from_ms for h in self.law.handovers]
        from_ms = max([self.now_ms, *before]) + wait_ms
        until_ms = None if lasting_ms is None else from_ms + lasting_ms
        handover = Handover(name, to, from_ms, until_ms)
        self.enact(replace(self.law, handovers=(*self.law.handovers, handover)))

    def enact(self, law: Law) -> None:
        self.law = law
        self.version += 1
        self.oracle.enact(law)
        self.bench.rules = rules_of_law(law, version=self.version)

    # -- people and time

    def command(self, step: Step, **command: Any) -> None:
        key = command.pop("key", "")
        self.act(step, self.bench.command(command, key=key.encode(), at_ms=self.now_ms))

    @rule(word=st.sampled_from(("keep", "pause", "resume")), system=st.sampled_from(SYSTEMS), key=KEY)
    def is_ordered(self, word: str, system: str, key: str) -> None:
        self.command(Order(self.now_ms), command=word, system=system, key=key, case_id="Q-1")

    @precondition(lambda self: any(not w.deletes for w in self.writes))
    @rule(data=st.data(), fields=NAMES, case=st.sampled_from(("Q-1", "Q-2")))
    def asks_the_owner(self, data: st.DataObject, fields: frozenset[str], case: str) -> None:
        write = data.draw(st.sampled_from([w for w in self.writes if not w.deletes][-4:]))
        named = tuple(sorted(fields))
        value = self.bench.rules.readers["customer"].encode(dict.fromkeys(FIELDS) | write.values)
        order = {"command": "ask_owner", "case_id": case, "fields": list(named), "value": value}
        self.command(Ask(write, case, named, self.now_ms), key=write.key, system=write.system, **order)

    @precondition(lambda self: self.writes)
    @rule(data=st.data())
    def is_judged_again(self, data: st.DataObject) -> None:
        self.act(Again(data.draw(st.sampled_from(self.writes[-8:])), self.now_ms))

    @rule(system=st.sampled_from(SYSTEMS))
    def counts_anew(self, system: str) -> None:
        self.act(Reset(system, 1, self.now_ms))

    @rule(wait_ms=st.sampled_from(PAUSES_MS))
    def time_passes(self, wait_ms: int) -> None:
        self.now_ms += wait_ms
        self.act(Tick(self.now_ms))

    # -- slots

    @rule()
    def the_slot_is_opened_anew(self) -> None:
        found, known = reopened(self.bench), self.bench.memory
        assert found.states.get(SHELF, {}) == known.states.get(SHELF, {})
        assert found.connections.get(SHELF, {}) == known.connections.get(SHELF, {})
        assert found.waiting.get(SHELF, set()) == known.waiting.get(SHELF, set())
        self.bench.memory = found

    def teardown(self) -> None:
        """The ledger adds up, and revisions were counted one by one."""
        if not self.judged:
            return
        assert verify(self.bench.ledger) == []
        account: Counter[str] = sum((Counter(one["account"]) for one in self.bench.ledger), Counter())
        assert account.total() == sum(isinstance(step, Write) for step in self.judged)  # I2
        total = sum(one["revisions"] for one in self.bench.ledger)
        assert total == sum(self.bench.state(key.encode()).revision for key in KEYS)  # I4


TestGate = Gate.TestCase
TestGate.settings = settings(
    max_examples=max(settings().max_examples // 5 - 25, 15), stateful_step_count=STEPS
)
TestGate.pytestmark = [pytest.mark.timeout(900)]
