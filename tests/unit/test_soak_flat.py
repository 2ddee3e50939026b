"""The judge of a soak finds what rises, and lets be what only moves to and fro."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.chaos.flat import Sample, findings, trend

WARM_S, LEAST_S = 60.0, 120.0


def life(
    seconds: int = 600,
    *,
    rss: Callable[[float], float] = lambda _: 100.0,
    descriptors: Callable[[float], int] = lambda _: 40,
    tasks: Callable[[float], int] = lambda _: 30,
) -> list[Sample]:
    """Samples of one process, each ten seconds, with chance in what it holds."""
    dice = random.Random(7)
    return [
        Sample(
            float(age),
            float(age),
            rss(age) + dice.uniform(-2, 2),
            descriptors(age) + dice.randrange(3),
            12,
            tasks(age) + dice.randrange(5),
        )
        for age in range(0, seconds, 10)
    ]


def test_the_line_goes_through_what_lies_on_one() -> None:
    found = trend([(age, 3 + 0.5 * age) for age in range(10, 60)])
    assert (round(found.begin, 6), round(found.end, 6)) == (8, 32.5)
    assert trend([(5.0, 7.0)]).rise == 0


def test_what_only_moves_to_and_fro_is_flat() -> None:
    assert findings([life() for _ in range(6)], WARM_S, LEAST_S) == []


def test_warming_up_is_no_leak() -> None:
    assert findings([life(rss=lambda age: 60 + min(age, 60) * 0.7)], WARM_S, LEAST_S) == []


@pytest.mark.parametrize(
    ("leaking", "word"),
    [
        (life(rss=lambda age: 100 + age * 0.02), "memory"),
        (life(descriptors=lambda age: 40 + int(age // 60)), "descriptors"),
        (life(tasks=lambda age: 30 + int(age // 30)), "tasks"),
    ],
)
def test_what_rises_is_named(leaking: list[Sample], word: str) -> None:
    (said,) = findings([life(), leaking], WARM_S, LEAST_S)
    assert said.startswith(f"worker 2: {word} rose")


def test_lives_that_each_begin_higher_are_found_out() -> None:
    """As when what one leaves on disk makes the next one larger."""
    lives = [life(rss=lambda _, more=more: 100.0 + 6 * more) for more in range(6)]  # type: ignore[misc]
    (said,) = findings(lives, WARM_S, LEAST_S)
    assert "later workers hold" in said


def test_lives_that_were_too_short_say_nothing_and_that_is_said() -> None:
    assert "nothing can be said" in findings([life(100)], WARM_S, LEAST_S)[0]
    unheard = life(tasks=lambda _: -6)
    assert "nothing is known of its tasks" in findings([unheard], WARM_S, LEAST_S)[0]
