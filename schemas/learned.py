"""Schemas in which an object's changes are written too, though they are no version of its contract.

Pure. A system that uses a company's registry writes by what is registered there, and there is more than here: another
name of the record, a field more. What it wrote is read by that schema, as the contract in force sees it; nothing is
ever written by it. They stand in `learned.json` beside the map on its topic, and go along with every next map.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro.schema

from schemas.codec import guid_of, guid_text
from schemas.contract import Contract, make_contract
from schemas.errors import ContractRefused, ContractsClash, RegistryBroken
from schemas.evolution import between, parsed

LEARNED = "learned.json"
LEARNED_MAX = 1000
"""Of all objects together: whoever registers schemas without end shall not fill the map with them."""


@dataclass(frozen=True, slots=True)
class Learned:
    """One schema of a company's registry."""

    schema_id: int
    subject: str
    """The object whose changes are written by it."""
    document: Mapping[str, Any]
    guid: bytes | None = None


def read_learned(documents: Mapping[str, str], origin: str) -> list[Learned]:
    """What `learned.json` among `documents` lists; nothing where it is not there. Raises RegistryBroken."""
    if LEARNED not in documents:
        return []
    try:
        return [
            Learned(
                int(entry["id"]),
                str(entry["subject"]),
                dict(entry["schema"]),
                guid_of(entry["guid"]) if entry.get("guid") else None,
            )
            for entry in json.loads(documents[LEARNED])["schemas"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        msg = f"{origin}/{LEARNED} cannot be read: {error}"
        raise RegistryBroken(msg, "Publish the map without it; what is needed is learned again.") from error


def written(learned: Iterable[Learned]) -> str:
    """The text of `learned.json`."""
    entries = [
        {
            "id": schema.schema_id,
            "subject": schema.subject,
            "schema": schema.document,
            **({"guid": guid_text(schema.guid)} if schema.guid else {}),
        }
        for schema in sorted(learned, key=lambda schema: schema.schema_id)
    ]
    return json.dumps({"schemas": entries}, indent=2) + "\n"


def carried(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The files of a map, with what was learned under the map before it; what has become a version since is left out.

    Raises RegistryBroken.
    """
    try:
        versions = {int(entry["id"]) for entry in json.loads(after["registry.json"])["schemas"]}
    except (KeyError, TypeError, ValueError):
        versions = set()  # whoever reads the files says what is wrong with them
    known = {one.schema_id: one for one in (*read_learned(before, LEARNED), *read_learned(after, LEARNED))}
    left = [one for number, one in known.items() if number not in versions]
    return {**after, LEARNED: written(left)} if left else dict(after)


def learned_from(
    subject: str, contract: Contract, schema_id: int, document: Mapping[str, Any], guid: bytes | None = None
) -> Learned:
    """A registry's schema, as what changes of an object may be written by; contract: the one in force.

    Its record may have another name: Avro's bytes do not say it. Raises ContractRefused for what is no Avro record or
    could harm a reader, ContractsClash when the contract in force cannot read what it writes.
    """
    try:
        full = fastavro.schema.parse_schema(dict(document), _force=True)
    except Exception as error:  # fastavro raises several unrelated classes on bad schemas
        msg = f"not an Avro schema: {error}"
        raise ContractRefused(msg) from error
    if not isinstance(full, dict) or full.get("type") != "record":
        msg = "not an Avro record"
        raise ContractRefused(msg)
    plain = _plain(full) | {"name": contract.name}
    make_contract(plain, schema_id)
    found = Learned(schema_id, subject, plain, guid)
    if clashes := unfit(found, contract):
        raise ContractsClash(f"{subject}, schema id {schema_id}", clashes)
    return found


def unfit(learned: Learned, contract: Contract) -> tuple[str, ...]:
    """What stands against reading with a contract what was written by a learned schema."""
    reader, writer = (0, parsed(_plain(contract.schema))), (0, parsed(learned.document))
    return tuple(f"{clash.field}: {clash.detail}".lstrip(": ") for clash in between(reader, writer))


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if not name.startswith("__")}
