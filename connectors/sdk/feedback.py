"""Messages from the gate to a system: refusals and proposals, read from their Avro records.

Pure. Who is asked, and why, is decided by the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write of this system was not accepted."""

    case_id: str
    object: str
    key: str
    event_id: str | None
    reason: str
    rule: str
    what_to_do: str
    fields: tuple[str, ...]
    owners: Mapping[str, str]
    refused_ms: int

    @property
    def sentence(self) -> str:
        """The rule and the way out, for people."""
        return f"{self.rule} {self.what_to_do}".strip()


@dataclass(frozen=True, slots=True)
class ProposedField:
    """One suggested value; both sides as JSON text."""

    field: str
    current: str
    proposed: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another system suggests values for fields that this system owns."""

    proposal_id: str
    object: str
    key: str
    proposer: str
    by: str
    note: str
    fields: tuple[ProposedField, ...]
    opened_ms: int
    expires_ms: int


def refusal_of(record: Mapping[str, Any]) -> Refusal:
    """A refusal from its Avro record."""
    return Refusal(
        case_id=record["case_id"],
        object=record["object"],
        key=record["key"].decode("utf-8", "replace"),
        event_id=record["event_id"],
        reason=record["reason"],
        rule=record["rule"],
        what_to_do=record["what_to_do"],
        fields=tuple(record["fields"]),
        owners=dict(record["owners"]),
        refused_ms=record["refused_ms"],
    )


def proposal_of(record: Mapping[str, Any]) -> Proposal:
    """A proposal from its Avro record."""
    return Proposal(
        proposal_id=record["proposal_id"],
        object=record["object"],
        key=record["key"].decode("utf-8", "replace"),
        proposer=record["proposer"],
        by=record["by"],
        note=record["note"],
        fields=tuple(ProposedField(f["field"], f["current"], f["proposed"]) for f in record["fields"]),
        opened_ms=record["opened_ms"],
        expires_ms=record["expires_ms"],
    )
