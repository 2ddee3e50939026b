"""The decision twice: the product's and the oracle's must agree on every step of every history. Checks I1, I2, I4."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.agreement import agree
from tests.gate_parts import Bench
from tests.histories import changing_laws, histories, laws, record_of, rules_of_law
from tests.oracle import Oracle
from tests.oracle_words import Again, Law, Step

pytestmark = pytest.mark.timeout(900)


@given(law=st.one_of(laws(), changing_laws()), history=histories())
def test_the_judge_says_what_the_oracle_says(law: Law, history: list[Step]) -> None:
    bench, oracle = Bench(rules=rules_of_law(law)), Oracle(law)
    for number, step in enumerate(history):
        seen, expected = bench.see(record_of(bench, step)), oracle.step(step)
        agree(bench, oracle, step, seen, expected, f"step {number}: {step}")
        event(f"{'again ' * isinstance(step, Again)}{expected.outcome} {expected.reason}")
