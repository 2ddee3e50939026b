"""Headers of a change event: what is read, and what of a careless or hostile writer is refused by name."""

from __future__ import annotations

import pytest

from schemas.envelope import change_headers, format_time, parse_change, parse_time_ms
from schemas.errors import MalformedEnvelope

GOOD = {
    "ce_specversion": b"1.0",
    "ce_id": b"seq:0:01",
    "ce_source": b"/crm",
    "ce_type": b"customer.upsert",
    "ce_time": b"2026-11-24T10:00:00.123456Z",
    "ce_fields": b"name,email",
}


def test_what_is_said_is_read() -> None:
    said = parse_change([*GOOD.items(), ("ce_unavailable", b"phone"), ("traceparent", b"00-1")])
    assert (said.event_id, said.source, said.object, said.deletes) == ("seq:0:01", "/crm", "customer", False)
    assert said.fields == {"name", "email"} and said.unavailable == {"phone"}
    assert said.time_ms == 1795514400123
    assert said.time == b"2026-11-24T10:00:00.123456Z", "the time goes on as it was sent"


def test_headers_made_are_headers_read() -> None:
    made = change_headers(
        event_id="x", system="erp", object_name="customer", time_ms=5, fields=None, unavailable=["b", "a"]
    )
    said = parse_change(made)
    assert len(made) == 7 and said.fields is None and said.unavailable == {"a", "b"} and said.time_ms == 5
    gone = change_headers(event_id="x", system="erp", object_name="c", time_ms=5, fields=(), deletes=True)
    assert parse_change(gone).deletes and len(gone) == 6


def test_an_empty_list_of_unavailable_fields_is_none() -> None:
    assert parse_change([*GOOD.items(), ("ce_unavailable", b"")]).unavailable == frozenset()


def test_a_delete_needs_no_list_of_fields() -> None:
    headers = {**GOOD, "ce_type": b"customer.delete"}
    del headers["ce_fields"]
    assert parse_change(list(headers.items())).fields is None


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        *((name, None, f"header {name} is missing") for name in GOOD),
        ("ce_specversion", b"0.3", "ce_specversion is not 1.0"),
        ("ce_id", b"", "ce_id is empty"),
        ("ce_id", b"x" * 4097, "ce_id is empty or longer than 4096"),
        ("ce_id", b"\xff", "header ce_id cannot be read"),
        ("ce_source", b"\xff", "header ce_source cannot be read"),
        ("ce_type", b"customer", "ce_type must be"),
        ("ce_type", b".upsert", "ce_type must be"),
        ("ce_type", b"customer.merge", "ce_type must be"),
        ("ce_type", b"\xff.upsert", "header ce_type cannot be read"),
        ("ce_time", b"noon", "header ce_time cannot be read"),
        ("ce_time", b"2026-11-24T10:00:00", "header ce_time cannot be read"),
        ("ce_time", b"2026-11-24", "header ce_time cannot be read"),
        ("ce_time", b"2026-W48-2T10:00:00Z", "header ce_time cannot be read"),
        ("ce_time", b"2026-13-24T10:00:00Z", "header ce_time cannot be read"),
        ("ce_time", b"9999-12-31T23:59:59.999999Z", "header ce_time cannot be read"),
        ("ce_time", b"0001-01-01T00:00:00+14:00", "header ce_time cannot be read"),
        ("ce_fields", b"", "ce_fields is empty"),
        ("ce_fields", b",,", "ce_fields lists no field"),
        ("ce_fields", b"\xff", "header ce_fields cannot be read"),
        ("ce_fields", b"f," * 2049, "ce_fields is empty or longer than 4096"),
        ("ce_unavailable", b"f," * 2049, "ce_unavailable is empty or longer"),
        ("ce_unavailable", b"\xff", "header ce_unavailable cannot be read"),
        ("ce_unavailable", b"*", "ce_unavailable lists every field"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(header: str, value: bytes | None, said: str) -> None:
    headers = {**GOOD, header: value}
    if value is None:
        del headers[header]
    with pytest.raises(MalformedEnvelope, match=said):
        parse_change(list(headers.items()))  # type: ignore[arg-type]


@pytest.mark.parametrize("header", GOOD)
def test_a_null_header_is_refused(header: str) -> None:
    with pytest.raises(MalformedEnvelope):
        parse_change(list({**GOOD, header: None}.items()))  # type: ignore[arg-type]


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(MalformedEnvelope, match="33 headers, at most 32"):
        parse_change([("x", b"")] * 33)


@pytest.mark.parametrize("ms", [0, -1, 1_795_514_400_123, -62_135_596_800_000, 253_402_300_799_999], ids=str)
def test_every_time_that_is_read_can_be_written_and_read_again(ms: int) -> None:
    assert parse_time_ms(format_time(ms)) == ms
