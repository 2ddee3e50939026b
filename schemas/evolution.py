"""Whether the versions of a contract may follow each other: who can read what the other one wrote, and as what.

Pure. Avro's own rules come from its Python library, whose verdicts a test holds to those of the Java library. They let
a value change on its way (a long read as a double, a decimal read with another scale), which nothing that travels here
may do (I6): such pairs are refused as well.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Any, cast

import avro.errors
import avro.schema
from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityResult,
    SchemaCompatibilityType,
)

from schemas.errors import ContractRefused

Document = Mapping[str, Any]
"""An Avro schema as JSON."""
_EXACT = frozenset({("int", "long"), ("int", "double"), ("float", "double")})
"""(writer's type, reader's type) of which every value is the same number in the other type."""


class Compatibility(StrEnum):
    """Who must be able to read whom, as registries for Avro call it."""

    NONE = "none"
    BACKWARD = "backward"
    BACKWARD_TRANSITIVE = "backward_transitive"
    FORWARD = "forward"
    FORWARD_TRANSITIVE = "forward_transitive"
    FULL = "full"
    FULL_TRANSITIVE = "full_transitive"

    @property
    def backward(self) -> bool:
        """Whether who has the newer version must be able to read values of the older one."""
        return self.startswith(("backward", "full"))

    @property
    def forward(self) -> bool:
        """Whether who still has the older version must be able to read values of the newer one."""
        return self.startswith(("forward", "full"))

    @property
    def transitive(self) -> bool:
        """Whether that holds between any two versions, not only between neighbours."""
        return self.endswith("_transitive")


@dataclass(frozen=True, slots=True)
class Clash:
    """Values of one version that whoever reads with the other cannot read, or would read as others."""

    reader: int
    writer: int
    """Versions."""
    field: str
    """Path of the field in the reader's contract; empty = the record itself."""
    detail: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.detail} (version {self.writer} read by version {self.reader})"


def clashes(versions: Sequence[tuple[int, Document]], rule: Compatibility) -> tuple[Clash, ...]:
    """Everything that stands against a rule in the versions of a contract, oldest first.

    Raises ContractRefused for a version that is not an Avro schema.
    """
    known = [(number, parsed(document)) for number, document in versions]
    found: list[Clash] = []
    for older, newer in combinations(known, 2) if rule.transitive else pairwise(known):
        if rule.backward:
            found += between(newer, older)
        if rule.forward:
            found += between(older, newer)
    return tuple(found)


def between(reader: tuple[int, Any], writer: tuple[int, Any]) -> Iterator[Clash]:
    """What stands against reading with one version what was written with the other; both as `parsed` gives them."""
    (newer, reading), (older, writing) = reader, writer
    if readable(reading, writing):
        found = list(_coerced(reading, writing, "", ()))
    elif reading.type == writing.type == "record":
        found = list(_unreadable(reading, writing)) or [("", _why(reading, writing))]
    else:
        found = [("", _why(reading, writing))]
    for field, detail in found:
        yield Clash(newer, older, field, detail)


def _unreadable(reader: Any, writer: Any) -> Iterator[tuple[str, str]]:
    theirs = {name: (one, other) for name, one, other in _fields_of_both(reader, writer)}
    for field in reader.fields:
        if field.name not in theirs:
            if not field.has_default:
                yield field.name, "has no default, and is not in what is read"
        elif not readable(*theirs[field.name]):
            yield field.name, _why(*theirs[field.name])


def _why(reader: Any, writer: Any) -> str:
    found = _verdict(reader, writer)
    kinds = sorted({kind.value.replace("_", " ") for kind in found.incompatibilities})
    return f"{', '.join(kinds)} ({'; '.join(sorted(found.messages))})"


def readable(reader: Any, writer: Any) -> bool:
    """Avro's verdict on two schemas as `parsed` gives them: whether one reads what the other writes."""
    return _verdict(reader, writer).compatibility is SchemaCompatibilityType.compatible


def _verdict(reader: Any, writer: Any) -> SchemaCompatibilityResult:
    return ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)


def parsed(document: Document) -> Any:
    """A schema as Avro's library has it. Raises ContractRefused for what is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)  # its meaning is compared here
            return avro.schema.parse(json.dumps(document))
    except (avro.errors.AvroException, RecursionError, TypeError, ValueError, AttributeError) as error:
        msg = f"not an Avro schema: {error}"
        raise ContractRefused(msg) from error


def _coerced(reader: Any, writer: Any, path: str, inside: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """(field, what becomes of it), where a value that can be read is read as another one. For readable pairs."""
    if writer.type == "union":
        for branch in writer.schemas:
            yield from _coerced(reader, branch, path, inside)
    elif reader.type == "union":
        yield from _coerced(_branch(reader, writer), writer, path, inside)
    elif reader.type != writer.type:
        if (writer.type, reader.type) not in _EXACT:
            yield path, f"{writer.type} becomes {reader.type}"
    elif (detail := _otherwise_meant(reader, writer)) != "":
        yield path, detail
    elif id(reader) not in inside:  # a record within itself was looked at
        for step, one, other in _parts(reader, writer):
            yield from _coerced(one, other, f"{path}{step}".lstrip("."), (*inside, id(reader)))


def _parts(reader: Any, writer: Any) -> Iterator[tuple[str, Any, Any]]:
    """The parts of two schemas of one type: (step of the path, the reader's, the writer's)."""
    if reader.type == "record":
        for name, one, other in _fields_of_both(reader, writer):
            yield f".{name}", one, other
    elif reader.type == "array":
        yield "[]", reader.items, writer.items
    elif reader.type == "map":
        yield "{}", reader.values, writer.values


def _branch(reader: Any, writer: Any) -> Any:
    """The branch of a union in which a reader finds a value: one of its own type, else one that can read it."""
    can = [branch for branch in reader.schemas if readable(branch, writer)]
    return next((branch for branch in can if branch.type == writer.type), can[0])


def _otherwise_meant(reader: Any, writer: Any) -> str:
    """Why a value of one Avro type means something else to the reader; "" = it does not."""
    meant, meaning = (str(one.other_props.get("logicalType", one.type)) for one in (writer, reader))
    if meant != meaning:
        return f"{meant} becomes {meaning}"
    if meant == "decimal":
        (digits, scale), (room, places) = ((one.precision, one.scale) for one in (writer, reader))
        if scale != places or room < digits:
            return f"decimal({digits},{scale}) becomes decimal({room},{places})"
    if reader.type == "enum" and (unknown := sorted(set(writer.symbols) - set(reader.symbols))):
        return f"{', '.join(unknown)} becomes {reader.props.get('default')}"
    return ""


def _fields_of_both(reader: Any, writer: Any) -> Iterator[tuple[str, Any, Any]]:
    theirs = {field.name: field.type for field in writer.fields}
    for field in reader.fields:
        for name in (field.name, *cast("Iterable[str]", field.props.get("aliases") or ())):
            if name in theirs:
                yield field.name, field.type, theirs[name]
                break
