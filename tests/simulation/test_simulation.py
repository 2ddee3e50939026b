"""Three hundred seeds of the simulation: no judge has anything to say, and together they reach what can happen."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.afterwards import findings_of, found_by
from tests.simulation.events import run
from tests.simulation.reading import batches_of
from tests.simulation.twice import against_the_oracle, short_against_long

SEEDS = 300


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_found(seed: int) -> None:
    findings = found_by(seed)
    said = "\n".join(map(str, findings[:10]))
    assert not findings, (
        f"{len(findings)} findings; see how it came about with: make simulate SEED={seed}\n{said}"
    )


@pytest.mark.parametrize("seed", range(40))
def test_fixed_histories_agree(seed: int) -> None:
    assert against_the_oracle(seed) is None
    assert short_against_long(seed) is None


def test_one_seed_is_one_history() -> None:
    one, other = run(17), run(17)
    assert one.lines == other.lines
    assert findings_of(one) == findings_of(other)
    ledgers = [[b.ledger for found in batches_of(world).values() for b in found] for world in (one, other)]
    assert ledgers[0] == ledgers[1]


def test_the_seeds_reach_what_can_happen() -> None:
    happened: Counter[str] = Counter()
    for seed in range(40):
        world = run(seed)
        for batches in batches_of(world).values():
            for batch in batches:
                happened.update(batch.ledger["account"])
        for line in world.lines:
            for words in EXPECTED:
                happened[words] += words in line
        happened["re-created"] += sum(
            one.values is None and two.values is not None for one, two in _neighbours(world)
        )
    outcomes = (
        "unreadable", "duplicate", "quarantined", "refused", "proposed", "parked", "partly_accepted", "accepted",
        "stale", "echo",
    )  # fmt: skip
    assert [word for word in (*outcomes, *EXPECTED, "re-created") if not happened[word]] == []


EXPECTED = (
    "ends before the transaction", "ends in the middle", "ends before the commit", "ends after the commit",
    "is fenced", "because nobody took its slot", "moves to", "compaction removes", "map 2", "new generation",
    "decides ask_owner", "people answer a question", "insists on", "clock of broker", "before it has noted that",
)  # fmt: skip


def _neighbours(world):  # noqa: ANN001, ANN202 - pairs of revisions of one key
    from itertools import pairwise

    from tests.simulation.checkers import by_key

    return [pair for history in by_key(world).values() for pair in pairwise(history)]
