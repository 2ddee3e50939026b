"""From the files of a map version to what is in force: the compiled map, and how each object is read and written.

Pure: takes texts, opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from broker.gate.change import ObjectReader
from broker.gate.echo import EchoPlan
from broker.gate.express import ExpressPlan, changed_header, listed_bits
from broker.gate.groups import Ownership, ownership_in_bits
from broker.gate.project import Projection, projection_of
from ownership.errors import Finding
from ownership.load import load_advice, load_map
from ownership.map import ObjectMap, OwnershipMap
from ownership.reading import readings
from schemas.codec import Codec, frame
from schemas.contract import Contract, spellings_of
from schemas.envelope import source_of
from schemas.registry import FileRegistry
from schemas.spans import blank_of, differences_of, merging_of
from schemas.walk import walker_of

FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force for a batch: one map version, and how each object is read (never two in one batch)."""

    ownership_map: OwnershipMap
    readers: Mapping[str, ObjectReader]
    codec: Codec
    """Of all contracts."""
    projections: Mapping[str, tuple[Projection, ...]]
    """Object to what its restricted readers get."""
    express: Mapping[tuple[str, str], ExpressPlan]
    """(system, object) to the plan of the short way, where the system owns fields; the last such time counts."""
    echoes: Mapping[tuple[str, str], EchoPlan]
    """The same for systems that own nothing of an object."""


def rules_of(documents: Mapping[str, str], version: int, always_ms: int | None = None) -> Rules:
    """Compile the files of one map version. Raises MapRefused or SchemaError; then nothing of it is used (I7).

    `always_ms`: the terms of that moment are in force all the time, to see what they do.
    """
    registry = _registry(documents)
    contracts = {subject: registry.checked(subject) for subject in registry.subjects}
    ownership_map = load_map(_texts(documents), _fields(contracts), version=version)
    entries = {
        name: replace(
            entry if always_ms is None else replace(entry.at(always_ms), later=()),
            contract_id=contracts[name].schema_id,
        )
        for name, entry in ownership_map.objects.items()
    }
    ownership_map = replace(ownership_map, objects=entries)
    readers = {
        name: object_reader(registry, name, replace(contracts[name], key_field=entry.key_field))
        for name, entry in ownership_map.objects.items()
    }
    plans = {
        (plan.system, plan.object): plan
        for entry in ownership_map.objects.values()
        for plan in _expresses(entry, readers[entry.name], version)
    }
    projections = {
        entry.name: tuple(projection_of(reading, readers[entry.name]) for reading in readings(entry))
        for entry in ownership_map.objects.values()
    }
    echoes = {
        (plan.system, plan.object): plan
        for entry in ownership_map.objects.values()
        for plan in _echoes(entry, readers[entry.name], version)
    }
    return Rules(ownership_map, readers, registry.codec, projections, plans, echoes)


def object_reader(registry: FileRegistry, name: str, contract: Contract) -> ObjectReader:
    """How changes of an object are read, by its contract in force and every other one that they may be written by."""
    ids = registry.ids(name)
    return ObjectReader(
        contract,
        ids,
        registry.codec,
        frame(contract.schema_id),
        spellings_of(contract),
        registry.learned(name),
        {frame(number): walker_of(registry.codec.schema(number)) for number in ids},
    )


def advice_of(documents: Mapping[str, str], today: date) -> list[Finding]:
    """What the gate does not mind in a map's files, and should be otherwise. Raises MapRefused or SchemaError."""
    registry = _registry(documents)
    contracts = {subject: registry.checked(subject) for subject in registry.subjects}
    return load_advice(_texts(documents), _fields(contracts), today=today)


def _registry(documents: Mapping[str, str]) -> FileRegistry:
    rest = {name: text for name, text in documents.items() if not name.endswith(".yaml")}
    return FileRegistry(documents=rest, own=False)


def _texts(documents: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in documents.items() if name.endswith(".yaml")}


def _fields(contracts: Mapping[str, Contract]) -> dict[str, dict[str, str | None]]:
    """Object to the fields of its contract, each with its class."""
    return {
        name: {field: contract.classes.get(field) for field in contract.fields}
        for name, contract in contracts.items()
    }


def _expresses(entry: ObjectMap, reader: ObjectReader, version: int) -> Iterator[ExpressPlan]:
    """A plan per time and owner of an object; none where nobody owns a field, or values must be decoded."""
    contract = reader.contract
    differences, merging, blank = differences_of(contract), merging_of(contract), blank_of(contract)
    if differences is None or merging is None or blank is None or contract.fields != entry.fields:
        return
    listed, changed = listed_bits(entry.fields), changed_header(entry.fields)
    for found, since_ms, until_ms in _terms(entry):
        today = _today(found)
        if today is None:
            continue
        for place, (owner, _) in enumerate(today.whole):
            own = today.owned.get(owner, 0)
            if own and owner not in found.observed:
                yield ExpressPlan(
                    object=entry.name,
                    system=owner,
                    source=("ce_source", source_of(owner).encode()),
                    type=("ce_type", f"{entry.name}.upsert".encode()),
                    authoritative=("ce_type", f"{entry.name}.authoritative".encode()),
                    frame=reader.frame,
                    differences=differences,
                    merging=merging,
                    blank=blank,
                    key_bit=today.bits(frozenset({found.key_field})),
                    own_bits=own,
                    today=today,
                    listed=listed,
                    required_bits=today.bits(contract.required),
                    changed=changed,
                    place=place,
                    creates=found.create == found.sole_owner == owner,
                    since_ms=since_ms,
                    until_ms=until_ms,
                    words=(f"{entry.name}/".encode(), f"{owner}/".encode(), b"%d:" % version),
                )


def _today(entry: ObjectMap) -> Ownership | None:
    """Who owns what; None where a field is nobody's."""
    if len(entry.owners) < len(entry.fields):
        return None
    return ownership_in_bits(entry.fields, entry.owners, entry.system_of_record)


def _echoes(entry: ObjectMap, reader: ObjectReader, version: int) -> Iterator[EchoPlan]:
    """A plan per time in which a system owns nothing of an object, and is not only watched."""
    for found, since_ms, until_ms in _terms(entry):
        owners = {found.owner_of(name) for name in found.fields}
        for system in found.systems:
            if (
                system not in owners
                and system not in found.observed
                and reader.contract.fields == found.fields
            ):
                yield EchoPlan(
                    object=entry.name,
                    system=system,
                    source=("ce_source", source_of(system).encode()),
                    type=("ce_type", f"{entry.name}.upsert".encode()),
                    frame=reader.frame,
                    fields=found.fields,
                    map_version=version,
                    since_ms=since_ms,
                    until_ms=until_ms,
                )


def _terms(entry: ObjectMap) -> Iterator[tuple[ObjectMap, int, int]]:
    """(what is in force, since when, until when) in append times."""
    terms = [(0, entry), *entry.later]
    ends = [since_ms for since_ms, _ in entry.later] + [FOREVER_MS]
    for (since_ms, found), until_ms in zip(terms, ends, strict=True):
        yield found, since_ms, until_ms
