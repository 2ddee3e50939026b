"""What is published of the ownership map: its versions, and what each system is told that it may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.registry import envelopes


@dataclass(frozen=True, slots=True)
class PublishedMap:
    """One version, as it was published; version 0 = there is none."""

    version: int = 0
    digest: str = ""
    """SHA-256 of the documents, in hex."""
    documents: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    published_ms: int = 0
    """By the clock of whoever published it, in ms since 1970."""


def published_in(value: bytes | None) -> PublishedMap:
    """What a record of the topic says. Raises SchemaError."""
    return published_of(envelopes().codec.decode(value or b"", envelopes().ids("solesource.map")))


def published_of(entry: Mapping[str, Any]) -> PublishedMap:
    """What a decoded record of the topic says."""
    return PublishedMap(
        int(entry["version"]),
        str(entry["digest"]),
        entry["documents"],
        str(entry["by"]),
        int(entry["published_ms"]),
    )


class ToldTerms(dict[tuple[str, str], dict[str, Any]]):
    """(system, object) to what the system was told last that it may write, by the highest map version."""

    def hear(self, system: str, object_name: str, value: bytes | None) -> None:
        """Take in one record of `writings.<system>`. Raises SchemaError."""
        whose = (system, object_name)
        if value is None:  # nothing of this object is the system's to send any more
            self.pop(whose, None)
            return
        said = dict(envelopes().codec.decode(value, envelopes().ids("solesource.writing")))
        if whose not in self or said["map_version"] >= self[whose]["map_version"]:
            self[whose] = said
