"""Tryton over JSON-RPC: as much of it as preparing an empty ERP needs. Connectors have their own client."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx2

from broker.embedded.errors import SetupError

TIMEOUT_S = 30.0


class TrytonSession:
    """A logged-in user of one database; close it."""

    def __init__(self, url: str, database: str, user: str, password: str) -> None:
        self._client = httpx2.Client(base_url=url, timeout=TIMEOUT_S)
        self._path = f"/{database}/rpc/"
        self._headers: dict[str, str] = {}
        user_id, token, *_ = self.call("common.db.login", user, {"password": password})
        self.user_id = int(user_id)
        pair = b64encode(f"{user}:{user_id}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {pair}"}

    def call(self, method: str, *parameters: object) -> Any:
        """One call. Raises httpx2.HTTPError if the server is not there, SetupError if it says no."""
        body = {"id": 1, "method": method, "params": list(parameters)}
        answer = self._client.post(self._path, json=body, headers=self._headers)
        if answer.status_code != httpx2.codes.OK:
            raise SetupError(f"Tryton answered {method} with HTTP {answer.status_code}")
        document = answer.json()
        if "error" in document:
            raise SetupError(f"Tryton refused {method}: {str(document['error'])[:400]}")
        return document["result"]

    def create(self, model: str, values: dict[str, Any]) -> int:
        return int(self.call(f"model.{model}.create", [values], {})[0])

    def close(self) -> None:
        self._client.close()


def decimal(text: str) -> dict[str, str]:
    """A decimal number as Tryton's JSON writes it."""
    return {"__class__": "Decimal", "decimal": text}
