"""A record to write: its destination, key, body and headers.

Pure. It names destinations, not topics; only `broker.topics` knows how they are spelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple


class Destination(StrEnum):
    """Where a record goes."""

    AUTHORITATIVE = "authoritative"
    STATE = "state"
    QUARANTINE = "quarantine"
    REFUSALS = "refusals"
    PROPOSALS = "proposals"
    TRAIL = "trail"


ENVELOPE = {
    Destination.STATE: "state",
    Destination.QUARANTINE: "case",
    Destination.REFUSALS: "refusal",
    Destination.PROPOSALS: "proposal",
    Destination.TRAIL: "trail",
}
"""Envelope schema of each destination; authoritative records are in the object's own contract."""


class Outgoing(NamedTuple):
    """One record to write."""

    destination: Destination
    key: bytes
    body: Mapping[str, Any] | bytes | None
    """An envelope's record, or the bytes of an authoritative value; None = deleted."""
    headers: Sequence[tuple[str, bytes]] = ()
    target: str = ""
    """Object of authoritative and state, system of refusals and proposals."""
