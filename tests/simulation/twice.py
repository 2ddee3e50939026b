"""Fixed histories judged twice: by the product and by the oracle, and by the short way and the long way.

The same comparisons as in tests/property, with histories from a seed instead of from hypothesis, so that a planted bug
is met by the same histories on every run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from broker import rules as product_rules
from broker.gate.outgoing import Destination, Outgoing
from broker.rules import Rules
from tests.gate_parts import FIELDS, SYSTEMS, T0, Bench, Seen
from tests.histories import record_of
from tests.oracle import Oracle
from tests.oracle_words import Again, Expected, Law, Step, Tick, Write
from tests.simulation.laws import KEY_FIELD, LIMIT, POLICIES, texts_of, value_drawn

STEPS = 30
PAUSES_MS = (0, 10, 1_000, 2_500, 70_000, 3_599_999, 3_600_001, 25 * 3_600_000)
EVENTS = (
    "seq:0:{:04d}",
    "seq:0:{:04d}",
    "seq:0:{:04d}/other",
    "time:0:2026-11-{:02d}/C-1",
    "any:0:{}",
    "plain-{}",
)


def law_of(rng: random.Random, *, whole: bool) -> Law:
    return Law(
        owners=dict.fromkeys(FIELDS, "crm") | ({} if whole else {LIMIT: "erp"}),
        create="crm",
        delete=rng.choice(["crm", "erp"]) if not whole else "crm",
        policies={system: rng.choice(POLICIES) for system in SYSTEMS},
        readers={"crm": None, "erp": None, "billing": rng.choice([None, frozenset({KEY_FIELD, "name"})])},
    )


def history_of(rng: random.Random, *, flat: bool) -> list[Step]:
    """Steps in which versions, values and events come again, out of order and late."""
    at_ms = T0
    steps: list[Step] = []
    for _ in range(STEPS):
        at_ms += rng.choice([0, 0, 10, 10, *PAUSES_MS])
        if rng.random() < 0.1:
            steps.append(Tick(at_ms))
            continue
        writes = [step for step in steps if isinstance(step, Write) and not step.deletes]
        if not flat and writes and rng.random() < 0.15:
            steps.append(Again(rng.choice(writes[-4:]), at_ms))
            continue
        key = rng.choice(["C-1", "C-1", "C-2"])
        values = {name: value_drawn(rng, name, flat=flat) for name in FIELDS[1:]} | {KEY_FIELD: key}
        if flat and rng.random() < 0.05:
            values[KEY_FIELD] = "other"
        deletes = rng.random() < 0.12
        fields = frozenset(rng.sample((*FIELDS, "nonsense"), k=2)) if rng.random() < 0.3 else None
        system = rng.choice(["crm", "crm", "crm", "erp", "erp", "billing", "ghost"])
        event = rng.choice(EVENTS).format(rng.randint(1, 6))
        said = {} if deletes else values
        steps.append(Write(system, event, said, at_ms, None if deletes else fields, deletes=deletes, key=key))
    return steps


def against_the_oracle(seed: int) -> str | None:
    """The first step that the product and the oracle see otherwise."""
    rng = random.Random(seed)
    law = law_of(rng, whole=False)
    bench, oracle = Bench(rules=product_rules.rules_of(texts_of(law, flat=False), 1)), Oracle(law)
    for number, step in enumerate(history_of(rng, flat=False)):
        seen, expected = bench.see(record_of(bench, step)), oracle.step(step)
        if not isinstance(step, Write | Again):
            got: Any = [bench.state(key).revision for key in (b"C-1", b"C-2")]
            want: Any = [oracle.revision(key) for key in ("C-1", "C-2")]
        else:
            again = isinstance(step, Again)
            key = (step.write if isinstance(step, Again) else step).key.encode()
            outcome = _redriven(seen) if again else (seen.outcome, seen.reason)
            cases = len(seen.to(Destination.QUARANTINE))
            got = (*outcome, bench.state(key).revision, bench.values(key), cases)
            want = _wanted(expected, again=again)
        if got != want:
            return f"step {number} of history {seed}: {got} instead of {want}"
    return None


def _redriven(seen: Seen) -> tuple[str, str]:
    (line,) = (body for body in seen.to(Destination.TRAIL) if body["kind"] == "redriven")
    return line["result"], ""


def _wanted(expected: Expected, *, again: bool) -> tuple[Any, ...]:
    reason = "" if again else expected.reason
    return expected.outcome, reason, expected.revision, expected.values, expected.cases


def short_against_long(seed: int) -> str | None:
    """What the short way does otherwise than the long one."""
    rng = random.Random(seed)
    rules = product_rules.rules_of(texts_of(law_of(rng, whole=True), flat=True), 1)
    assert rules.express, "there is a short way"
    history = history_of(rng, flat=True)
    short, long = (_judged(way, history) for way in (rules, replace(rules, express={})))
    for number, (one, other) in enumerate(zip(short, long, strict=True)):
        if one != other:
            return f"record {number} of history {seed}: {one} instead of {other}"
    return None


def _judged(rules: Rules, history: list[Step]) -> Iterator[tuple[Any, ...]]:
    bench = Bench(rules=rules)
    for step in history:
        judged = bench.judge(record_of(bench, step))
        yield [_plain(outgoing) for outgoing, _ in judged.outgoing], judged.ledger, bench.state()


def _plain(outgoing: Outgoing) -> Outgoing:
    return outgoing._replace(headers=tuple(outgoing.headers))
