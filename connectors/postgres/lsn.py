"""Log sequence numbers: PostgreSQL's `X/Y` text and the fixed-width form that sorts as bytes. Pure."""

from __future__ import annotations

from schemas.version import SourceVersion, VersionKind


def lsn_of(text: str) -> int:
    """`16/B374D848` as a number."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(lsn: int) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def version_at(commit_lsn: int, index: int) -> SourceVersion:
    """Version of the index-th change (from 1) of the transaction committed at that LSN; 0 = a snapshot's row.

    pgoutput sends whole transactions in the order of their commits, so commit LSN and place in the
    transaction order all changes; the LSN of the row change itself would not.
    """
    return SourceVersion(VersionKind.SEQUENCE, 0, f"{commit_lsn:016X}.{index:08d}")
