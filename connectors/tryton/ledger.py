"""What the connector last published of each party, and what it last wrote there: the memory that source and
sink share.

The source publishes only what differs from it; the sink overwrites only what is in it. Holds digests, never
values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from connectors.sdk.store import Shelf

_WRITTEN = "written:"


@dataclass(frozen=True, slots=True)
class Published:
    """The last published content of a party."""

    digest: str
    mark: str
    """Its version: the latest write date among its parts; never falls."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Digest per field, to tell which ones a later write sets."""


class PublishedLedger:
    """Digests by code of the party."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def published(self, codes: Iterable[str]) -> dict[str, Published]:
        return {code: Published(**json.loads(text)) for code, text in self._shelf.get(codes).items()}

    def keep_published(self, rows: Mapping[str, Published]) -> None:
        """Only once Kafka has them."""
        self._shelf.put({code: json.dumps(asdict(row)) for code, row in rows.items()})

    def written(self, codes: Iterable[str]) -> dict[str, str]:
        """Digest of the content as the sink left it."""
        found = self._shelf.get([_WRITTEN + code for code in codes])
        return {name.removeprefix(_WRITTEN): digest for name, digest in found.items()}

    def keep_written(self, rows: Mapping[str, str]) -> None:
        self._shelf.put({_WRITTEN + code: digest for code, digest in rows.items()})
