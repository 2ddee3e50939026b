"""The source version at the front of an event id, and what may be compared."""

from __future__ import annotations

import pytest

from schemas.version import SourceVersion, VersionKind, event_id, version_of


@pytest.mark.parametrize(
    ("text", "kind", "incarnation", "value"),
    [
        ("seq:0:0001", VersionKind.SEQUENCE, 0, "0001"),
        ("seq:2:0001/x:y", VersionKind.SEQUENCE, 2, "0001"),
        ("time:0:2026-11-24T02:00:00/C-42", VersionKind.COARSE, 0, "2026-11-24T02:00:00"),
        ("any:0:r1", VersionKind.ARRIVAL, 0, "r1"),
        ("a-uuid", VersionKind.ARRIVAL, 0, "a-uuid"),
        ("seq:x:1", VersionKind.ARRIVAL, 0, "seq:x:1"),
        ("seq:\u00b2:1", VersionKind.ARRIVAL, 0, "seq:\u00b2:1"),
        ("lsn:0:1", VersionKind.ARRIVAL, 0, "lsn:0:1"),
        ("seq:1", VersionKind.ARRIVAL, 0, "seq:1"),
    ],
)
def test_what_an_id_carries(text: str, kind: VersionKind, incarnation: int, value: str) -> None:
    assert version_of(text) == SourceVersion(kind, incarnation, value)


def test_an_id_made_is_an_id_read() -> None:
    version = SourceVersion(VersionKind.SEQUENCE, 1, "0009")
    assert event_id(version) == "seq:1:0009" and event_id(version, "C-1") == "seq:1:0009/C-1"
    assert version_of(event_id(version, "C-1")) == version


@pytest.mark.parametrize(
    ("one", "other", "older", "same"),
    [
        ("seq:0:1", "seq:0:2", True, False),
        ("seq:0:2", "seq:0:1", False, False),
        ("seq:0:1/a", "seq:0:1/b", False, True),
        ("seq:0:9", "seq:1:1", True, False),
        ("seq:1:1", "seq:0:9", False, False),
        ("time:0:1", "time:0:2", True, False),
        ("time:0:1/a", "time:0:1/b", False, False),
        ("any:0:1", "any:0:2", False, False),
        ("seq:0:1", "time:0:2", False, False),
        ("any:0:x", "any:0:x", False, False),
    ],
)
def test_what_is_older(one: str, other: str, *, older: bool, same: bool) -> None:
    assert version_of(one).older_than(version_of(other)) is older
    assert version_of(one).same_as(version_of(other)) is same
