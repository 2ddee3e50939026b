"""What an adopter could not do. Words only, never a value."""

from __future__ import annotations


class Unmapped(Exception):
    """Why a foreign record cannot be made a change; its bytes are sent as they are, and held."""

    key = ""
    """Of which record, where that could be told."""
