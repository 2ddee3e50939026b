"""The file registry: stable schema ids, kept in git beside the schemas they name.

`registry.json` lists id, subject, version, file and the SHA-256 of the file's canonical JSON; a schema that changed
under its id is refused at start, because ids on the wire outlive every process. It may say for a subject which of its
versions must be able to read which (`compatibility`). The only module here that reads files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro.schema

from schemas.codec import Codec, guid_of
from schemas.contract import AvroSchema, Contract, make_contract
from schemas.errors import ContractsClash, RegistryBroken
from schemas.evolution import Clash, Compatibility, clashes
from schemas.learned import Learned, read_learned, unfit

ENVELOPES = Path(__file__).parent / "avro"
OWN_TOPIC = "ownership.map"
SCHEMA_LENGTH_MAX = 256 * 1024
CONTRACT_ID_MIN = 100
"""Of those that are given here. Ids below are the envelopes that ship with the product, which have topics of their own:
a company's registry may give them to contracts."""


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One version of one subject."""

    schema_id: int
    subject: str
    version: int
    document: Mapping[str, Any]
    file: str
    guid: bytes | None = None
    """What a Confluent registry calls it beside its id, where one does."""
    registered: str = ""
    """The subject under which it is in the company's registry too, by the same id."""


def canonical_digest(document: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a schema's JSON with sorted keys and no white space."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_folder(folder: Path) -> dict[str, str]:
    """The registry and the schemas of a folder, by file name. Raises RegistryBroken when they cannot be read."""
    try:
        return {
            path.name: path.read_text("utf-8")
            for path in sorted(folder.iterdir())
            if path.suffix in (".json", ".avsc")
        }
    except OSError as error:
        msg = f"{folder} cannot be read: {error}"
        raise RegistryBroken(msg) from error


def read_rules(documents: Mapping[str, str], origin: str) -> dict[str, Compatibility]:
    """Subject to what `registry.json` says of its compatibility. Raises RegistryBroken for a word it does not know."""
    try:
        told = json.loads(documents["registry.json"]).get("compatibility", {})
        return {str(subject): Compatibility(rule) for subject, rule in told.items()}
    except (KeyError, AttributeError, ValueError, RecursionError) as error:
        msg = f"{origin}/registry.json says no known compatibility: {error}"
        raise RegistryBroken(msg, f"Use one of {', '.join(Compatibility)}.") from error


def schema_in(text: str, place: str) -> Any:
    """The JSON of a schema. Raises RegistryBroken for one that is too large, ValueError or RecursionError for none."""
    if len(text) > SCHEMA_LENGTH_MAX:
        msg = f"{place} has {len(text)} characters, at most {SCHEMA_LENGTH_MAX} are read"
        raise RegistryBroken(msg, "Leave out what is not needed to read a value.")
    return json.loads(text)


def read_registry(documents: Mapping[str, str], origin: str) -> list[RegisteredSchema]:
    """The schemas that `registry.json` among `documents` lists. Raises RegistryBroken naming file and id."""
    try:
        entries = json.loads(documents["registry.json"])["schemas"]
        found = []
        for entry in entries:
            document = schema_in(documents[entry["file"]], f"{origin}/{entry['file']}")
            if canonical_digest(document) != entry["sha256"]:
                msg = f"{origin}/{entry['file']} changed under id {entry['id']}"
                raise RegistryBroken(msg)
            found.append(
                RegisteredSchema(
                    int(entry["id"]),
                    str(entry["subject"]),
                    int(entry["version"]),
                    document,
                    str(entry["file"]),
                    guid_of(entry["guid"]) if "guid" in entry else None,
                    str(entry.get("registered", "")),
                )
            )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        msg = f"{origin}/registry.json or what it lists cannot be read: {error}"
        raise RegistryBroken(msg) from error
    if len({schema.schema_id for schema in found}) != len(found):
        msg = f"{origin}/registry.json gives one id to two schemas"
        raise RegistryBroken(msg)
    if len({(schema.subject, schema.version) for schema in found}) != len(found):
        msg = f"{origin}/registry.json gives one version of a subject to two schemas"
        raise RegistryBroken(msg)
    return found


class FileRegistry:
    """Schemas by id and by subject, from the product's own envelopes and the folders of object contracts."""

    def __init__(self, *folders: Path, documents: Mapping[str, str] | None = None, own: bool = True) -> None:
        """own: with the product's envelopes, whose ids a company's registry may have given to something else."""
        self._learned: dict[int, Learned] = {}
        self._by_id: dict[int, RegisteredSchema] = {}
        self._by_subject: dict[str, list[RegisteredSchema]] = {}
        self._rules: dict[str, Compatibility] = {}
        if own:
            self._add(read_folder(ENVELOPES), str(ENVELOPES), 0)
        id_min = CONTRACT_ID_MIN if own else 0
        for folder in folders:
            self._add(read_folder(folder), str(folder), id_min)
        if documents is not None:
            self._add(documents, OWN_TOPIC, id_min)
        known: dict[int, RegisteredSchema | Learned] = {**self._by_id, **self._learned}
        parsed = {number: _parsed(schema.subject, schema.document) for number, schema in known.items()}
        self.codec = Codec(parsed, _guids(known.values()))

    def _add(self, documents: Mapping[str, str], origin: str, id_min: int) -> None:
        schemas, self._rules = read_registry(documents, origin), self._rules | read_rules(documents, origin)
        for schema in schemas:
            if schema.schema_id in self._by_id or schema.schema_id < id_min:
                msg = f"id {schema.schema_id} of subject {schema.subject} is taken"
                raise RegistryBroken(msg)
            self._by_id[schema.schema_id] = schema
            self._by_subject.setdefault(schema.subject, []).append(schema)
        for learned in read_learned(documents, origin):
            if learned.schema_id in self._by_id or learned.schema_id in self._learned:
                msg = f"learned id {learned.schema_id} of subject {learned.subject} is taken"
                remedy = "If it is the same schema, write its `guid` beside the id in registry.json; else they clash."
                raise RegistryBroken(msg, remedy)
            self._learned[learned.schema_id] = learned

    @property
    def subjects(self) -> frozenset[str]:
        """Every subject."""
        return frozenset(self._by_subject)

    def latest(self, subject: str) -> RegisteredSchema:
        """The newest version of a subject. Raises RegistryBroken when there is none."""
        versions = self.versions(subject)
        if not versions:
            msg = f"no schema of subject {subject}"
            raise RegistryBroken(msg, "Add it to registry.json beside the ownership map.")
        return versions[-1]

    def contract(self, object_name: str) -> Contract:
        """The contract in force of an object."""
        registered = self.latest(object_name)
        return make_contract(registered.document, registered.schema_id)

    def versions(self, subject: str) -> list[RegisteredSchema]:
        """Every version of a subject, oldest first."""
        return sorted(self._by_subject.get(subject, ()), key=lambda schema: schema.version)

    def clashes(self, subject: str) -> tuple[Clash, ...]:
        """What stands against the versions of a subject: its own rule, and what the gate needs in any case.

        A record that has not changed for years is in the version of then, and is merged and written with today's.
        """
        versions = [(schema.version, schema.document) for schema in self.versions(subject)]
        needed = clashes(versions, Compatibility.BACKWARD_TRANSITIVE)
        promised = clashes(versions, self._rules.get(subject, Compatibility.NONE))
        return tuple(dict.fromkeys((*needed, *promised)))

    def checked(self, object_name: str) -> Contract:
        """The contract in force of an object.

        Raises ContractRefused for any version that could harm a reader, ContractsClash where they cannot follow each
        other.
        """
        newest = self.contract(object_name)
        for learned in self._learned.values():
            if learned.subject == object_name and (clashing := unfit(learned, newest)):
                raise ContractsClash(f"{object_name}, learned schema id {learned.schema_id}", clashing)
        for schema in self.versions(object_name)[:-1]:
            make_contract(schema.document, schema.schema_id)  # values of all of them are read
        if found := self.clashes(object_name):
            raise ContractsClash(object_name, found)
        return newest

    def ids(self, subject: str) -> frozenset[int]:
        """Every schema id of a subject by which values may be written."""
        return frozenset(schema.schema_id for schema in self.versions(subject)) | self.learned(subject)

    def learned(self, subject: str) -> frozenset[int]:
        """Those of them that are no version of its contract."""
        return frozenset(number for number, schema in self._learned.items() if schema.subject == subject)

    def id_of(self, envelope: str) -> int:
        """The id of one of the product's own envelopes, such as `case`."""
        return self.latest(f"solesource.{envelope}").schema_id


def _parsed(subject: str, document: Mapping[str, Any]) -> AvroSchema:
    try:
        return fastavro.schema.parse_schema(dict(document), _force=True)
    except Exception as error:  # fastavro raises several unrelated classes on bad schemas
        msg = f"a schema of {subject} is no Avro schema: {error}"
        raise RegistryBroken(msg) from error


def _guids(schemas: Iterable[RegisteredSchema | Learned]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for schema in schemas:
        if schema.guid is not None and found.setdefault(schema.guid, schema.schema_id) != schema.schema_id:
            msg = f"one GUID is given to ids {found[schema.guid]} and {schema.schema_id}"
            raise RegistryBroken(msg)
    return found


@cache
def envelopes() -> FileRegistry:
    """The registry of the product's own envelopes alone."""
    return FileRegistry()
