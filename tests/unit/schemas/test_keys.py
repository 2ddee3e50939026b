"""Keys and the partition every client must agree on."""

from __future__ import annotations

import pytest

from schemas.keys import KEY_LENGTH_MAX, canonical_key, is_canonical, murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # org.apache.kafka.common.utils.UtilsTest
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF
    assert partition_of(key, 7) == (signed & 0x7FFFFFFF) % 7


def test_one_form_of_a_key() -> None:
    assert canonical_key("Zoë") == canonical_key("Zoe\u0308") == "Zoë".encode()
    assert is_canonical("Zoë".encode()) and not is_canonical("Zoe\u0308".encode())


@pytest.mark.parametrize("key", [b"", b"\xff", b"x" * (KEY_LENGTH_MAX + 1)])
def test_not_a_key(key: bytes) -> None:
    assert not is_canonical(key)


@pytest.mark.parametrize("identifier", ["", "x" * (KEY_LENGTH_MAX + 1)])
def test_no_key_can_be_made(identifier: str) -> None:
    with pytest.raises(ValueError, match="a key has 1 to 512 bytes"):
        canonical_key(identifier)
