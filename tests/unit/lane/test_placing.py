"""A copy: every record at its key's new place, in its order; and what a copy must be compared with."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.gate.connections import CONNECTIONS_KEY, Connection, connections_of, connections_record
from broker.lane.placing import Contents, Kept, Placing, strays
from schemas.keys import partition_of
from schemas.registry import envelopes

KEYS = st.integers(0, 40).map(lambda number: b"C-%d" % number)
VALUES = st.one_of(st.none(), st.binary(max_size=4))
HEADERS = st.lists(st.tuples(st.sampled_from(["a", "ab"]), st.binary(max_size=3)), max_size=2).map(tuple)


@given(st.lists(st.tuples(KEYS, VALUES, HEADERS)), st.integers(1, 9), st.integers(1, 9))
def test_each_record_is_copied_once_at_its_place_and_in_its_order(
    records: list[tuple[bytes, Any, Any]], before: int, after: int
) -> None:
    placing, copied = Placing("state.customer.2", before, after), list[Kept]()
    for partition in range(before):
        for key, value, headers in records:
            if partition_of(key, before) == partition:
                kept = placing.take(partition, key, value, headers)
                assert kept is not None
                copied.append(kept)
    assert placing.misplaced == 0 and placing.gathered() == []
    assert not [kept for kept in copied if strays(kept, after)]
    for key in {key for key, *_ in records}:
        assert [(v, h) for k, v, h in records if k == key] == [
            (k.value, k.headers) for k in copied if k.key == key
        ]


def test_what_was_never_at_its_place_is_left_behind() -> None:
    placing = Placing("state.customer.2", 4, 6)
    wrong = (partition_of(b"C-1", 4) + 1) % 4
    assert placing.take(wrong, b"C-1", b"x", ()) is None and placing.misplaced == 1
    assert strays(Kept(("state.customer.2", (partition_of(b"C-1", 6) + 1) % 6), b"C-1", b"x", ()), 6)


def test_what_was_ordered_for_one_partition_holds_for_all() -> None:
    """The breaker pauses in one partition alone; a confirmed incarnation is never taken back."""
    registry = envelopes()

    def record(**connections: Connection) -> bytes:
        return registry.codec.encode(registry.id_of("state"), connections_record(connections))

    placing = Placing("state.customer.2", 2, 3)
    resumed = Connection(incarnation=2, by="ana", since_ms=9)
    paused = Connection(paused=True, incarnation=1, by="solesource", note="n", since_ms=5)
    assert placing.take(0, CONNECTIONS_KEY, record(crm=paused), ()) is None
    assert placing.take(1, CONNECTIONS_KEY, record(crm=Connection(paused=True, since_ms=99)), ()) is None
    assert (
        placing.take(1, CONNECTIONS_KEY, record(crm=resumed, erp=resumed), ()) is None
    )  # the last one counts
    gathered = placing.gathered()
    assert [kept.place for kept in gathered] == [("state.customer.2", number) for number in range(3)]
    for kept in gathered:
        found = connections_of(registry.codec.decode(kept.value))
        assert found == {"crm": paused._replace(incarnation=2), "erp": resumed}
        assert not strays(kept, 3)


@given(
    st.lists(st.tuples(KEYS, VALUES, HEADERS), max_size=4),
    st.lists(st.tuples(KEYS, VALUES, HEADERS), max_size=4),
)
def test_contents_are_equal_only_when_every_byte_is(one: list[Any], other: list[Any]) -> None:
    def said(records: list[Any]) -> Any:
        contents = Contents()
        for record in records:
            contents.add(Kept(("t", 0), *record))
        assert contents.records == len(records)
        return contents.said()

    assert (said(one) == said(other)) == (one == other)
