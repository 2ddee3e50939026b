"""What a company's registry says, and what it is asked: one call per id, and no answer that is not a registry's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from schemas.codec import guid_of
from schemas.remote import (
    ABSENT_MS,
    ANSWER_BYTES_MAX,
    CALLS_MAX,
    CALLS_MS,
    KEPT_MAX,
    NotAvro,
    RegistryAway,
    RegistryRefuses,
    RemoteRegistry,
)

GUID = "89791762-2336-4186-9674-299b90a802e2"
RECORD = {"type": "record", "name": "customer", "fields": []}
KNOWN = {"schema": json.dumps(RECORD)}
SUBJECT = "/api/subjects/authoritative.customer-value/versions"
ABSENT = (404, {"error_code": 40403, "message": "Schema not found"})
Answer = tuple[int, Any]


class Desk:
    """A registry of few words, and a clock."""

    def __init__(self, answers: dict[str, Answer | Exception]) -> None:
        self.answers, self.calls, self.told, self.ms = answers, list[str](), b"", 1_000_000
        self.registry = RemoteRegistry(
            "http://127.0.0.1:1/api", lambda: self.ms, transport=httpx2.MockTransport(self._answer)
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append(request.url.path)
        self.told = request.content or self.told
        answer = self.answers.get(request.url.path, ABSENT)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return httpx2.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    def ask(self, name: int | bytes) -> Any:
        return asyncio.run(self.registry.schema(name))


def test_what_it_has_is_asked_for_once() -> None:
    desk = Desk({"/api/schemas/ids/7": (200, KNOWN | {"guid": GUID})})
    for _ in range(3):
        found = desk.ask(7)
        desk.ms += 10 * ABSENT_MS
    assert (found.schema_id, found.document, found.guid) == (7, RECORD, guid_of(GUID))
    assert desk.calls == ["/api/schemas/ids/7"]


def test_a_guid_has_an_id() -> None:
    desk = Desk({f"/api/schemas/guids/{GUID}": (200, KNOWN | {"id": 7})})
    found = desk.ask(guid_of(GUID))
    assert (found.schema_id, found.guid) == (7, guid_of(GUID))


def test_what_it_has_not_is_asked_for_every_five_minutes() -> None:
    desk = Desk({})
    for _ in range(5):
        assert desk.ask(8) is None
        desk.ms += ABSENT_MS // 5 - 1
    assert len(desk.calls) == 1
    desk.ms += 5
    desk.answers["/api/schemas/ids/8"] = (200, KNOWN)
    assert desk.ask(8).document == RECORD and len(desk.calls) == 2


def test_so_many_ids_are_asked_for_in_a_minute() -> None:
    desk = Desk({"/api/schemas/ids/1": (200, KNOWN)})
    assert desk.ask(1) is not None
    for number in range(2, CALLS_MAX + 1):
        assert desk.ask(number) is None
    with pytest.raises(RegistryAway, match=f"{CALLS_MAX} ids were asked for within a minute"):
        desk.ask(CALLS_MAX + 1)
    assert desk.ask(1) is not None and len(desk.calls) == CALLS_MAX, "what is known costs nothing"
    desk.ms += CALLS_MS
    assert desk.ask(CALLS_MAX + 1) is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        (500, {"error_code": 50001}),
        (401, {"error_code": 40101}),
        (404, b"<html>a proxy's page</html>"),
        (404, {"message": "no such path"}),
        (302, b""),
        (200, b"<html>"),
        (200, []),
        (200, {}),
        (200, {"schema": "{"}),
        (200, {"schema": 7}),
        (200, {"schema": "[" * 100_000}),
        (200, b"x" * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=str,
)
def test_what_is_no_registrys_answer_says_nothing(answer: Any) -> None:
    """It is asked again, and nothing is taken for absent that may be there."""
    desk = Desk({"/api/schemas/ids/7": answer})
    for count in (1, 2):
        with pytest.raises(RegistryAway) as away:
            desk.ask(7)
        assert away.value.code == "registry.away" and len(desk.calls) == count
    desk.answers["/api/schemas/ids/7"] = (200, KNOWN)
    assert desk.ask(7).document == RECORD


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({"schemaType": "PROTOBUF", "schema": "syntax"}, "schema 7 is PROTOBUF, not Avro"),
        (KNOWN | {"references": [{"name": "a", "subject": "b", "version": 1}]}, "refers to other subjects"),
        ({"schema": '"string"'}, "is not a record"),
    ],
)
def test_what_cannot_be_used_is_asked_for_once(said: Any, detail: str) -> None:
    desk = Desk({"/api/schemas/ids/7": (200, said)})
    for _ in range(2):
        with pytest.raises(NotAvro, match=detail):
            desk.ask(7)
    assert len(desk.calls) == 1


@pytest.mark.parametrize(
    "url", ["", "registry:8081", "ftp://registry", "http://me:secret@registry", "http://"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="address is http"):
        RemoteRegistry(url, lambda: 0)


def test_credentials_do_not_travel_in_the_open() -> None:
    with pytest.raises(ValueError, match="by https"):
        RemoteRegistry("http://registry.example.com", lambda: 0, credentials=("me", "secret"))
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        return httpx2.Response(200, json=KNOWN)

    make: Callable[..., RemoteRegistry] = RemoteRegistry
    registry = make(
        "https://registry.example.com",
        lambda: 0,
        credentials=("me", "secret"),
        transport=httpx2.MockTransport(answer),
    )
    asyncio.run(registry.schema(7))
    assert seen[0].startswith("Basic ")


def test_a_contract_is_registered_and_called_as_the_registry_says() -> None:
    desk = Desk({SUBJECT: (200, {"id": 7}), "/api/schemas/ids/7": (200, KNOWN | {"guid": GUID})})
    found = asyncio.run(desk.registry.register("authoritative.customer-value", RECORD))
    assert (found.schema_id, found.document, found.guid) == (7, RECORD, guid_of(GUID))
    assert desk.calls == [SUBJECT, "/api/schemas/ids/7"]
    assert json.loads(json.loads(desk.told)["schema"]) == RECORD


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((409, {"error_code": 409, "message": "incompatible"}), RegistryRefuses, "answers 409.*incompatible"),
        ((403, b"no"), RegistryRefuses, "answers 403 to authoritative.customer-value: no"),
        ((200, {}), RegistryAway, "does not say the id"),
        ((200, b"<html>"), RegistryAway, "does not say the id"),
        ((200, {"id": 8}), RegistryAway, "gave id 8, and does not know it"),
        (httpx2.ConnectError("down"), RegistryAway, "does not answer: ConnectError"),
    ],
)
def test_a_contract_that_is_not_registered(answer: Any, error: type[Exception], said: str) -> None:
    desk = Desk({SUBJECT: answer})
    with pytest.raises(error, match=said):
        asyncio.run(desk.registry.register("authoritative.customer-value", RECORD))


def test_what_was_asked_first_is_forgotten_first() -> None:
    desk = Desk(
        {f"/api/schemas/ids/{number}": (200, KNOWN | {"guid": GUID}) for number in range(KEPT_MAX + 1)}
    )
    for number in range(KEPT_MAX + 1):
        desk.ms += CALLS_MS
        desk.ask(number)
    calls = len(desk.calls)
    desk.ask(KEPT_MAX)
    assert len(desk.calls) == calls
    desk.ask(0)
    assert len(desk.calls) == calls + 1
    asyncio.run(desk.registry.close())
    with pytest.raises(RuntimeError):
        desk.ask(KEPT_MAX + 2)
