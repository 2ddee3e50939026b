"""How many revisions each slot must have written, over several generations of an object's topics."""

from __future__ import annotations

from broker.lane.written import in_all, written


def test_in_the_first_generation_the_last_revision_says_it() -> None:
    last = {b"a": (0, 3), b"b": (0, 1), b"c": (1, 7)}
    assert written([last]) == {0: 4, 1: 7} and in_all([last]) == 11


def test_in_a_later_one_a_slot_wrote_what_came_on_top() -> None:
    first = {b"a": (0, 3), b"b": (0, 1)}
    second = {b"a": (1, 5), b"b": (2, 1), b"new": (2, 4)}
    assert written([first, second]) == {0: 4, 1: 2, 2: 0}, "of a new record nobody knows which life it is"
    assert in_all([first, second]) == 10


def test_what_is_not_known_accuses_nobody() -> None:
    second = {b"a": (1, 5)}
    assert +written([None, second]) == {} and in_all([None, second]) == 5
    third = {b"a": (0, 6)}
    assert +written([None, second, third]) == {0: 1} and in_all([None, second, third]) == 6
    assert +written([second, None, third]) == {1: 5}
