"""Moments and spans of time as people give them to commands."""

from __future__ import annotations

from datetime import UTC, datetime

from broker.cli.output import CommandRefused
from ownership.document import duration_ms


def moment_ms(text: str) -> int:
    """Milliseconds of a date, or of a date and time. Raises CommandRefused."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no moment [map.at_moment] Write 2026-05-03, or 2026-05-03T14:30:00+02:00."
        raise CommandRefused(msg) from error
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1000)


def span_ms(text: str) -> int:
    """Milliseconds of a span. Raises CommandRefused."""
    try:
        return duration_ms(text)
    except ValueError as error:
        msg = f"{text!r} is no span of time: {error} [map.span] Write 7d, or 12h."
        raise CommandRefused(msg) from error
