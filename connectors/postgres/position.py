"""Where a PostgreSQL source stands: inside its snapshot, or at a place of the log. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Snapshot: the slot's consistent point, the object being read and its last key. Stream: `object` is
    None.
    """

    lsn: int
    object: str | None = None
    after: str | None = None

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Position:
        return cls(**json.loads(text))
