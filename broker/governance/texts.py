"""Texts from outside: there is one, and not too much of it."""

from __future__ import annotations

from ownership.lifecycle import StepRefused

TEXT_LENGTH_MAX = 4_000
"""Characters."""


def bounded(text: str, what: str, most: int = TEXT_LENGTH_MAX, *, empty: bool = False) -> str:
    """A text from outside. Raises StepRefused where there is none, or too much of it."""
    said = text.strip()
    if (not said and not empty) or len(said) > most:
        raise StepRefused("request.text", f"the {what} has {len(said)} characters", f"Give 1 to {most}.")
    return said
