"""Latency in fixed buckets: sketches of many processes add up, and a negative hop keeps its sign (I8)."""

from __future__ import annotations

from schemas.hops import BOUNDS_MS, Sketch, sketches_of
from tests.envelopes import sketch


def test_sketches_add_up() -> None:
    whole, one, other = sketch(3, 70, 9_000_000), sketch(3), sketch(70, 9_000_000)
    one.merge(other)
    assert one == whole and whole.count == 3 and whole.sum_ms == 9_000_073 and whole.max_ms == 9_000_000


def test_quantiles_are_upper_bounds() -> None:
    assert Sketch().quantile_ms(0.5) is None
    many = sketch(*([4] * 98), 40, 5_000_000)
    assert many.quantile_ms(0.5) == 5 and many.quantile_ms(0.99) == 50
    assert many.quantile_ms(1.0) == 5_000_000, "the last bucket has the maximum as its bound"
    assert sketch(4).quantile_ms(0.5) == 4, "never above what was measured"
    assert sketch(*BOUNDS_MS).quantile_ms(1.1) == BOUNDS_MS[-1], "more than all is all"


def test_a_negative_hop_is_not_clamped() -> None:
    # I8: two clocks; the sum and the maximum keep the sign
    ahead = sketch(-40, -30)
    assert (ahead.sum_ms, ahead.max_ms) == (-70, -30)
    ahead.merge(Sketch())
    assert ahead.max_ms == -30
    nothing = Sketch()
    nothing.merge(ahead)
    assert nothing.max_ms == -30


def test_as_in_an_acknowledgement() -> None:
    assert sketches_of([sketch(3, 70).record("end_to_end")]) == {"end_to_end": sketch(3, 70)}
