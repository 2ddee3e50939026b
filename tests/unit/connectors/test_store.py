"""The connector's memory and its pauses."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connectors.sdk.pacing import backoff_ms, pause
from connectors.sdk.store import AppliedRevision, Store


def test_positions_and_revisions_survive_a_restart(tmp_path: Path):
    store = Store(tmp_path / "deep" / "store.sqlite")
    store.keep_position("source", "p1")
    store.keep_applied(
        [("customer", b"a", AppliedRevision(5, False)), ("customer", b"b", AppliedRevision(2, True, "g1"))]
    )
    store.close()
    store = Store(tmp_path / "deep" / "store.sqlite")
    assert store.position("source") == "p1"
    assert store.position("other") is None
    store.keep_applied(
        [
            ("customer", b"a", AppliedRevision(4, False, "g1")),
            ("customer", b"b", AppliedRevision(3, False, "g1", frozenset({"name", "email"}))),
        ]
    )
    assert store.applied("customer", [b"a", b"b", b"c"]) == {
        b"a": AppliedRevision(5, False),
        b"b": AppliedRevision(3, False, "g1", frozenset({"name", "email"})),
    }
    assert store.applied("order", [b"a"]) == {}
    store.keep_position("source", None)
    assert store.position("source") is None
    store.close()


def test_shelves_are_apart_and_take_many():
    store = Store(":memory:")
    one, two = store.shelf("one"), store.shelf("two")
    one.put({str(number): "x" for number in range(1200)})
    assert len(one.get(map(str, range(2000)))) == 1200
    assert two.get(["1"]) == {}
    store.close()


def test_back_off_doubles_to_a_limit():
    assert [backoff_ms(attempt) for attempt in (0, 1, 2, 3, 6, 7, 1000)] == [
        200,
        200,
        400,
        800,
        6400,
        10_000,
        10_000,
    ]


async def test_a_pause_ends_early_on_stop_or_nudge():
    stop, nudge = asyncio.Event(), asyncio.Event()
    nudge.set()
    async with asyncio.timeout(1):
        await pause(60_000, stop, nudge)
        assert not nudge.is_set()
        stop.set()
        await pause(60_000, stop)
