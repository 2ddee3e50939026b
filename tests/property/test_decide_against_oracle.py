"""The decision twice: the product's and the oracle's must agree on every step of every history. Checks I1, I2, I4."""

from __future__ import annotations

import pytest
from hypothesis import event, given

from broker.gate.route import Destination
from tests.gate_parts import Bench, encoded
from tests.histories import histories, laws, record_of, rules_of_law
from tests.oracle import Oracle
from tests.oracle_words import Law, Tick, Write

pytestmark = pytest.mark.timeout(900)


@given(law=laws(), history=histories())
def test_the_judge_says_what_the_oracle_says(law: Law, history: list[Write | Tick]) -> None:
    bench, oracle = Bench(rules=rules_of_law(law)), Oracle(law)
    for number, step in enumerate(history):
        seen, expected = bench.see(record_of(bench, step)), oracle.step(step)
        for outgoing, _ in seen.judged.outgoing:
            encoded(outgoing)  # I6: whatever came of it can be written
        if isinstance(step, Tick):
            for key in ("C-1", "C-2"):
                assert bench.state(key.encode()).revision == oracle.revision(key), f"step {number}"
            continue
        event(f"{expected.outcome} {expected.reason}")
        where = f"step {number}: {step}"
        assert (seen.outcome, seen.reason) == (expected.outcome, expected.reason), where
        assert seen.after.revision == expected.revision, where
        assert bench.values(step.key.encode()) == expected.values, where
        written = seen.revisions
        assert len(written) == (0 if expected.changed is None else 1), where
        for envelope, outgoing in written:
            assert envelope.changed == expected.changed, where
            assert envelope.reassert == expected.reasserted, where
            assert envelope.map_version == 1 and envelope.revision == expected.revision, where
            assert envelope.causation == (step.system, step.event), where
            assert outgoing.body == seen.after.value, where
        assert len(seen.to(Destination.QUARANTINE)) == expected.cases, where
        assert len(seen.to(Destination.PROPOSALS)) == expected.questions, where
