"""A company's schema registry, over Confluent's REST API: which schema has an id, and a contract registered there.

Control asks it, beside the lane; the gate never does. An answer is kept: ids are never given again. That there is none
is kept for five minutes, so a system that writes nonsense costs one call per id and five minutes, and so many ids in a
minute at most. https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from schemas.codec import guid_of, guid_text
from schemas.errors import SchemaError

ABSENT_MS = 5 * 60_000
KEPT_MAX = 10_000
CALLS_MAX, CALLS_MS = 120, 60_000
"""So many calls within so long, whatever is asked."""
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 512 * 1024
_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
_ABSENT = (404, 422)
SchemaName = int | bytes
"""An id, or a GUID."""


class RegistryAway(SchemaError):
    """The registry does not answer, or not as one does. Nothing is known then, and it is asked again."""

    code = "registry.away"
    remedy = "Look whether it runs, and at its address and credentials; it is asked again by itself."


class RegistryRefuses(SchemaError):
    """The registry does not take a schema, or does not let us register any."""

    code = "registry.refused"
    remedy = "Look at the subject's compatibility there, and whether this user may write."


class NotAvro(SchemaError):
    """The registry knows the id, and its schema cannot be used."""

    code = "registry.not_usable"
    remedy = "Register one Avro record without references to other subjects."


@dataclass(frozen=True, slots=True)
class RemoteSchema:
    """What a registry says of one id."""

    schema_id: int
    document: Mapping[str, Any]
    guid: bytes | None = None


class RemoteRegistry:
    """One registry, and what it has said so far."""

    def __init__(
        self,
        url: str,
        now_ms: Callable[[], int],
        *,
        credentials: tuple[str, str] | None = None,
        ca_file: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """url: without credentials in it; credentials: user and password of basic authentication.

        Raises ValueError for an address that is none, or that would send credentials unencrypted to another machine.
        """
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname or place.username:
            msg = "a registry's address is http:// or https:// and a host, without a user in it"
            raise ValueError(msg)
        if credentials and place.scheme == "http" and place.hostname not in ("localhost", "127.0.0.1", "::1"):
            msg = "a registry that wants credentials is reached by https://"
            raise ValueError(msg)
        self._now_ms = now_ms
        self._known: OrderedDict[SchemaName, tuple[int, RemoteSchema | NotAvro | None]] = OrderedDict()
        self._calls: deque[int] = deque(maxlen=CALLS_MAX)
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/",
            auth=credentials,
            headers={"accept": _ACCEPT},
            timeout=TIMEOUT_S,
            transport=transport,
            verify=ca_file or True,
        )

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    async def schema(self, name: SchemaName) -> RemoteSchema | None:
        """The schema of an id or GUID; None where the registry has none.

        Raises RegistryAway when it cannot be asked now, NotAvro for a schema that is of no use here.
        """
        known = self._known.get(name)
        if known is None or (known[1] is None and self._now_ms() - known[0] >= ABSENT_MS):
            known = (self._now_ms(), await self._asked(name))
            self._known[name] = known
            self._known.move_to_end(name)
            if len(self._known) > KEPT_MAX:
                self._known.popitem(last=False)
        if isinstance(known[1], NotAvro):
            raise known[1]
        return known[1]

    async def register(self, subject: str, document: Mapping[str, Any]) -> RemoteSchema:
        """Register a schema under a subject, if it is not there already; what the registry calls it.

        Raises RegistryAway, RegistryRefuses, NotAvro.
        """
        status, body = await self._answer(
            "POST", f"subjects/{quote(subject, safe='')}/versions", {"schema": json.dumps(document)}
        )
        if status != httpx2.codes.OK:
            said = body[:200].decode(errors="replace")
            msg = f"the registry at {self._client.base_url.host} answers {status} to {subject}: {said}"
            raise RegistryRefuses(msg)
        try:
            number = int(json.loads(body)["id"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            msg = f"the registry at {self._client.base_url.host} does not say the id that it gave"
            raise RegistryAway(msg) from error
        found = await self.schema(number)
        if found is None:
            msg = f"the registry at {self._client.base_url.host} gave id {number}, and does not know it"
            raise RegistryAway(msg)
        return found

    async def _asked(self, name: SchemaName) -> RemoteSchema | NotAvro | None:
        if len(self._calls) == CALLS_MAX and self._now_ms() - self._calls[0] < CALLS_MS:
            msg = f"{CALLS_MAX} ids were asked for within a minute"
            raise RegistryAway(
                msg, "Find out which system writes so many schema ids; the rest is asked later."
            )
        self._calls.append(self._now_ms())
        path = f"schemas/ids/{name}" if isinstance(name, int) else f"schemas/guids/{guid_text(name)}"
        status, body = await self._answer("GET", path)
        if status in _ABSENT and _is_answer(body):
            return None
        if status != httpx2.codes.OK:
            msg = f"the registry at {self._client.base_url.host} answers {status}"
            raise RegistryAway(msg)
        try:
            return _read(name, json.loads(body))
        except NotAvro as error:
            return error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            msg = f"the registry at {self._client.base_url.host} answers what cannot be read: {type(error).__name__}"
            raise RegistryAway(msg) from error

    async def _answer(self, method: str, path: str, told: Any = None) -> tuple[int, bytes]:
        """(status, body). Raises RegistryAway where there is none."""
        body = bytearray()
        try:
            async with self._client.stream(method, path, json=told) as answer:
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        msg = f"the registry answers with more than {ANSWER_BYTES_MAX} bytes"
                        raise RegistryAway(msg, "A schema of that size is not read.")
        except httpx2.HTTPError as error:
            msg = f"the registry at {self._client.base_url.host} does not answer: {type(error).__name__}"
            raise RegistryAway(msg) from error
        return answer.status_code, bytes(body)


def _is_answer(body: bytes) -> bool:
    """Whether a registry said it, and not something in front of it that does not know the address."""
    try:
        return "error_code" in json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return False


def _read(name: SchemaName, said: Mapping[str, Any]) -> RemoteSchema:
    """Raises NotAvro, and what reading JSON of another form raises."""
    spelled = name if isinstance(name, int) else guid_text(name)
    if said.get("schemaType", "AVRO") != "AVRO":
        msg = f"schema {spelled} is {str(said['schemaType'])[:20]}, not Avro"
        raise NotAvro(msg)
    if said.get("references"):
        msg = f"schema {spelled} refers to other subjects"
        raise NotAvro(msg)
    document = json.loads(said["schema"])
    if not isinstance(document, dict):
        msg = f"schema {spelled} is not a record"
        raise NotAvro(msg)
    guid = guid_of(said["guid"]) if said.get("guid") else None
    if isinstance(name, int):
        return RemoteSchema(name, document, guid)
    return RemoteSchema(int(said["id"]), document, name)
