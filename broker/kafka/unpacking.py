"""What a compressed batch may become in memory, for every consumer of this process. The second patch of aiokafka.

The hazard: a batch of 40 kB that becomes 1 GB. Kafka takes it, whatever `max.message.bytes` says, which counts what is
sent; its own brokers look through it piece by piece. aiokafka unpacks it at once, the process is killed for want of
memory, and so is the next one that gets there: one record would end the gate for ever.

The rule: nothing is unpacked to more than `UNPACKED_MAX`. The records of a batch that would be are not read. In place
of each comes one without key and headers, whose value is longer than any that is read: it is held by reference as *too
large*, at its own offset, like every other value of that size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from gzip import GzipFile
from io import BytesIO
from types import ModuleType
from typing import Any, NamedTuple

import aiokafka
import cramjam
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as compiled

from schemas.codec import VALUE_LENGTH_MAX

UNPACKED_MAX = 16 * 1024 * 1024
"""Bytes. Clients fill a batch to 1 MiB before it is compressed, unless told otherwise."""
_FIRST_ROOM, _MORE = 64 * 1024, 8
TOO_LARGE = bytes(VALUE_LENGTH_MAX + 1)
Unpack = Callable[[Any], bytes]


class UnpacksTooLarge(Exception):
    """A batch would be larger than any that is read, or is not compressed as it says."""


class StandIn(NamedTuple):
    """In place of a record that is not read."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: None = None
    value: bytes = TOO_LARGE
    headers: tuple[()] = ()
    checksum: None = None


def _into(unpack: Callable[[Any, Any], int]) -> Unpack:
    """Unpacks into more and more room, until it is enough or too much."""

    def unpacked(payload: Any) -> bytes:
        room = max(_FIRST_ROOM, _MORE * len(payload))
        while True:
            room = min(room, UNPACKED_MAX)
            buffer = bytearray(room)
            try:
                length = unpack(payload, buffer)
            except cramjam.DecompressionError as error:
                if room == UNPACKED_MAX:
                    raise UnpacksTooLarge from error
                room *= _MORE
            else:
                return bytes(memoryview(buffer)[:length])

    return unpacked


def _gzip(payload: Any) -> bytes:
    try:
        with GzipFile(fileobj=BytesIO(payload), mode="r") as file:
            found = file.read(UNPACKED_MAX + 1)
    except (OSError, EOFError) as error:
        raise UnpacksTooLarge from error
    if len(found) > UNPACKED_MAX:
        raise UnpacksTooLarge
    return found


def _snappy(payload: Any) -> bytes:
    """Its blocks say how large they become."""
    view = memoryview(payload)
    blocks = [view]
    if codec._detect_xerial_stream(view):  # noqa: SLF001 - aiokafka's own reading of that form
        blocks, at = [], 16
        while at < len(view):
            length = int.from_bytes(view[at : at + 4], "big", signed=True)
            if length <= 0:
                raise UnpacksTooLarge
            blocks.append(view[at + 4 : at + 4 + length])
            at += 4 + length
    try:
        if sum(cramjam.snappy.decompress_raw_len(bytes(block)) for block in blocks) > UNPACKED_MAX:
            raise UnpacksTooLarge
        return b"".join(bytes(cramjam.snappy.decompress_raw(bytes(block))) for block in blocks)
    except cramjam.DecompressionError as error:
        raise UnpacksTooLarge from error


UNPACKS: dict[str, Unpack] = {
    "gzip_decode": _gzip,
    "snappy_decode": _snappy,
    "lz4_decode": _into(cramjam.lz4.decompress_into),
    "zstd_decode": _into(cramjam.zstd.decompress_into),
}


class _Batch:
    """A compressed batch whose records are read, or stood in for."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        try:
            yield from batch
        except UnpacksTooLarge:  # before its first record: it is unpacked whole
            for offset in range(batch.base_offset, batch.next_offset):
                yield StandIn(offset, batch.max_timestamp, batch.timestamp_type)


class _Records:
    """The batches of a fetch."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return _Batch(batch) if batch.compression_type else batch


class LimitedRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's reading of a fetched partition, within the limit."""

    def __init__(self, tp: Any, records: Any, *more: Any) -> None:
        super().__init__(tp, _Records(records), *more)


def limit_unpacking() -> None:
    """Hold every consumer of this process to the limit, from here on."""
    for module in _unpacking():
        for name, unpack in UNPACKS.items():
            setattr(module, name, unpack)
    fetcher.PartitionRecords = LimitedRecords


def _unpacking() -> tuple[ModuleType, ...]:
    return compiled, default_records


def _unlike_expected() -> list[str]:
    """What of aiokafka is not as this module takes it to be."""
    expected = {
        "the version is 0.14": aiokafka.__version__.startswith("0.14."),
        "PartitionRecords(tp, records, ...)": list(
            inspect.signature(fetcher.PartitionRecords.__init__).parameters
        )[:3]
        == ["self", "tp", "records"],
        "batches are unpacked by functions of these names": all(
            hasattr(module, name) for module in _unpacking() for name in UNPACKS
        ),
    }
    return [what for what, holds in expected.items() if not holds]


if _unlike := _unlike_expected():
    raise ImportError(
        f"aiokafka {aiokafka.__version__} is not as {__name__} knows it: {'; '.join(_unlike)}. "
        "Read there which hazard it holds off, and adapt it, before another aiokafka is used."
    )
