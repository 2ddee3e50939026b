"""From the files of a map version to what is in force: the compiled map, and how each object is read and written.

Pure: takes texts, opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from broker.gate.change import ObjectReader
from broker.gate.echo import EchoPlan
from broker.gate.express import ExpressPlan, changed_header
from broker.gate.project import Projection, projection_of
from ownership.load import load_map
from ownership.map import ObjectMap, OwnershipMap
from ownership.reading import readings
from schemas.codec import Codec, frame
from schemas.envelope import source_of
from schemas.registry import FileRegistry
from schemas.spans import blank_of, differences_of

FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force for a batch: one map version, and how each object is read (never two in one batch)."""

    ownership_map: OwnershipMap
    readers: Mapping[str, ObjectReader]
    codec: Codec
    command_ids: frozenset[int]
    projections: Mapping[str, tuple[Projection, ...]]
    """Object to what its restricted readers get."""
    express: Mapping[tuple[str, str], ExpressPlan]
    """(system, object) to the plan of the short way, where one system owns every field; the last such time counts."""
    echoes: Mapping[tuple[str, str], EchoPlan]
    """The same for systems that own nothing of an object."""


def rules_of(documents: Mapping[str, str], version: int) -> Rules:
    """Compile the files of one map version. Raises MapRefused or SchemaError; then nothing of it is used (I7)."""
    registry = FileRegistry(
        documents={name: text for name, text in documents.items() if not name.endswith(".yaml")}
    )
    contracts = {
        subject: registry.contract(subject)
        for subject in registry.subjects
        if not subject.startswith("solesource.")
    }
    texts = {name: text for name, text in documents.items() if name.endswith(".yaml")}
    ownership_map = load_map(
        texts, {name: contract.fields for name, contract in contracts.items()}, version=version
    )
    entries = {
        name: replace(entry, contract_id=contracts[name].schema_id)
        for name, entry in ownership_map.objects.items()
    }
    ownership_map = replace(ownership_map, objects=entries)
    readers = {
        name: ObjectReader(
            replace(contracts[name], key_field=entry.key_field),
            registry.ids(name),
            registry.codec,
            frame(contracts[name].schema_id),
        )
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
    commands = registry.ids("solesource.command")
    return Rules(ownership_map, readers, registry.codec, commands, projections, plans, echoes)


def _expresses(entry: ObjectMap, reader: ObjectReader, version: int) -> Iterator[ExpressPlan]:
    """A plan per time in which one system owns all of an object."""
    for found, since_ms, until_ms in _terms(entry):
        plan = _express(found, reader, version)
        if plan is not None:
            yield replace(plan, since_ms=since_ms, until_ms=until_ms)


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


def _express(entry: ObjectMap, reader: ObjectReader, version: int) -> ExpressPlan | None:
    """The plan of the short way for an object's one owner; None where several own it, or values must be decoded."""
    contract, owner = reader.contract, entry.sole_owner
    differences, blank = differences_of(contract), blank_of(contract)
    if differences is None or blank is None or owner is None or contract.fields != entry.fields:
        return None
    if owner in entry.observed:
        return None
    return ExpressPlan(
        object=entry.name,
        system=owner,
        source=("ce_source", source_of(owner).encode()),
        type=("ce_type", f"{entry.name}.upsert".encode()),
        authoritative=("ce_type", f"{entry.name}.authoritative".encode()),
        frame=reader.frame,
        differences=differences,
        blank=blank,
        key_bit=1 << entry.fields.index(entry.key_field),
        required_bits=sum(1 << place for place, name in enumerate(entry.fields) if name in contract.required),
        changed=changed_header(entry.fields),
        creates=entry.create == owner,
        since_ms=0,
        until_ms=FOREVER_MS,
        words=(f"{entry.name}/".encode(), f"{owner}/".encode(), f"{owner}@".encode(), b"%d:" % version),
    )
