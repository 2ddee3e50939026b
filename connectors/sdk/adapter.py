"""How an adapter presents itself: a `Connector` that builds source, sink and backfill for one configured system."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from connectors.sdk.backfill import Backfill
from connectors.sdk.errors import ConfigInvalid
from connectors.sdk.sink import Sink
from connectors.sdk.source import Source
from connectors.sdk.store import Shelf
from connectors.sdk.writing import Writing
from schemas.contract import Contract

GROUP = "solesource.connectors"
"""Entry point group in which a distribution names its `Connector`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the runner hands to an adapter."""

    system: str
    settings: Mapping[str, Any]
    """The `settings` of the configuration file, not yet checked."""
    objects: Mapping[str, Mapping[str, Any]]
    """The `objects` of the configuration file, not yet checked."""
    contracts: Mapping[str, Contract]
    """The contract in force of each object."""
    folder: Path
    """Where relative paths of the configuration start."""
    shelf: Shelf
    """The adapter's own small memory; survives restarts."""
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to have the source read at once instead of after the poll interval."""
    writing: Callable[[str], Writing | None] = field(default=lambda _: None)
    """What the map lets this system write of an object, as it was told last; None = nothing was told yet.

    Raises NotYours where it may send no changes of it. For telling people at the edit; the runner looks by itself.
    """

    def require_fields(self, object_name: str, fields: Iterable[str]) -> None:
        """Raises ConfigInvalid for fields of a mapping that the object's contract does not have."""
        unknown = sorted(set(fields) - set(self.contracts[object_name].fields))
        if unknown:
            msg = f"objects.{object_name}.fields: not in the contract: {', '.join(unknown)}"
            raise ConfigInvalid(msg)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an adapter built; a system may only tell, or only be told."""

    source: Source | None
    sink: Sink | None
    backfill: Backfill | None = None
    """Given: `solesource backfill` can read every record again."""


@dataclass(frozen=True, slots=True)
class Connector:
    """A kind of system: its name and how to build its parts."""

    name: str
    build: Callable[[Context], Parts]
    """Checks settings and objects (ConfigInvalid) and builds; opens no connection yet."""


def find_connector(name: str) -> Connector:
    """The connector of that name. Raises ConfigInvalid when no distribution and no package of ours offers
    it.
    """
    for entry in entry_points(group=GROUP, name=name):
        found = entry.load()
        if isinstance(found, Connector):
            return found
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) and name != "sdk":
        try:
            found = importlib.import_module(f"connectors.{name}").CONNECTOR
        except (ModuleNotFoundError, AttributeError) as error:
            msg = f"adapter {name}: {error}"
            raise ConfigInvalid(msg, f"Install a distribution with an entry point in {GROUP}.") from error
        if isinstance(found, Connector):
            return found
    msg = f"adapter {name} is not known"
    raise ConfigInvalid(msg, f"Install a distribution with an entry point {name} in {GROUP}.")
