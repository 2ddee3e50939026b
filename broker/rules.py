"""From the files of a map version to what is in force: the compiled map, and how each object is read and written.

Pure: takes texts, opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from broker.gate.change import ObjectReader
from ownership.load import load_map
from ownership.map import OwnershipMap
from schemas.codec import Codec, frame
from schemas.registry import FileRegistry


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force for a batch: one map version, and how each object is read (never two in one batch)."""

    ownership_map: OwnershipMap
    readers: Mapping[str, ObjectReader]
    codec: Codec
    command_ids: frozenset[int]


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
    return Rules(ownership_map, readers, registry.codec, registry.ids("solesource.command"))
