"""Headers of an authoritative record: written by the gate, read by every sink and by the gate's own replay."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.authoritative import (
    authoritative_headers,
    format_owners,
    parse_authoritative,
    parse_owners,
    parse_revision,
)
from schemas.errors import MalformedEnvelope

OWNERS = (("crm", "seq:0:01", None), ("erp", "a;b=c%3D", frozenset({"credit_limit"})))


def headers(**changed: Any) -> list[tuple[str, bytes]]:
    given: dict[str, Any] = {
        "object_name": "customer",
        "key": b"C-1",
        "revision": 3,
        "deleted": False,
        "time_ms": 1_795_514_400_123,
        "system": "crm",
        "event_id": "seq:0:01/x",
        "changed": ["name", "email"],
        "owners": format_owners(OWNERS),
        "map_version": 7,
        "ingress_ms": 9,
    }
    return authoritative_headers(**given | changed)


def test_what_is_written_is_read() -> None:
    said = parse_authoritative(headers(reassert=("erp", ["name"])))
    assert (said.object, said.deleted, said.revision, said.time_ms) == (
        "customer",
        False,
        3,
        1_795_514_400_123,
    )
    assert said.causation == ("crm", "seq:0:01/x") and said.changed == {"name", "email"}
    assert said.owners == OWNERS and (said.map_version, said.ingress_ms) == (7, 9)
    assert said.reassert == ("erp", frozenset({"name"}))
    assert said.owned_by("erp", ["name", "credit_limit"]) == {"credit_limit"}
    assert said.owned_by("crm", ["name", "credit_limit"]) == {"name"}


def test_what_a_state_holds_is_read_alike() -> None:
    said = parse_authoritative(headers())
    whole = (said.revision, said.owners, said.ingress_ms)
    again = headers(reassert=("erp", ["name"]))
    for made in (headers(), again, headers()[::-1], again[::-1], [*headers(), ("later", b"x")]):
        assert parse_revision(made) == whole


def test_no_more_headers_than_needed() -> None:
    assert len(headers()) == 10
    assert parse_authoritative(headers(deleted=True)).deleted


def test_a_time_goes_on_as_it_was_sent() -> None:
    sent = b"2026-11-24T11:00:00.123456+01:00"
    made = headers(time=sent)
    assert dict(made)["ce_time"] == sent  # I6: nothing of it is cut off
    assert parse_authoritative(made).time_ms == 1_795_514_400_123


def test_owners_of_nothing() -> None:
    assert parse_owners(format_owners(())) == ()


@pytest.mark.parametrize("missing", ["ce_type", "ce_time", "ce_causationid", "ce_revision", "ce_owners"])
def test_what_the_gate_did_not_write_is_refused(missing: str) -> None:
    with pytest.raises(MalformedEnvelope, match="not an authoritative record"):
        parse_authoritative([header for header in headers() if header[0] != missing])
    with pytest.raises(MalformedEnvelope, match="not an authoritative record"):
        parse_authoritative([*headers(), ("ce_revision", b"x")])
    with pytest.raises(MalformedEnvelope, match="not an authoritative record"):
        parse_revision([*headers(), ("ce_revision", b"x")])
