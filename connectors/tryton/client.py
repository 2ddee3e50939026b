"""JSON-RPC to one Tryton database: signs in with a password, keeps the session, signs in again when it
ended.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx2

from connectors.sdk.errors import ConnectionLost
from connectors.tryton.faults import Reaction, TrytonFault, fault_of_error, fault_of_status
from connectors.tryton.json_types import dumps, loads
from connectors.tryton.settings import TrytonSettings


class TrytonClient:
    """One user's session. Calls are made one at a time."""

    def __init__(self, settings: TrytonSettings, password: str) -> None:
        self._settings = settings
        self._password = password
        self._http: httpx2.AsyncClient | None = None
        self._headers: dict[str, str] = {}

    async def open(self) -> None:
        """Connect and sign in. Raises ConnectionLost."""
        await self.close()
        self._http = httpx2.AsyncClient(base_url=self._settings.url, timeout=self._settings.timeout_s)
        await self._login()

    async def call(self, method: str, *parameters: Any) -> Any:
        """One call; the last parameter is Tryton's context. Raises TrytonFault or ConnectionLost."""
        try:
            return await self._post(method, parameters)
        except TrytonFault as fault:
            if fault.reaction is not Reaction.LOGIN:
                raise
        await self._login()
        try:
            return await self._post(method, parameters)
        except TrytonFault as fault:
            if fault.reaction is Reaction.LOGIN:
                raise ConnectionLost("Tryton: a new session ended at once") from fault
            raise

    async def _login(self) -> None:
        self._headers = {}
        try:
            answer = await self._post(
                "common.db.login", (self._settings.user, {"password": self._password, "device_cookie": None})
            )
        except TrytonFault as fault:
            raise ConnectionLost(
                f"Tryton: user {self._settings.user} cannot sign in ({fault.code})",
                "Check user and password under settings; the connector goes on by itself.",
            ) from fault
        user_id, token = int(answer[0]), str(answer[1])
        pair = b64encode(f"{self._settings.user}:{user_id}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {pair}"}

    async def _post(self, method: str, parameters: tuple[Any, ...]) -> Any:
        if self._http is None:
            raise ConnectionLost("Tryton: not connected")
        body = dumps({"id": 1, "method": method, "params": list(parameters)})
        headers = {"Content-Type": "application/json", **self._headers}
        try:
            answer = await self._http.post(f"/{self._settings.database}/rpc/", content=body, headers=headers)
            if answer.status_code != httpx2.codes.OK:
                raise fault_of_status(answer.status_code)
            document = loads(answer.content)
        except httpx2.HTTPError as error:
            # Whether a write arrived is unknown then; it is looked up again before it is written again.
            raise ConnectionLost(f"Tryton: {type(error).__name__}") from error
        except ValueError as error:
            raise ConnectionLost("Tryton: the answer is not JSON; is the URL right?") from error
        if "error" in document:
            raise fault_of_error(document["error"])
        return document["result"]

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
