"""Topics that are there already, adopted: what Debezium, Kafka Connect and others wrote becomes changes of a system.

An adopter is a source only: what others decide, the system is told by a connector with a sink.
"""

from __future__ import annotations

from connectors.adopt.avro_values import AvroReader
from connectors.adopt.build import adopted_of
from connectors.adopt.registry import schemas_of
from connectors.adopt.settings import AdoptSettings, mappings_of
from connectors.adopt.source import AdoptSource
from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.config import checked

__all__ = ["CONNECTOR"]


def build(context: Context) -> Parts:
    """A source. Raises ConfigInvalid for a mapping, an expression or a JSON Schema that cannot be used."""
    settings = checked(AdoptSettings, context.settings, "settings")
    mappings = mappings_of(context)
    avro = AvroReader()
    source = AdoptSource(
        mappings,
        adopted_of(context, mappings, avro),
        settings.options(context.folder),
        settings.records_max,
        context.nudge,
        schemas_of(settings, context.folder, avro),
    )
    return Parts(source, None)


CONNECTOR = Connector("adopt", build)
