"""What control learns of a registry, and what it refuses once, until the map is another one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from broker.access import KafkaAccess
from broker.agents.learning import Learner
from broker.rules import rules_of
from broker.store.case_states import CaseState
from broker.store.cases import Case
from broker.store.engine import open_store
from schemas.codec import SCHEMA_HEADER, frame, guid_of
from schemas.remote import RegistryAway, RemoteRegistry
from tests.gate_parts import CUSTOMER, map_texts
from tests.registry_desk import BUYER

GUID = "89791762-2336-4186-9674-299b90a802e2"
KEYLESS = {**CUSTOMER, "fields": CUSTOMER["fields"][1:]}
SAID: dict[str, Any] = {
    "/schemas/ids/7": {"schema": json.dumps(BUYER)},
    "/schemas/ids/9": {"schema": json.dumps(KEYLESS)},
    f"/schemas/guids/{GUID}": {"schema": json.dumps(CUSTOMER), "id": 100},
}


def case(value: bytes, headers: dict[str, bytes] | None = None) -> Case:
    return Case(
        case_id="Q-1",
        object="customer",
        key=b"C-1",
        system="crm",
        event_id="seq:0:1",
        deletes=False,
        source_time_ms=1,
        received_ms=1,
        outcome="unreadable",
        reason="unknown_schema",
        detail="",
        map_version=1,
        verdicts=(),
        headers=headers or {},
        value=value,
        by_reference=False,
        revision=0,
        place=("changes.crm.customer", 0, 0),
        state=CaseState.OPEN,
        result=None,
        state_ms=1,
    )


class Office:
    """A learner, and a registry that notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.calls: list[str] = []
        self.learner = Learner(
            open_store(f"sqlite:///{folder / 'store.db'}"),
            KafkaAccess("127.0.0.1:1"),
            RemoteRegistry("http://127.0.0.1:1", lambda: 0, transport=httpx2.MockTransport(self._answer)),
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append(request.url.path)
        if request.url.path == "/schemas/ids/500":
            raise httpx2.ConnectError("away")
        found = SAID.get(request.url.path)
        return httpx2.Response(200 if found else 404, json=found or {"error_code": 40403})

    def asked(self, *cases: Case, version: int = 1) -> tuple[list[int], RegistryAway | None]:
        rules = rules_of(map_texts(), version)
        new, away = asyncio.run(self.learner._asked(list(cases), rules, map_texts(), []))
        return [one.schema_id for one in new], away


def test_what_the_contract_can_read_is_learned_and_the_rest_refused_once(tmp_path: Path) -> None:
    office = Office(tmp_path)
    named = {SCHEMA_HEADER: b"\x01" + guid_of(GUID)}
    cases = (case(frame(9)), case(frame(8)), case(b"", named), case(frame(7)), case(b"{}"))
    with structlog.testing.capture_logs() as told:
        assert office.asked(*cases) == ([7], None)
        assert office.asked(*cases) == ([7], None)
    assert [(line["schema"], line["event"]) for line in told] == [
        (9, "registry.schema_refused"),
        (GUID, "registry.schema_refused"),
    ]
    assert "customer_id: has no default" in told[0]["why"] and "learned id 100" in told[1]["why"]
    with structlog.testing.capture_logs() as told:
        office.asked(*cases, version=2)
    assert len(told) == 2, "another map may read it"
    assert len(office.calls) == 4, "one call for each"


def test_what_was_found_before_the_registry_went_away_is_learned(tmp_path: Path) -> None:
    new, away = Office(tmp_path).asked(case(frame(7)), case(frame(500)), case(frame(9)))
    assert new == [7] and isinstance(away, RegistryAway)


def test_nothing_held_asks_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path)
    asyncio.run(office.learner.look())
    assert office.calls == []


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x01" * 9])
def test_what_names_no_schema_is_not_asked_about(tmp_path: Path, value: bytes) -> None:
    office = Office(tmp_path)
    assert office.asked(case(value)) == ([], None) and office.calls == []
