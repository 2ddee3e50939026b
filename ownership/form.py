"""What a file's form has to be, said where it is not: pydantic's faults as findings with their lines.

Pure. A fault's code is a family's name and pydantic's own name of the fault
(https://docs.pydantic.dev/latest/errors/validation_errors/), which is stable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ownership.errors import Finding
from ownership.lines import Path, dotted


def faults_of_form(
    error: ValidationError, file: str, lines: Mapping[Path, int], family: str, otherwise: str
) -> Iterator[Finding]:
    """Each fault. `otherwise`: what to do where its kind alone does not say it."""
    for fault in error.errors():
        path: Path = tuple(part for part in fault["loc"] if not str(part).startswith(("literal[", "list[")))
        code, remedy = f"{family}.{fault['type']}", _remedy(fault, otherwise)
        yield Finding(code, file, line_of(lines, path), dotted(path), fault["msg"], remedy)


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Where it stands, or else what it would be a part of."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _remedy(fault: Any, otherwise: str) -> str:
    if fault["type"] == "missing":
        return "Add it."
    if fault["type"] == "extra_forbidden":
        return "Remove it, or mend its spelling."
    return otherwise
