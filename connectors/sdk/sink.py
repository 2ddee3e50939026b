"""What a sink promises: to write what it is given, and to account for every single update.

Types only. Which fields an update may write is decided in `deliveries`; retries are the sink loop's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from connectors.sdk.errors import OutcomeMissing
from connectors.sdk.feedback import Proposal, Refusal


@dataclass(frozen=True, slots=True)
class Update:
    """The newest authoritative revision of one record, with what this system shall write of it."""

    object: str
    key: str
    revision: int
    deleted: bool
    values: Mapping[str, Any]
    """The full record, or what this system may read of it; empty when deleted."""
    write: frozenset[str]
    """Fields to write; never one whose system of record is this system."""
    writable: frozenset[str]
    """Every field that is not this system's own: what to write should the record be missing here."""
    created: bool
    """The runner never wrote this record to this system, or wrote its end last."""
    cause: tuple[str, str]
    """(system, event id) of the change behind this revision."""
    time_ms: int
    """When the change happened in its source."""
    ingress_ms: int
    """When Kafka took the change in."""
    decided_ms: int
    """When Kafka took the authoritative record in (broker append time)."""
    generation: str = ""
    """Of the deliveries that it came by; empty = whole records. Of another one, an equal revision is news."""
    own: frozenset[str] = frozenset()
    """Fields that are this system's own at this revision."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The system now holds what the update said."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing had to be written."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: tried again with growing pauses, then given up as failed."""

    code: str
    message: str
    """For a person, without values."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Never as it is: reported for review at once."""

    code: str
    message: str
    """For a person, without values."""


Outcome = Applied | Skipped | Retry | Failed


class Sink(Protocol):
    """Writes authoritative updates into one system. `apply` is never called twice at a time."""

    async def open(self) -> None:
        """Connect and make ready; called again (after `close`) after a loss. Raises ConnectionLost."""
        ...

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Write the updates; exactly one outcome for each, in order. At most one update per record is given.

        Must be idempotent: after a crash the same revision comes again. Must not apply a lower revision than
        the target holds, where the target can hold one. Raises ConnectionLost when the system as a whole is
        away: every update of the call is then given again, without limit.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; never raises for a system that is gone."""
        ...


@runtime_checkable
class ReceivesRefusals(Protocol):
    """A sink that shows its system's people what was not accepted."""

    async def receive_refusal(self, refusal: Refusal) -> None:
        """Leave the message where the people of the system see it. Idempotent by `case_id`. Raises
        ConnectorError.
        """
        ...


@runtime_checkable
class ReceivesProposals(Protocol):
    """A sink that shows the owner's people what others suggest."""

    async def receive_proposal(self, proposal: Proposal) -> None:
        """Leave it where the owner sees it. Idempotent by `proposal_id`. Raises ConnectorError."""
        ...


def exhaustive(updates: Sequence[Update], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The outcomes, if there is one for each update. Raises OutcomeMissing: what is not accounted for is not
    done.
    """
    known = all(isinstance(outcome, Outcome) for outcome in outcomes)
    if len(updates) != len(outcomes) or not known:
        msg = f"{len(updates)} updates were given, {len(outcomes)} outcomes came back"
        raise OutcomeMissing(msg)
    return outcomes
