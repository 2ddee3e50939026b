"""The table of a change request's life: all of it, and nothing beside it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from ownership.lifecycle import TRANSITIONS, State, Step, StepRefused, after, drawing

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "govern-the-map.md"


@pytest.mark.parametrize(("state", "step"), [*product(State, Step)])
def test_what_the_table_does_not_have_is_refused(state: State, step: Step) -> None:
    if (state, step) in TRANSITIONS:
        assert after(state, step) is TRANSITIONS[state, step]
        return
    with pytest.raises(StepRefused, match=r"\[request.not_possible\]") as refused:
        after(state, step)
    ends = not any(start is state for start, _ in TRANSITIONS)
    assert ("Nothing more happens" in refused.value.remedy) is ends


def test_every_state_is_reached_and_none_is_a_trap() -> None:
    reached = {State.DRAFT}
    while more := {end for (start, _), end in TRANSITIONS.items() if start in reached} - reached:
        reached |= more
    assert reached == set(State)
    ends = set(State) - {start for start, _ in TRANSITIONS}
    assert ends == {State.SUPERSEDED, State.ROLLED_BACK}


def test_nothing_takes_force_without_approval_but_by_breaking_the_glass() -> None:
    ways = {(start, step) for (start, step), end in TRANSITIONS.items() if end is State.EFFECTIVE}
    assert ways == {
        (State.APPROVED, Step.APPLY), (State.SCHEDULED, Step.APPLY), (State.DRAFT, Step.BREAK_GLASS),
    }  # fmt: skip
    approved = {start for (start, _), end in TRANSITIONS.items() if end is State.APPROVED}
    assert approved == {State.PROPOSED}


def test_the_page_shows_the_table() -> None:
    assert f"```mermaid\n{drawing()}```" in PAGE.read_text("utf-8")
