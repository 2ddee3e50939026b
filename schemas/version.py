"""The source version: the source's own order of one record's changes, carried at the front of the event id.

Pure. Versions of two systems are never compared, nor are versions of two kinds (decision 0003).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class VersionKind(StrEnum):
    """How a source orders its changes."""

    SEQUENCE = "seq"
    """A strict order such as a log sequence number: every change of a record has its own value."""
    COARSE = "time"
    """A timestamp: smaller is older, equal values may still be two changes."""
    ARRIVAL = "any"
    """No order of its own: the order of arrival in the ingress topic is the order."""


_KINDS = {kind.value: kind for kind in VersionKind}


@dataclass(frozen=True, slots=True, order=False)
class SourceVersion:
    """(incarnation, kind, value): incarnation rises only with a recorded reset of the source."""

    kind: VersionKind
    incarnation: int
    value: str

    def older_than(self, other: SourceVersion) -> bool:
        """Whether this version is certainly older than the other one of the same system; unknown is False."""
        if self.incarnation != other.incarnation:
            return self.incarnation < other.incarnation
        if self.kind is VersionKind.ARRIVAL or self.kind is not other.kind:
            return False
        return self.value.encode() < other.value.encode()

    def same_as(self, other: SourceVersion) -> bool:
        """Whether both name the same point of a strict order."""
        return self.kind is VersionKind.SEQUENCE and self == other


def plainly_newer(event_id: str, last: str) -> bool:
    """Whether two ids show without taking them apart that the first is newer; False says nothing.

    So it is where both are a sequence of one incarnation with nothing after it: nearly every change in a busy log.
    """
    head = event_id[: event_id.find(":", 4) + 1]
    return (
        head.startswith("seq:")
        and last.startswith(head)
        and event_id > last
        and "/" not in event_id
        and "/" not in last
    )


@lru_cache(maxsize=4096)  # within one decision an id is looked at several times; hardly ever later
def version_of(event_id: str) -> SourceVersion:
    """The version that an event id carries: `<kind>:<incarnation>:<value>[/<rest>]`; any other id is by arrival."""
    head = event_id.split("/", 1)[0]
    kind, _, rest = head.partition(":")
    incarnation, separator, value = rest.partition(":")
    known = _KINDS.get(kind)
    if separator and known is not None and incarnation.isascii() and incarnation.isdigit():
        return SourceVersion(known, int(incarnation), value)
    return SourceVersion(VersionKind.ARRIVAL, 0, event_id)


def event_id(version: SourceVersion, rest: str = "") -> str:
    """The event id that carries `version`; `rest` tells apart events of two records with one version."""
    head = f"{version.kind}:{version.incarnation}:{version.value}"
    return f"{head}/{rest}" if rest else head
