"""A map of sixteen objects like the benchmark's one: what many partitions cost that each carry little."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from benchmarks.records import MAP
from schemas.registry import canonical_digest

OBJECTS = 16
FIRST_ID = 200


def names() -> list[str]:
    """The objects; the first is the benchmark's own."""
    return ["account", *(f"account-{number:02d}" for number in range(1, OBJECTS))]


def write_map(folder: Path) -> Path:
    """Write the map's files; returns the folder."""
    folder.mkdir(parents=True)
    document = yaml.safe_load((MAP / "account.yaml").read_text("utf-8"))
    contract = json.loads((MAP / "account.avsc").read_text("utf-8"))
    entries = []
    for number, name in enumerate(names()):
        mine = contract | {"name": name.replace("-", "_")}
        (folder / f"{name}.avsc").write_text(json.dumps(mine), "utf-8")
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump(document | {"object": name, "contract": f"{name}.avsc"}, sort_keys=False), "utf-8"
        )
        entry = {"id": FIRST_ID + number, "subject": name, "version": 1, "file": f"{name}.avsc"}
        entries.append(entry | {"sha256": canonical_digest(mine)})
    (folder / "registry.json").write_text(json.dumps({"schemas": entries}), "utf-8")
    (folder / "systems.yaml").write_text((MAP / "systems.yaml").read_text("utf-8"), "utf-8")
    return folder
