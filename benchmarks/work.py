"""Kinds of work: what the records are, and how many leave per record that comes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.records import FOREIGN, NOTES_LARGE, Make, Maker
from schemas.registry import FileRegistry


@dataclass(frozen=True, slots=True)
class Work:
    """One kind."""

    name: str
    job: str
    """What a peer has to do: own, echo or merge."""
    make: Make
    first_ones: Make | None = None
    """The first change of each of the KEYS records, if they must be there before the clock starts."""
    leaves: float = 1.0
    """Records that leave per record that comes."""


def one_owner(registry: FileRegistry) -> Work:
    """The owner's changes of all fields, about 300 bytes."""
    return Work("single owner, 300 B", "own", Maker(registry).own)


def large(registry: FileRegistry) -> Work:
    """The same with 2 KiB."""
    return Work("single owner, 2 KiB", "own", Maker(registry, notes=NOTES_LARGE).own)


def with_foreign(registry: FileRegistry) -> Work:
    """One in ten is written by a system that owns nothing; ours holds and answers it, peers drop it."""
    return Work("one foreign write in ten", "own", Maker(registry).own_or_foreign, leaves=1 - 1 / FOREIGN)


def half_echo(registry: FileRegistry) -> Work:
    """Every other record is a value in force, sent back by a system that was given it."""
    maker = Maker(registry)
    return Work("half of it echo", "echo", maker.half_echo, maker.first_ones, leaves=0.5)


def three_owners(registry: FileRegistry) -> Work:
    """Fields of three owners: decode, merge, encode."""
    maker = Maker(registry)
    return Work("fields of three owners", "merge", maker.three_owners, maker.first_of_three)
