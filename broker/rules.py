"""From the files of a map version to what is in force: the compiled map, and how each object is read and written.

Pure: takes texts, opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from broker.gate.change import ObjectReader
from broker.gate.express import ExpressPlan
from ownership.load import load_map
from ownership.map import ObjectMap, OwnershipMap
from schemas.codec import Codec, frame
from schemas.envelope import source_of
from schemas.registry import FileRegistry
from schemas.spans import null_spans, walk_of


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force for a batch: one map version, and how each object is read (never two in one batch)."""

    ownership_map: OwnershipMap
    readers: Mapping[str, ObjectReader]
    codec: Codec
    command_ids: frozenset[int]
    express: Mapping[tuple[str, str], ExpressPlan]
    """(system, object) to the plan of the short way, where one system owns every field."""


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
        if (plan := _express(entry, readers[entry.name], version)) is not None
    }
    return Rules(ownership_map, readers, registry.codec, registry.ids("solesource.command"), plans)


def _express(entry: ObjectMap, reader: ObjectReader, version: int) -> ExpressPlan | None:
    """The plan of the short way for an object's one owner; None where several own it, or values must be decoded."""
    walk, owner = walk_of(reader.contract), entry.sole_owner
    if walk is None or owner is None or reader.contract.fields != entry.fields:
        return None
    return ExpressPlan(
        object=entry.name,
        system=owner,
        source=source_of(owner).encode(),
        type=f"{entry.name}.upsert".encode(),
        frame=reader.frame,
        walk=walk,
        fields=entry.fields,
        key_index=entry.fields.index(entry.key_field),
        nullable=null_spans(reader.contract),
        creates=entry.create == owner,
        map_version=version,
    )
