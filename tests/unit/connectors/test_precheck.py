"""A source looks at what it was told before it sends: what it says, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from connectors.sdk.access import KafkaAccess
from connectors.sdk.precheck import NotYours, Precheck
from connectors.sdk.source import ChangeEvent
from schemas.version import SourceVersion, VersionKind

ACCESS = KafkaAccess("127.0.0.1:1", "erp", "secret")
TERMS = {
    "since_ms": 0,
    "owners": {"customer_id": "crm", "name": "crm", "credit_limit": "erp"},
    "create": "crm",
    "delete": "crm",
    "on_violation": "reject",
    "observed": False,
}


class SaidBefore:
    """In place of the topic: what was told."""

    def __init__(self, said: Mapping[str, Any], *, away: bool = False) -> None:
        self.said = said
        self.away = away
        self.closed = 0

    async def is_there(self) -> bool:
        if self.away:
            raise KafkaConnectionError
        return True

    async def listen(self) -> None: ...

    async def close(self) -> None:
        self.closed += 1


def told(terms: Mapping[str, Any] = TERMS, *, version: int = 1) -> dict[str, Any]:
    return {
        "system": "erp",
        "object": "customer",
        "map_version": version,
        "key_field": "customer_id",
        "terms": [dict(terms)],
    }


def precheck(said: Mapping[str, Any], *, away: bool = False) -> Precheck:
    made = Precheck(ACCESS, "erp")
    made._told = SaidBefore(said, away=away)  # type: ignore[assignment]
    return made


def event(*fields: str, deletes: bool = False, number: int = 1) -> ChangeEvent:
    version = SourceVersion(VersionKind.SEQUENCE, 0, f"{number:08d}")
    named = frozenset(fields) if fields else None
    return ChangeEvent("customer", "C-1", version, 0, {}, deletes=deletes, fields=None if deletes else named)


async def warned(made: Precheck, *events: ChangeEvent) -> list[dict[str, Any]]:
    with capture_logs() as logs:
        await made.look()
        made.examine(events)
    return [dict(line) for line in logs if line["log_level"] == "warning"]


async def test_fields_of_others_are_told_at_once_and_once() -> None:
    made = precheck({"customer": told()})
    (line,) = await warned(made, event("customer_id", "name", "credit_limit"), event("name", number=2))
    assert line["event"] == "precheck.not_own" and line["owners"] == {"name": "crm"}
    assert line["what_follows"] == "another value than the owner's is refused"
    assert await warned(made, event("name", number=3)) == []
    made._told.said = {"customer": told(version=2)}
    assert len(await warned(made, event("name", number=4))) == 1


async def test_its_own_fields_and_full_images_say_nothing() -> None:
    made = precheck({"customer": told()})
    assert await warned(made, event("credit_limit"), event()) == []


async def test_an_end_that_is_not_its_to_say_is_told() -> None:
    (line,) = await warned(precheck({"customer": told()}), event(deletes=True))
    assert line["owners"] == {"(end of the record)": "crm"}
    assert await warned(precheck({"customer": told(TERMS | {"delete": "erp"})}), event(deletes=True)) == []


async def test_a_system_that_is_only_watched_is_told_so() -> None:
    (line,) = await warned(precheck({"customer": told(TERMS | {"observed": True})}), event("name"))
    assert line["what_follows"] == "it is only watched"


async def test_what_is_not_its_to_send_does_not_leave() -> None:
    with pytest.raises(NotYours, match="erp may not send changes of customer"):
        precheck({"customer": None}).examine([event()])


@pytest.mark.parametrize("away", [True, False])
async def test_without_a_word_of_the_broker_it_sends_as_before(away: bool) -> None:
    made = precheck({}, away=away)
    said = await warned(made, event("name"))
    assert [line["event"] for line in said] == (["precheck.not_told"] if away else [])


async def test_later_terms_hold_from_their_time_on() -> None:
    later = TERMS | {"since_ms": 4_070_908_800_000, "owners": dict.fromkeys(TERMS["owners"], "erp")}
    said = told() | {"terms": [TERMS, later]}
    writing = precheck({"customer": said}).writing("customer")
    assert writing is not None
    assert writing.foreign({"name"}, 4_070_908_799_999) == {"name": "crm"}
    assert writing.foreign({"name"}, 4_070_908_800_000) == {}
    assert writing.foreign({"name", "unheard"}, -1) == {"name": "crm", "unheard": ""}
