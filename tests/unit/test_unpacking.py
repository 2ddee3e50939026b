"""A compressed batch becomes as large as is allowed and no larger; what it would have been is held at its offsets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition, codec
from aiokafka.consumer import fetcher
from aiokafka.record import memory_records
from aiokafka.record._crecords import default_records as compiled

from broker.gate.change import Position, read
from broker.gate.reason import Reason
from broker.kafka import unpacking
from broker.kafka.unpacking import TOO_LARGE, UNPACKED_MAX, UNPACKS, LimitedRecords, UnpacksTooLarge
from broker.rules import rules_of
from tests.gate_parts import map_texts

PLACE = TopicPartition("changes.crm.customer", 0)
CODECS = {"gzip_decode": 1, "snappy_decode": 2, "lz4_decode": 3, "zstd_decode": 4}
ENCODE = {name: getattr(codec, name.replace("decode", "encode")) for name in CODECS}
MEMORY_MAX = 64 * 1024 * 1024


@pytest.fixture(autouse=True)
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a gate's process; undone after each test."""
    for module in unpacking._unpacking():
        for name in UNPACKS:
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    unpacking.limit_unpacking()


def batch(compression: int, values: list[bytes], first: int = 0) -> bytes:
    builder = compiled.DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 30)
    for number, value in enumerate(values):
        builder.append(number, 1_795_000_000_000, b"K", value, [("n", b"%d" % number)])
    built = builder.build()
    return first.to_bytes(8, "big") + bytes(built[8:])


def records(*batches: bytes) -> Iterator[Any]:
    fetched = memory_records.MemoryRecords(b"".join(batches))
    yield from fetcher.PartitionRecords(PLACE, fetched, [], 0, None, None, False, 0)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("length", [1, 40_000, 3_000_000, UNPACKED_MAX])
def test_what_is_within_the_limit_comes_out_as_it_was(name: str, length: int) -> None:
    given = bytes(range(256)) * (length // 256 + 1)
    assert UNPACKS[name](ENCODE[name](given[:length])) == given[:length]


@pytest.mark.parametrize("name", CODECS)
def test_what_is_larger_is_never_in_memory(name: str) -> None:
    packed = ENCODE[name](bytes(12 * UNPACKED_MAX))
    tracemalloc.start()
    with pytest.raises(UnpacksTooLarge):
        UNPACKS[name](packed)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MEMORY_MAX


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("cut", [1, 7, 40])
def test_what_is_not_compressed_as_it_says_is_not_read(name: str, cut: int) -> None:
    packed = ENCODE[name](bytes(range(256)) * 400)
    with pytest.raises(UnpacksTooLarge):
        UNPACKS[name](packed[:-cut])


def test_snappy_without_blocks_is_read_too() -> None:
    given = bytes(range(256)) * 100
    assert UNPACKS["snappy_decode"](codec.snappy_encode(given, xerial_compatible=False)) == given
    with pytest.raises(UnpacksTooLarge):
        UNPACKS["snappy_decode"](codec.snappy_encode(bytes(2 * UNPACKED_MAX), xerial_compatible=False))


@pytest.mark.parametrize("name", CODECS)
def test_each_record_of_a_batch_that_is_too_large_is_stood_in_for(name: str) -> None:
    compression = CODECS[name]
    large = [bytes(UNPACKED_MAX // 2)] * 3
    found = list(records(batch(compression, [b"a", b"b"]), batch(compression, large, 2), batch(0, [b"z"], 5)))
    assert [(one.offset, one.key) for one in found] == [
        (0, b"K"),
        (1, b"K"),
        (2, None),
        (3, None),
        (4, None),
        (5, b"K"),
    ]
    assert [one.value for one in (found[0], found[1], found[5])] == [b"a", b"b", b"z"]
    assert {one.value for one in found[2:5]} == {TOO_LARGE}
    assert {one.timestamp for one in found} == {1_795_000_000_000}


def test_it_is_held_as_too_large_at_its_own_offset() -> None:
    _, standing, _ = records(batch(4, [b"a"]), batch(4, [bytes(2 * UNPACKED_MAX)], 1), batch(4, [b"b"], 2))
    rules = rules_of(map_texts(), 1)
    change = read(
        rules.ownership_map,
        rules.readers,
        object_name="customer",
        system="crm",
        key=standing.key,
        position=Position(standing.topic, standing.partition, standing.offset),
        received_ms=standing.timestamp,
        headers=standing.headers,
        value=standing.value,
    )
    assert change.fault is not None and change.fault.reason is Reason.TOO_LARGE
    assert change.position.offset == 1


def test_without_the_limit_it_is_all_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hazard: why the limit is there, and that aiokafka still unpacks by these names."""
    unpacked: list[int] = []
    monkeypatch.setattr(
        compiled, "zstd_decode", lambda packed: unpacked.append(len(packed)) or codec.zstd_decode(packed)
    )
    (found,) = records(batch(4, [bytes(4 * UNPACKED_MAX)]))
    assert len(found.value) == 4 * UNPACKED_MAX and len(unpacked) == 1


def test_reading_goes_on_where_it_was_told_to_within_a_batch() -> None:
    fetched = memory_records.MemoryRecords(batch(4, [b"a", b"b", b"c"]))
    reading = LimitedRecords(PLACE, fetched, [], 1, None, None, False, 0)
    assert [one.value for one in reading] == [b"b", b"c"] and reading.next_fetch_offset == 3
