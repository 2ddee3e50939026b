"""A data contract of the Open Data Contract Standard 3.1.0 as a file of the map and an Avro contract.

Pure. https://bitol-io.github.io/open-data-contract-standard/v3.1.0/. What a contract does not say, such as who owns a
field, is left open (`?`), and `map lint` refuses it until somebody says it. What our own export (`ownership.odcs`) puts
into `customProperties` is read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ownership.document import DataClass, FieldName, Name
from ownership.errors import Finding, MapRefused
from ownership.form import faults_of_form, line_of
from ownership.lines import OPEN, Path, dotted, open_places, read_yaml
from ownership.odcs import KEPT, PREFIX

OBJECTS_MAX, FIELDS_MAX = 100, 1000
_AVRO: dict[str, Any] = {
    "string": "string",
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "time": {"type": "int", "logicalType": "time-millis"},
    "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
}
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d{1,2}),\s*(\d{1,2})\)", re.IGNORECASE)


class OdcsRefused(MapRefused):
    """A data contract cannot be read; nothing is written."""

    code = "odcs.refused"
    whole = "the data contract is not imported:"


class _Part(BaseModel):
    """Base: of a standard this wide most keys say nothing to us."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Custom(_Part):
    property: str
    value: Any = None


class _Typed(_Part):
    """What a value is."""

    logicalType: Literal[  # noqa: N815 - the standard's names, here and below
        "string", "integer", "number", "boolean", "date", "time", "timestamp", "array", "object"
    ]
    physicalType: str = ""  # noqa: N815
    properties: list[_Property] = Field(default=[], max_length=FIELDS_MAX)
    items: _Typed | None = None


class _Property(_Typed):
    name: FieldName
    required: bool = False
    primaryKey: bool = False  # noqa: N815
    classification: str = ""
    description: str = ""
    customProperties: list[_Custom] = []  # noqa: N815


class _Schema(_Part):
    name: Name
    description: str = ""
    properties: list[_Property] = Field(min_length=1, max_length=FIELDS_MAX)
    customProperties: list[_Custom] = []  # noqa: N815


class _Member(_Part):
    username: str = ""
    role: str = ""


class _Team(_Part):
    name: str = ""
    members: list[_Member] = []


def _team(said: Any) -> Any:
    """Until 3.0 a team was the list of its members."""
    return {"members": said} if isinstance(said, list) else said


class _Purpose(_Part):
    purpose: str = ""


class _Contract(_Part):
    apiVersion: Literal["v3.1.0"]  # noqa: N815
    kind: Literal["DataContract"]
    described: _Purpose = Field(default=_Purpose(), alias="description")
    objects: list[_Schema] = Field(min_length=1, max_length=OBJECTS_MAX, alias="schema")
    team: Annotated[_Team, BeforeValidator(_team)] = _Team()


@dataclass(frozen=True, slots=True)
class Imported:
    """One object of a data contract."""

    object: str
    text: str
    """Its file of the map, in YAML."""
    contract: dict[str, Any]
    """Its Avro record, still to be registered."""
    open: tuple[str, ...]
    """Places of the file at which somebody still has to say something."""


def imported(text: str, file: str) -> list[Imported]:
    """Each object of a data contract. Raises OdcsRefused with every fault, each with its line."""
    lines: Mapping[Path, int] = {}
    try:
        values, lines = read_yaml(text, file)
        contract = _Contract.model_validate(values)
    except MapRefused as refused:
        raise OdcsRefused(refused.findings) from refused
    except ValidationError as error:
        otherwise = "See the standard, version 3.1.0."
        raise OdcsRefused([*faults_of_form(error, file, lines, "odcs", otherwise)]) from error
    if findings := list(_unfit(contract, file, lines)):
        raise OdcsRefused(findings)
    return [_object(contract, schema, file) for schema in contract.objects]


def _unfit(contract: _Contract, file: str, lines: Mapping[Path, int]) -> Iterator[Finding]:
    """What the standard may say and a map cannot hold."""
    for place, schema in enumerate(contract.objects):
        path: Path = ("schema", place, "properties")
        keys = [index for index, one in enumerate(schema.properties) if one.primaryKey]
        if len(keys) > 1:
            where = (*path, keys[1])
            detail, remedy = "a record has one key field", "Give the object one field that names a record."
            yield Finding("odcs.composite_key", file, line_of(lines, where), dotted(where), detail, remedy)
        for index, one in enumerate(schema.properties):
            if not _avro(_said(one.customProperties)) and not _shaped(one):
                where = (*path, index)
                detail = f"it is not said what is in this {one.logicalType}"
                remedy = "Give its `properties`, or its `items`."
                yield Finding("odcs.no_shape", file, line_of(lines, where), dotted(where), detail, remedy)


def _shaped(one: _Typed) -> bool:
    if one.logicalType == "array":
        return one.items is not None and _shaped(one.items)
    if one.logicalType == "object":
        return bool(one.properties) and all(_shaped(below) for below in one.properties)
    return True


def _said(custom: list[_Custom]) -> dict[str, Any]:
    """What our own export put there."""
    return {one.property.removeprefix(PREFIX): one.value for one in custom if one.property.startswith(PREFIX)}


def _word(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) and value not in ("", "nobody") else OPEN


def _object(contract: _Contract, schema: _Schema, file: str) -> Imported:
    said = _said(schema.customProperties)
    members = [one.username for one in contract.team.members if one.role.lower() == "steward"]
    key = next((one.name for one in schema.properties if one.primaryKey), OPEN)
    record = _word(said, "systemOfRecord")
    values = {
        "object": schema.name,
        "description": schema.description or contract.described.purpose or OPEN,
        "key": key,
        "steward": {
            "team": contract.team.name or OPEN,
            "contact": next((one for one in members if one), OPEN),
        },
        "contract": f"{schema.name}.avsc",
        "system_of_record": record,
        "create": _word(said, "create"),
        "delete": {"authority": _word(said, "delete"), "consumers": said.get("consumers", "soft")},
        "fields": {
            one.name: rule for one in schema.properties if (rule := dict(_rule(one, record, one.name == key)))
        },
        **{name: said[name] for name in KEPT if name in said},
    }
    left = tuple(dotted(path) for path in open_places(values))
    about = f"# From {file!r}. Where there is a question mark, the data contract does not say it.\n"
    text = (about if left else "") + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return Imported(schema.name, text, _record(schema), left)


def _rule(one: _Property, record: str, is_key: bool) -> Iterator[tuple[str, Any]]:
    """What the map says of a field: its owner, where that is another; its class, where the Avro contract does not."""
    said = _said(one.customProperties)
    if "systemOfRecord" in said and not is_key and (owner := _word(said, "systemOfRecord")) != record:
        yield "system_of_record", owner
    if "until" in said:
        yield "until", said["until"]
    if one.classification and "class" not in _avro(said):
        yield "class", one.classification if one.classification in get_args(DataClass) else OPEN


def _avro(said: Mapping[str, Any]) -> dict[str, Any]:
    avro = said.get("avro")
    found = {str(key): value for key, value in avro.items()} if isinstance(avro, dict) else {}
    return {key: value for key, value in found.items() if key != "name"}


def _record(schema: _Schema) -> dict[str, Any]:
    fields = [_field(one, schema.name) for one in schema.properties]
    return {
        "type": "record",
        "name": schema.name,
        "doc": schema.description,
        "fields": fields,
    }


def _field(one: _Property, within: str) -> dict[str, Any]:
    if avro := _avro(_said(one.customProperties)):
        return {"name": one.name, **avro}
    kind = _type(one, f"{within}_{one.name}")
    about = {"doc": one.description} if one.description else {}
    if one.required or one.primaryKey:
        return {"name": one.name, "type": kind, **about}
    return {"name": one.name, "type": ["null", kind], "default": None, **about}


def _type(one: _Typed, name: str) -> Any:
    if one.logicalType == "array":
        assert one.items is not None  # `_unfit` has seen to it
        return {"type": "array", "items": _type(one.items, f"{name}_item")}
    if one.logicalType == "object":
        return {"type": "record", "name": name, "fields": [_field(below, name) for below in one.properties]}
    if one.logicalType == "number" and (digits := _DECIMAL.fullmatch(one.physicalType)):
        exact = {"precision": int(digits[1]), "scale": int(digits[2])}
        return {"type": "bytes", "logicalType": "decimal", **exact}
    return _AVRO[one.logicalType]
