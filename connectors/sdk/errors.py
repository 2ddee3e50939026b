"""Errors of connectors: a stable code, what is wrong, where, and what to do. Never a value."""

from __future__ import annotations


class ConnectorError(Exception):
    """Something a connector could not do. The runner tries again with growing pauses and logs the code."""

    code = "connector.error"
    remedy = "See docs/reference/connectors.md."

    def __init__(self, detail: str, remedy: str | None = None, *, code: str | None = None) -> None:
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
        if code is not None:
            self.code = code
        super().__init__(f"{detail} [{self.code}] {self.remedy}")


class ConnectionLost(ConnectorError):
    """The whole system cannot be reached: tried again without limit, nothing is given up meanwhile."""

    code = "connector.connection_lost"
    remedy = "Check that the system is up and reachable; the connector goes on by itself."


class ConfigInvalid(ConnectorError):
    """The configuration file of a connector cannot be used."""

    code = "connector.config_invalid"
    remedy = "Correct the lines named; docs/reference/connectors.md lists every key."


class OutcomeMissing(ConnectorError):
    """A sink did not account for every update it was given: a defect of the adapter, the connector stops."""

    code = "connector.outcome_missing"
    remedy = "Return exactly one outcome per update, in the order of the updates."


class PositionLost(ConnectorError):
    """The system no longer holds the changes since the stored position."""

    code = "connector.position_lost"
    remedy = "Delete the connector's store to take a new snapshot; deletes in between need a reconciliation."


class KeyUnusable(ConnectorError):
    """A record's key cannot be published. The source waits there in the open; nothing is skipped."""

    code = "connector.key_unusable"
    remedy = "Give the record a key of 1 to 512 bytes of UTF-8."
