"""What the loops of one connector share: configuration, Kafka access, schemas, contracts and the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.sdk.access import KafkaAccess, access_of
from connectors.sdk.adapter import Context
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.errors import ConfigInvalid
from connectors.sdk.precheck import Precheck
from connectors.sdk.store import Store
from schemas.contract import Contract
from schemas.errors import SchemaError
from schemas.registry import FileRegistry


@dataclass(frozen=True, slots=True)
class Wiring:
    """Made once per connector."""

    config: ConnectorConfig
    access: KafkaAccess
    registry: FileRegistry
    contracts: Mapping[str, Contract]
    store: Store
    precheck: Precheck
    nudge: asyncio.Event = field(default_factory=asyncio.Event)

    def context(self) -> Context:
        """What the adapter is given."""
        return Context(
            system=self.config.system,
            settings=self.config.settings,
            objects=self.config.objects,
            contracts=self.contracts,
            folder=self.config.folder,
            shelf=self.store.shelf(self.config.adapter),
            nudge=self.nudge,
            writing=self.precheck.writing,
        )


def wire(config: ConnectorConfig) -> Wiring:
    """Read contracts and secrets, open the store. Raises ConfigInvalid when a contract or secret is not there."""
    registry, contracts = _contracts(config)
    access = access_of(config)
    store, precheck = Store(config.folder / config.store), Precheck(access, config.system)
    return Wiring(config, access, registry, contracts, store, precheck)


def contracts_of(config: ConnectorConfig) -> Mapping[str, Contract]:
    """The contracts in force of the objects that a connector names. Raises ConfigInvalid."""
    return _contracts(config)[1]


def _contracts(config: ConnectorConfig) -> tuple[FileRegistry, Mapping[str, Contract]]:
    try:
        registry = FileRegistry(config.folder / config.contracts, own=False)
        return registry, {name: registry.contract(name) for name in config.objects}
    except SchemaError as error:
        msg = f"contracts: {error.detail}"
        raise ConfigInvalid(msg, error.remedy) from error
