"""The pgoutput parser on bytes recorded from PostgreSQL 18, and what PostgreSQL's texts and codes mean."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.postgres.faults import SQLSTATES, Reaction, reaction_to
from connectors.postgres.lsn import lsn_of, lsn_text, version_at
from connectors.postgres.pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Ignored,
    Relation,
    RowChange,
    Truncate,
    UnknownMessage,
    parse_message,
)
from connectors.postgres.position import Position
from connectors.postgres.values import contract_value

LARGE = "x" * 3000
OID = 0x4FFA
COMMIT_LSN = 0x2EBC0F0
COMMIT_MS = 1_795_488_886_660
RELATION = (
    "5200004ffa7075626c696300637573746f6d6572730064000301637573746f6d65725f69640000000019ffffffff"
    "006e616d650000000019ffffffff006269670000000019ffffffff"
)
RECORDED: list[tuple[str, Any]] = [
    ("420000000002ebc0f0000303fb98d79c6e000003a8", Begin(COMMIT_LSN, 0)),
    (
        RELATION,
        Relation(OID, "public", "customers", ("customer_id", "name", "big"), frozenset({"customer_id"})),
    ),
    (
        "4900004ffa4e00037400000003432d317400000003416e6e7400000bb8" + "78" * 3000,
        RowChange(OID, None, ("C-1", "Ann", LARGE)),
    ),
    ("5500004ffa4e00037400000003432d316e75", RowChange(OID, None, ("C-1", None, UNCHANGED))),
    (
        "5500004ffa4b00037400000003432d316e6e4e00037400000003432d326e75",
        RowChange(OID, ("C-1", None, None), ("C-2", None, UNCHANGED)),
    ),
    ("4400004ffa4b00037400000003432d326e6e", RowChange(OID, ("C-2", None, None), None)),
    ("43000000000002ebc0f00000000002ebc120000303fb98d79c6e", Commit(COMMIT_LSN, 0x2EBC120, 0)),
    ("54000000010000004ffa", Truncate((OID,))),
    ("4f00000000000000006f726967696e00", Ignored("O")),
]


@pytest.mark.parametrize(("recorded", "expected"), RECORDED)
def test_recorded_messages(recorded: str, expected: Any):
    found = parse_message(bytes.fromhex(recorded))
    if isinstance(found, Begin):
        assert found.commit_lsn == expected.commit_lsn
    elif isinstance(found, Commit):
        assert (found.commit_lsn, found.end_lsn) == (expected.commit_lsn, expected.end_lsn)
    else:
        assert found == expected


def test_commit_times_count_from_1970():
    found = parse_message(bytes.fromhex(RECORDED[0][0]))
    assert isinstance(found, Begin)
    assert datetime.fromtimestamp(found.commit_ms / 1000, UTC).date() == date(2026, 11, 24)


@pytest.mark.parametrize("recorded", [text for text, _ in RECORDED if not text.startswith(("4f", "54"))])
def test_a_message_cut_short_is_unknown_never_misread(recorded: str):
    whole = bytes.fromhex(recorded)
    for length in {0, 1, 4, 6, len(whole) // 2, len(whole) - 1}:
        with pytest.raises(UnknownMessage):
            parse_message(whole[:length])


@pytest.mark.parametrize("hostile", [b"Z", b"I\0\0\0\1X", b"I\0\0\0\1N\0\1q", b"D\0\0\0\1N\0\0", b"\xff"])
def test_what_is_no_message_is_unknown(hostile: bytes):
    with pytest.raises(UnknownMessage) as caught:
        parse_message(hostile)
    assert caught.value.code == "postgres.unknown_message"


def test_versions_sort_as_bytes_in_the_order_of_commits():
    ordered = [
        version_at(lsn_of(lsn), index)
        for lsn, index in [
            ("0/FF", 0),
            ("0/FF", 1),
            ("0/FF", 12),
            ("0/1000", 1),
            ("1/0", 1),
            ("A/0", 99_999_999),
        ]
    ]
    values = [version.value.encode() for version in ordered]
    assert values == sorted(values)
    assert ordered[0].value == "00000000000000FF.00000000"
    assert lsn_text(lsn_of("16/B374D848")) == "16/B374D848"


def test_a_position_survives_its_text():
    for position in (Position(5), Position(5, "customer"), Position(5, "customer", "C-1")):
        assert Position.parse(position.text()) == position


DECIMAL = ["null", {"type": "bytes", "logicalType": "decimal", "precision": 16, "scale": 2}]
TEXTS = [
    ("10.50", DECIMAL, Decimal("10.50")),
    (None, DECIMAL, None),
    ("t", "boolean", True),
    ("false", "boolean", False),
    ("42", ["null", "long"], 42),
    ("1.5", "double", 1.5),
    ("\\x00ff", "bytes", b"\x00\xff"),
    ("2026-11-24", {"type": "int", "logicalType": "date"}, date(2026, 11, 24)),
    (
        "2026-11-24 02:00:00.5+00",
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(2026, 11, 24, 2, 0, 0, 500_000, UTC),
    ),
    ('{"a": 1}', {"type": "map", "values": "int"}, {"a": 1}),
    ("O'Neil", "string", "O'Neil"),
    ("not a number", "long", "not a number"),  # the codec finds it unfit: held, not coerced
    ("maybe", "boolean", "maybe"),
]


@pytest.mark.parametrize(("text", "schema", "expected"), TEXTS)
def test_texts_become_contract_values(text: str | None, schema: Any, expected: Any):
    assert contract_value(text, schema) == expected


@pytest.mark.parametrize(("start", "reaction"), [(row[0], row[1]) for row in SQLSTATES])
def test_every_row_of_the_error_table_is_reached(start: str, reaction: Reaction):
    assert reaction_to(start.ljust(5, "0"))[0] is reaction


@pytest.mark.parametrize(
    ("sqlstate", "reaction"),
    [
        (None, Reaction.LOST),
        ("40P01", Reaction.RETRY),
        ("42501", Reaction.FAIL),
        ("23505", Reaction.FAIL),
        ("57014", Reaction.RETRY),
        ("57P01", Reaction.LOST),
        ("22001", Reaction.FAIL),
        ("XX000", Reaction.RETRY),
    ],
)
def test_sqlstates(sqlstate: str | None, reaction: Reaction):
    assert reaction_to(sqlstate)[0] is reaction
