"""The judges can see: every planted bug is reported by the one that must, and the product as it is by none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation import world
from tests.simulation.afterwards import found_by
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.laws import Rulebook
from tests.simulation.twice import against_the_oracle, short_against_long

SEEDS_MAX = 60
COMPARISONS: dict[str, Callable[[int], str | None]] = {
    "oracle": against_the_oracle,
    "short way": short_against_long,
}


def seen_by(judge: str, seed: int, patch: pytest.MonkeyPatch) -> list[str]:
    """What one judge has to say about one seed; rules are compiled anew, because a bug may sit in compiling."""
    patch.setattr(world, "RULEBOOK", Rulebook())
    if judge in COMPARISONS:
        said = COMPARISONS[judge](seed)
        return [] if said is None else [said]
    return [str(finding) for finding in found_by(seed) if finding.checker == judge]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(SEEDS_MAX):
        with monkeypatch.context() as planted:
            bug.plant(planted)
            said = seen_by(bug.caught_by, seed, planted)
        if said:
            break
    else:
        pytest.fail(f"{bug.name} was not seen by {bug.caught_by} in {SEEDS_MAX} seeds")
    for clean in range(seed + 1):
        assert seen_by(bug.caught_by, clean, monkeypatch) == [], "the product as it is passes the same seeds"


def test_every_judge_catches_something() -> None:
    caught = {bug.caught_by for bug in BUGS}
    assert {
        "I1",
        "I2",
        "I3",
        "I4",
        "I5",
        "I6",
        "I11",
        "brake",
        "liveness",
        "owner heard",
        *COMPARISONS,
    } <= caught
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 15
