"""The words of the pages: reasons, outcomes, states, times. A product file, reviewed like code.

A test reads every rendered page and every sentence here for the words that do not belong before operations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.agents.sentences import duration
from broker.agents.service_levels import SyncState
from broker.gate.reason import BY_CODE

BANNED = (
    "offset",
    "partition",
    "lag",
    "consumer",
    "rebalance",
    "dlq",
    "tombstone",
    "payload",
    "schema id",
    "null",
    "none",
    "sli",
    "burn rate",
)
BANNED_PATTERN = re.compile(
    r"\b(" + "|".join(re.escape(word) + "s?" for word in BANNED) + r")\b", re.IGNORECASE
)
STALE_EVALUATION_MS = 6_000
"""An evaluation older than this says nothing about now (I9)."""


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """A reason for people."""

    sentence: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state: word, mark (never colour alone) and the tone of its badge."""

    word: str
    mark: str
    tone: str


def reason_words(code: str) -> ReasonWords:
    """The sentence and the way out for a reason's code; an unknown code is shown as it is."""
    reason = BY_CODE.get(code)
    if reason is None:
        return ReasonWords(
            f"Held for a reason this page has no words for ({code}).", "Ask the platform team."
        )
    return ReasonWords(reason.sentence, reason.what_to_do)


SYNC_STATES: Mapping[str, StateWords] = {
    SyncState.CANNOT_TELL: StateWords("Cannot tell", "?", "purple"),
    SyncState.STOPPED: StateWords("Stopped", "■", "red"),
    SyncState.LATE: StateWords("Late", "▲", "red"),
    SyncState.LATE_SOON: StateWords("Late soon", "△", "orange"),
    SyncState.QUIET: StateWords("Quiet", "–", "blue"),
    SyncState.UP_TO_DATE: StateWords("Up to date", "✓", "green"),
}
WORST_FIRST = (
    SyncState.STOPPED,
    SyncState.LATE,
    SyncState.CANNOT_TELL,
    SyncState.LATE_SOON,
    SyncState.QUIET,
    SyncState.UP_TO_DATE,
)

CASE_STATES: Mapping[str, StateWords] = {
    "open": StateWords("Needs a decision", "●", "orange"),
    "asked": StateWords("Asked the owner", "…", "blue"),
    "closed": StateWords("Closed", "✓", "green"),
}
RESULTS: Mapping[str, str] = {
    "keep": "The owner's value was kept.",
    "accepted": "The owner took the suggested value over.",
    "answered_otherwise": "The owner answered with another value.",
    "expired": "The owner did not answer in time; the owner's value stays.",
    "redriven": "It was judged again and accepted.",
    "overtaken": "It was judged again; something newer, or the same, is in force.",
}
VERDICTS: Mapping[str, str] = {
    "accepted": "taken over",
    "unchanged": "the same",
    "held": "held",
    "refused": "refused",
    "proposed": "suggested to the owner",
    "stale": "older than what is in force",
    "parked": "waits for its record",
}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "accepted": ("Accepted", "came from the owner and is in force"),
    "partly_accepted": ("Partly accepted", "the owner's part is in force, the rest needs review"),
    "echo": ("Echo", "says what was in force already"),
    "duplicate": ("Duplicate", "the very same change was sent before"),
    "stale": ("Older", "something newer was in force already"),
    "parked": ("Waiting", "its record does not exist yet"),
    "observed": ("Watched", "judged without any effect: its system is not live yet"),
    "proposed": ("Suggested", "was put to the owner as a suggestion"),
    "refused": ("Refused", "was sent back to the writer"),
    "quarantined": ("Held", "needs review"),
    "unreadable": ("Unreadable", "could not be read; the original is kept"),
}
HOPS: Mapping[str, str] = {
    "source_to_log": "Made to received",
    "log_to_decision": "Received to judged",
    "decision_to_applied": "Judged to applied",
    "end_to_end": "The whole way",
}
TWO_CLOCKS = frozenset({"source_to_log", "end_to_end"})
"""Measured between the clocks of two machines (I8)."""

TRAIL: Mapping[str, str] = {
    "echo": "{system} confirmed what is in force.",
    "stale": "{system} sent something older; it was not used.",
    "duplicate": "{system} sent the same change again.",
    "parked": "{system} wrote about a record that does not exist yet; the write waits.",
    "observed": "{system} is only watched; what it sent had no effect.",
    "redriven": "A held write of {system} was judged again.",
    "paused": "Changes of {system} were told to wait.",
    "resumed": "Changes of {system} are taken in again.",
    "source_reset": "It was recorded that {system} counts its changes anew.",
    "parked_merged": "A waiting write of {system} was taken in.",
    "parked_expired": "A waiting write of {system} became a case.",
    "refused": "A write of {system} was refused.",
    "proposed": "A write of {system} was put to the owner as a suggestion.",
    "reasserted": "The owner's value was sent to {system} again.",
    "case_closed": "Closed: the owner's value is kept.",
    "command_refused": "The decision could not be carried out; the case stays as it was.",
    "proposal_opened": "The owner was asked.",
    "proposal_closed": "The owner's answer came, or its time ran out.",
}


def ago(then_ms: int, now_ms: int) -> str:
    """`3 minutes ago`; `just now` below a second, also for clocks that are a little ahead."""
    passed_ms = now_ms - then_ms
    return "just now" if passed_ms < 1_000 else f"{duration(passed_ms)} ago"


def moment(ms: int) -> str:
    """A time of day with its date and zone."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %b %Y, %H:%M:%S UTC")


def machine_time(ms: int) -> str:
    """RFC 3339, for the `datetime` attribute and the API."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def key_text(key: bytes) -> str:
    """A record's id for people; an id that is no text is shown as what it is."""
    try:
        text = key.decode("utf-8")
    except UnicodeDecodeError:
        return f"(not text: {key[:24].hex()})"
    return text or "(without an id)"


_REVIEWS = {"done": "✓ reviewed", "soon": "○ soon", "overdue": "! overdue", "escalated": "‼ long overdue"}
_REQUESTS = {
    "draft": ("○ draft", "blue"),
    "proposed": ("? waits for approval", "orange"),
    "approved": ("✓ approved", "green"),
    "scheduled": ("⏲ takes force later", "blue"),
    "effective": ("● in force", "green"),
    "superseded": ("– replaced by a later version", "purple"),
    "rolled_back": ("↩ taken back", "purple"),
}


def review_word(standing: str) -> str:
    """Where a review stands, with its mark."""
    return _REVIEWS[standing]


def request_word(state: str) -> str:
    """Where a change request stands, with its mark."""
    return _REQUESTS[state][0]


def request_tone(state: str) -> str:
    """The tone of its badge."""
    return _REQUESTS[state][1]
