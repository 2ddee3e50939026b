"""The console's API as a program of a reviewer uses it: decisions go the same way as in the browser."""

from __future__ import annotations

from typing import Any

import httpx2

TIMEOUT_S = 10.0


class ConsoleClient:
    """A signed-in client of the console."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx2.Client(
            base_url=url, timeout=TIMEOUT_S, headers={"Authorization": f"Bearer {token}", "Origin": url}
        )

    def healthy(self) -> bool:
        """Whether the console answers."""
        try:
            return bool(self._client.get("/healthz").status_code == httpx2.codes.OK)
        except httpx2.HTTPError:
            return False

    def syncs(self) -> list[dict[str, Any]]:
        """Every sync with its sentence."""
        return list(self._get("/api/v1/syncs")["syncs"])

    def cases(self, **wanted: str) -> list[dict[str, Any]]:
        """Held writes, newest first."""
        return list(self._get("/api/v1/cases", **wanted)["cases"])

    def case(self, case_id: str) -> dict[str, Any]:
        """One held write."""
        return self._get(f"/api/v1/cases/{case_id}")

    def decide(self, case_id: str, decision: str, note: str) -> None:
        """Send a decision about a held write."""
        answer = self._client.post(
            f"/api/v1/cases/{case_id}/decision", json={"decision": decision, "note": note}
        )
        answer.raise_for_status()

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self._client.get(path, params=parameters)
        answer.raise_for_status()
        return dict(answer.json())

    def close(self) -> None:
        """Disconnect."""
        self._client.close()
