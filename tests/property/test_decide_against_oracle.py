"""The decision twice: the product's and the oracle's must agree on every step of every history. Checks I1, I2, I4."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from broker.gate.outgoing import Destination
from tests.gate_parts import BESIDE_AN_OUTCOME, Bench, encoded
from tests.histories import changing_laws, histories, laws, record_of, rules_of_law
from tests.oracle import Oracle
from tests.oracle_words import Again, Law, Reset, Step, Tick

pytestmark = pytest.mark.timeout(900)


@given(law=st.one_of(laws(), changing_laws()), history=histories())
def test_the_judge_says_what_the_oracle_says(law: Law, history: list[Step]) -> None:
    bench, oracle = Bench(rules=rules_of_law(law)), Oracle(law)
    for number, step in enumerate(history):
        seen, expected = bench.see(record_of(bench, step)), oracle.step(step)
        for outgoing, _ in seen.judged.outgoing:
            encoded(outgoing)  # I6: whatever came of it can be written
        if isinstance(step, Tick | Reset):
            for key in ("C-1", "C-2"):
                assert bench.state(key.encode()).revision == oracle.revision(key), f"step {number}"
            continue
        where = f"step {number}: {step}"
        again = isinstance(step, Again)
        write = step.write if isinstance(step, Again) else step
        if again:
            (line,) = (b for b in seen.to(Destination.TRAIL) if b["kind"] == "redriven")
            assert line["result"] == expected.outcome, where
        else:
            assert (seen.outcome, seen.reason) == (expected.outcome, expected.reason), where
        event(f"{'again ' * again}{expected.outcome} {expected.reason}")
        after = bench.state(write.key.encode())
        assert after.revision == expected.revision, where
        assert bench.values(write.key.encode()) == expected.values, where
        written = seen.revisions
        assert len(written) == (0 if expected.changed is None else 1), where
        for envelope, outgoing in written:
            assert envelope.changed == expected.changed, where
            assert envelope.reassert == expected.reasserted, where
            assert envelope.map_version == 1 and envelope.revision == expected.revision, where
            assert envelope.causation == (write.system, write.event), where
            assert outgoing.body == after.value, where
        cases = [case for case in seen.to(Destination.QUARANTINE) if case["reason"] not in BESIDE_AN_OUTCOME]
        assert len(cases) == expected.cases, where
        assert len(seen.to(Destination.PROPOSALS)) == expected.questions, where
