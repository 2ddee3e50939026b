"""From what a foreign record tells to the values of a contract, as the configuration maps them. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connectors.adopt.connect_types import Reading
from connectors.adopt.errors import Unmapped
from connectors.adopt.expressions import Expression, expression, plain
from connectors.adopt.fitting import Fit, fitting
from connectors.adopt.formats import Columns, Told
from connectors.adopt.meanings import meaning_of, text_of
from connectors.adopt.settings import Part, TopicMapping
from schemas.contract import Contract
from schemas.keys import canonical_key

Check = Callable[[Mapping[str, Any]], None]
"""Looks at a row before it is mapped; it raises Unmapped."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a change says of a record."""

    key: str
    gone: bool
    values: Mapping[str, Any]
    fields: frozenset[str]
    unavailable: frozenset[str]


class _Absent:
    """A column that is not there, or could not be read along."""


_UNSET, _UNAVAILABLE = _Absent(), _Absent()


class _Names:
    """What expressions may look at, made only where one is evaluated; without columns that could not be read along."""

    def __init__(
        self, told: Told, row: Columns | None, key: Columns | str | None, absent: _Placeholder
    ) -> None:
        self._told, self._row, self._key, self._absent = told, row, key, absent

    @cached_property
    def all(self) -> dict[str, Any]:
        key = self._key.values if isinstance(self._key, Columns) else self._key
        row = {} if self._row is None else self._row.values
        read = {name: value for name, value in row.items() if not self._absent.stands_in(value)}
        return {"row": plain(read), "key": plain(key), "event": plain(self._told.event)}

    @cached_property
    def incomplete(self) -> bool:
        """Whether a column was left out."""
        return self._row is not None and any(map(self._absent.stands_in, self._row.values.values()))


class _Placeholder:
    """What stands where a column could not be read along: the text, in a list, as base64 or bytes."""

    def __init__(self, text: str) -> None:
        self._spelled = (text, base64.b64encode(text.encode()).decode(), text.encode())

    def stands_in(self, value: Any) -> bool:
        """Whether it is what a column has."""
        return (value[0] if type(value) is list and len(value) == 1 else value) in self._spelled


class _Part:
    """One part of a mapping, compiled."""

    def __init__(self, part: Part, where: str, absent: _Placeholder) -> None:
        self._column = part.column
        self._path = () if part.column is None else tuple(part.column.split("."))
        self._constant = part.constant
        self._is_constant = part.column is None and part.expression is None
        self._expression: Expression | None = None
        if part.expression is not None:
            self._expression = expression(part.expression, where)
        self._meaning: Reading | None = meaning_of(part)
        self._enum = part.enum
        self._absent = absent

    def value(self, columns: Columns, names: _Names) -> Any:
        """The value, or _UNSET or _UNAVAILABLE. Raises Unmapped."""
        found = self._found(columns, names)
        if isinstance(found, _Absent) or found is None or self._is_constant:
            return found
        if self._meaning is not None:
            found = self._meaning(found)
        if self._enum is not None:
            word = text_of(found)
            if word not in self._enum:
                raise Unmapped("a value that `enum` does not list")
            found = self._enum[word]
        return found

    def _found(self, columns: Columns, names: _Names) -> Any:
        if self._expression is not None:
            return self._evaluated(self._expression, names)
        if self._column is None:
            return self._constant
        path = (self._column,) if self._column in columns.values else self._path
        found = columns.values.get(path[0], _UNSET)
        if self._absent.stands_in(found):
            return _UNAVAILABLE
        if found is not _UNSET and (reading := columns.readings.get(path[0])) is not None:
            found = reading(found)
        for name in path[1:]:
            if found is None:
                return None
            found = found.get(name, _UNSET) if isinstance(found, dict) else _UNSET
        return found

    @staticmethod
    def _evaluated(evaluate: Expression, names: _Names) -> Any:
        try:
            return evaluate(names.all)
        except Unmapped:
            if names.incomplete:  # it asks for what could not be read along
                return _UNAVAILABLE
            raise


class Mapper:
    """The mapping of one topic."""

    def __init__(
        self, name: str, mapping: TopicMapping, contract: Contract, check: Check | None = None
    ) -> None:
        """Raises ConfigInvalid for an expression that is none."""
        where = f"objects.{name}"
        types = {str(field["name"]): field["type"] for field in contract.schema["fields"]}
        self._absent = absent = _Placeholder(mapping.placeholder)
        self._parts = {
            field: _Part(part, f"{where}.fields.{field}", absent) for field, part in mapping.fields.items()
        }
        self._fits: dict[str, Fit] = {field: fitting(types[field]) for field in mapping.fields}
        self._key = None if mapping.key is None else _Part(mapping.key, f"{where}.key", absent)
        self._only = mapping.only and expression(mapping.only, f"{where}.only")
        self._deleted = mapping.deleted and expression(mapping.deleted, f"{where}.deleted")
        self._before_is_whole = mapping.before_is_whole
        self._check = check
        self._used = _columns_used(mapping)
        self._shape: frozenset[str] = frozenset()
        self.spare: frozenset[str] = frozenset()
        """Columns of the latest row that the mapping does not name."""
        self.missing: frozenset[str] = frozenset()
        """Fields whose columns the latest row did not have."""

    def mapped(self, told: Told, key: Columns | str | None) -> Mapped | None:
        """What it says; None where `only` passes it over. Raises Unmapped."""
        names = _Names(told, told.row or told.before, key, self._absent)
        if self._only and not _truth(self._only(names.all), "only"):
            return None
        gone = told.gone or bool(self._deleted and _truth(self._deleted(names.all), "deleted"))
        record = self._key_text(told, key, names)
        if gone:
            return Mapped(record, gone=True, values={}, fields=frozenset(), unavailable=frozenset())
        try:
            return self._whole(record, told, key, names)
        except Unmapped as error:
            error.key = record
            raise

    def _whole(self, record: str, told: Told, key: Columns | str | None, names: _Names) -> Mapped:
        if told.row is None:
            raise Unmapped("no row (in a CloudEvent: `data`), and `deleted` does not say that it is gone")
        if self._check is not None:
            self._check(told.row.values)
        self._look(told.row)
        values, unavailable = self._values(told.row, names)
        self.missing = frozenset(self._parts) - values.keys() - unavailable
        fields = frozenset(values)
        if self._before_is_whole and told.before is not None:
            before = self._before(told.before, _Names(told, told.before, key, self._absent))
            differing = frozenset(name for name in fields if values[name] != before.get(name, _UNSET))
            fields = differing or fields  # a touched but unchanged row is told whole: it changes nothing
        if not fields:
            raise Unmapped("none of the mapping's columns is there")
        return Mapped(record, gone=False, values=values, fields=fields | unavailable, unavailable=unavailable)

    def _before(self, row: Columns, names: _Names) -> Mapping[str, Any]:
        """The values before a change; none where they cannot be mapped, so that all of the row is told."""
        try:
            return self._values(row, names)[0]
        except Unmapped:
            return {}

    def _values(self, row: Columns, names: _Names) -> tuple[dict[str, Any], frozenset[str]]:
        values: dict[str, Any] = {}
        unavailable = set()
        for field, part in self._parts.items():
            try:
                found = part.value(row, names)
                if found is _UNAVAILABLE:
                    unavailable.add(field)
                elif found is not _UNSET:
                    values[field] = self._fits[field](found)
            except Unmapped as error:
                raise Unmapped(f"{field}: {error}") from error
        return values, frozenset(unavailable)

    def _key_text(self, told: Told, key: Columns | str | None, names: _Names) -> str:
        try:
            found = str(self._key_value(told, key, names))
            canonical_key(found)
        except (Unmapped, ValueError) as error:
            raise Unmapped(f"key: {error}") from error
        return found

    def _key_value(self, told: Told, key: Columns | str | None, names: _Names) -> str | int:
        if self._key is None:
            found = _only_column(key)
        else:
            columns = key if isinstance(key, Columns) else told.row
            if columns is None:
                raise Unmapped("neither a key of columns nor a row, so `key` finds nothing")
            found = self._key.value(columns, names)
        if type(found) is not str and type(found) is not int:
            raise Unmapped("its column is not there, or it is no text and no whole number")
        return found

    def _look(self, row: Columns) -> None:
        if row.values.keys() != self._shape:
            self._shape = frozenset(row.values)
            self.spare = self._shape - self._used


def _only_column(key: Columns | str | None) -> Any:
    if key is None:
        raise Unmapped("Kafka's key is empty: say under `key` where it is found")
    if isinstance(key, str):
        return key
    if len(key.values) != 1:
        raise Unmapped(f"Kafka's key has {len(key.values)} columns: say under `key` which it is")
    ((name, value),) = key.values.items()
    return key.readings[name](value) if name in key.readings else value


def _truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise Unmapped(f"`{where}` is neither true nor false")
    return value


def _columns_used(mapping: TopicMapping) -> frozenset[str]:
    parts = [*mapping.fields.values(), *([mapping.key] if mapping.key else [])]
    columns = {name for part in parts if part.column for name in (part.column, part.column.split(".")[0])}
    texts = [part.expression for part in parts] + [mapping.only, mapping.deleted]
    return frozenset(columns | {name for text in texts for name in re.findall(r"\brow\.(\w+)", text or "")})
