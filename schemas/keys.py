"""Keys and partitions: one canonical form of a key, and the partition every client must agree on.

Pure. Kafka's Java clients place a key by murmur2; librdkafka's default partitioner agrees on 7% of keys only,
so a publisher sets `partitioner=murmur2_random` (docs/reference/wire-format.md).
"""

from __future__ import annotations

import unicodedata

KEY_LENGTH_MAX = 512
"""Longest canonical key, in bytes of UTF-8."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def canonical_key(identifier: str) -> bytes:
    """Key bytes of a record: UTF-8 of the identifier in Unicode form NFC, no framing.

    Raises ValueError for an empty identifier, or one above `KEY_LENGTH_MAX` bytes.
    """
    key = unicodedata.normalize("NFC", identifier).encode("utf-8")
    if not key or len(key) > KEY_LENGTH_MAX:
        msg = f"a key has 1 to {KEY_LENGTH_MAX} bytes of UTF-8, this one has {len(key)}"
        raise ValueError(msg)
    return key


def is_canonical(key: bytes) -> bool:
    """Whether these bytes are a key that `canonical_key` could have made."""
    if not key or len(key) > KEY_LENGTH_MAX:
        return False
    try:
        text = key.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return unicodedata.is_normalized("NFC", text)


def murmur2(key: bytes) -> int:
    """The 32-bit murmur2 hash of Kafka's Java client (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(key)
    h = (_SEED ^ length) & _MASK
    for start in range(0, length & ~3, 4):
        k = (int.from_bytes(key[start : start + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    tail = key[length & ~3 :]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among `partitions`: (murmur2 & 0x7fffffff) mod partitions, as the Java client does."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
