"""What can be wrong with a map, said so that the person who wrote it can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or warning: what, where and what to do."""

    code: str
    file: str
    line: int
    path: str
    detail: str
    remedy: str
    warning: bool = False
    """The gate does not mind; a connection should not go live with it."""

    def __str__(self) -> str:
        at = f"{self.path}: " if self.path else ""
        said = "warning: " if self.warning else ""
        return f"{self.file}:{self.line}: {said}{at}{self.detail} [{self.code}] {self.remedy}"


class MapRefused(Exception):
    """The map has faults; no part of it is used (I7)."""

    code = "map.refused"
    whole = "the ownership map is not used:"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join([self.whole, *map(str, findings)]))
