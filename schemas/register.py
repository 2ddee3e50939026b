"""A registry with one more version in it, as texts: what `registry.json` says then, and the schema's own file.

Pure: whoever calls it writes the files. Ids are given once and never again, so the next one is above every one known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.codec import guid_text
from schemas.contract import classes_of, make_contract
from schemas.errors import ContractRefused, ContractsClash
from schemas.registry import CONTRACT_ID_MIN, FileRegistry, RegisteredSchema, canonical_digest, read_registry

REGISTRY = "registry.json"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""Objects and fields: what people, headers and columns of databases can all spell."""
_KINDS: dict[str, Any] = {
    "text": "string",
    "number": "double",
    "count": "long",
    "yesno": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "time": {"type": "long", "logicalType": "timestamp-millis"},
    "money": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2},
    "uuid": {"type": "string", "logicalType": "uuid"},
}
KINDS = ", ".join(_KINDS)


class Given(NamedTuple):
    """What a company's registry calls a schema that was registered there."""

    schema_id: int
    guid: bytes | None
    subject: str


def subject_of(name: str) -> str:
    """Where stock serializers look for the contract of an object: that of its authoritative topic's values."""
    return f"authoritative.{name}-value"


def first_version(name: str, key: str, fields: Iterable[str], doc: str) -> dict[str, Any]:
    """A contract of `field:kind` or `field:kind:class` texts, its key first; all but the key may be null.

    Raises ContractRefused.
    """
    document: dict[str, Any] = {"type": "record", "name": name, "doc": doc, "fields": []}
    for told in (f"{key}:text", *fields):
        field, _, rest = told.partition(":")
        kind, _, said = rest.partition(":")
        if NAME.fullmatch(field) is None or kind not in _KINDS:
            msg = f"{told!r} is no field with its kind"
            raise ContractRefused(msg, f"Write field:kind, in lower case; kinds are {KINDS}.")
        entry: dict[str, Any] = {"name": field, "type": "string", "doc": ""}
        if field != key or document["fields"]:
            entry |= {"type": ["null", _KINDS[kind]], "default": None}
        if said:
            entry["class"] = said
        document["fields"].append(entry)
    classes_of(document)
    return document


def with_version(
    documents: Mapping[str, str],
    name: str,
    document: Mapping[str, Any],
    let_go: Iterable[str] = (),
    given: Given | None = None,
) -> dict[str, str]:
    """The files that change when a schema becomes the next version of an object's contract, by name.

    `let_go`: fields of the version before that are meant to be missing. `given`: by the company's registry. Raises
    ContractRefused for a schema that is unfit, ContractsClash where older versions stand against it, RegistryBroken for
    a registry that is none, or where an id is taken.
    """
    if NAME.fullmatch(name) is None:
        msg = f"{name!r} is no name of an object"
        raise ContractRefused(msg, "Use lower case, digits and single underscores.")
    make_contract(document, CONTRACT_ID_MIN)
    known = _known(documents)
    same = _of(name, known)
    if any(canonical_digest(schema.document) == canonical_digest(document) for schema in same):
        msg = f"this is a version of {name} already"
        raise ContractRefused(msg, "Change something, or keep the version that is there.")
    if same and (lost := _removed(same[-1].document, document) - set(let_go)):
        msg = f"{name} would lose {', '.join(sorted(lost))}, with every value of it"
        raise ContractRefused(msg, "If that is meant, name each with --let-go.")
    version = max((schema.version for schema in same), default=0) + 1
    file = f"{name}.avsc" if version == 1 else f"{name}.{version}.avsc"
    if file in documents:
        msg = f"{file} is there, and is no version of {name} that is registered"
        raise ContractRefused(msg, "Give the file another name first.")
    listed = json.loads(documents.get(REGISTRY, '{"schemas": []}'))
    named = _named(given) if given else {"id": max([CONTRACT_ID_MIN - 1, *(s.schema_id for s in known)]) + 1}
    about = {"subject": name, "version": version, "file": file, "sha256": canonical_digest(document)}
    listed["schemas"].append(named | about)
    changed = {REGISTRY: json.dumps(listed, indent=2) + "\n", file: json.dumps(document, indent=2) + "\n"}
    if found := FileRegistry(documents={**documents, **changed}, own=False).clashes(name):
        raise ContractsClash(name, found)
    return changed


def versions_of(documents: Mapping[str, str], name: str) -> list[RegisteredSchema]:
    """The versions of an object's contract, oldest first. Raises RegistryBroken."""
    return _of(name, _known(documents))


def _known(documents: Mapping[str, str]) -> list[RegisteredSchema]:
    return read_registry(documents, REGISTRY) if REGISTRY in documents else []


def _of(name: str, known: Iterable[RegisteredSchema]) -> list[RegisteredSchema]:
    return sorted((schema for schema in known if schema.subject == name), key=lambda schema: schema.version)


def _named(given: Given) -> dict[str, Any]:
    guid = {"guid": guid_text(given.guid)} if given.guid is not None else {}
    return {"id": given.schema_id, **guid, "registered": given.subject}


def _removed(older: Mapping[str, Any], newer: Mapping[str, Any]) -> set[str]:
    kept = {name for field in newer["fields"] for name in (field["name"], *field.get("aliases", ()))}
    return {field["name"] for field in older["fields"]} - kept


def faults(documents: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(object, code, what is wrong, what to do) of every contract in a folder. Raises RegistryBroken."""
    registry = FileRegistry(documents=documents, own=False)
    for name in sorted(registry.subjects):
        try:
            registry.checked(name)
        except ContractRefused as error:
            yield name, error.code, error.detail, error.remedy
            continue
        except ContractsClash as error:
            yield from ((name, error.code, str(clash), error.remedy) for clash in error.found)
        yield from _unspoken(name, registry.latest(name).document)
    files = {schema.file for schema in read_registry(documents, REGISTRY)}
    for file in sorted(file for file in documents if file.endswith(".avsc") and file not in files):
        yield (
            file,
            "contract.unlisted",
            "no version is registered with this file",
            "`solesource contract new`, or delete it.",
        )


def _unspoken(name: str, document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    if not str(document.get("doc", "")).strip():
        yield name, "contract.no_doc", f"{name} does not say what it is", "Say it in `doc`, in one sentence."
    for field in document["fields"]:
        if not str(field.get("doc", "")).strip():
            detail = f"{name}.{field['name']} does not say what it is"
            yield name, "contract.no_doc", detail, "Say it in `doc`: who reviews a held value reads it."
        if NAME.fullmatch(field["name"]) is None:
            detail = f"{name}.{field['name']} is not in lower case with single underscores"
            yield name, "contract.name", detail, "Add a field of another name with this one as alias."
