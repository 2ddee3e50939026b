"""Tryton as a system: parties with their contact mechanisms and credit limits, over JSON-RPC alone.

Tryton itself is never imported; it is spoken to as any other program on the network.
"""

from __future__ import annotations

from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.config import checked
from connectors.sdk.errors import ConfigInvalid
from connectors.tryton.backfill import TrytonBackfill
from connectors.tryton.client import TrytonClient
from connectors.tryton.ledger import PublishedLedger
from connectors.tryton.parties import Parties
from connectors.tryton.settings import PartyMapping, TrytonSettings
from connectors.tryton.sink import TrytonSink
from connectors.tryton.source import TrytonSource

__all__ = ["CONNECTOR", "TrytonClient", "TrytonSettings", "TrytonSink", "TrytonSource"]


def build(context: Context) -> Parts:
    """Source, sink and backfill of one Tryton database; each signs in by itself."""
    settings = checked(TrytonSettings, context.settings, "settings")
    if len(context.objects) != 1:
        raise ConfigInvalid("objects: this connector carries one object, the parties")
    (name, document) = next(iter(context.objects.items()))
    mapping = checked(PartyMapping, document, f"objects.{name}")
    context.require_fields(name, mapping.fields)
    password = settings.password.read(context.folder)
    ledger = PublishedLedger(context.shelf)

    def parties() -> Parties:
        return Parties(TrytonClient(settings, password), mapping, settings)

    complete = set(mapping.fields) >= set(context.contracts[name].fields)
    source = TrytonSource(name, parties(), ledger, settings, complete=complete)
    sink = TrytonSink(context.system, parties(), ledger, context.nudge)
    return Parts(source, sink, TrytonBackfill(name, parties(), ledger, settings, complete=complete))


CONNECTOR = Connector("tryton", build)
