"""The SDK: everything a connector author needs, and the runner that keeps its promises.

An adapter offers a `Source` (what changed in the system), a `Sink` (what the system shall be told), or both,
and a `Connector` that builds them. Kafka, order, retries, acknowledgements and positions are the runner's.
Nothing in this package knows a particular system, nor who owns what.
"""

from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.backfill import Backfill, Chunk, KeyRange
from connectors.sdk.config import ConnectorConfig, SecretReference, load_config
from connectors.sdk.errors import ConfigInvalid, ConnectionLost, ConnectorError
from connectors.sdk.feedback import Proposal, ProposedField, Refusal
from connectors.sdk.precheck import NotYours
from connectors.sdk.sink import Applied, Failed, Outcome, Retry, Sink, Skipped, Update
from connectors.sdk.source import ChangeEvent, ReadBatch, Source
from connectors.sdk.writing import Writing

__all__ = [
    "Applied",
    "Backfill",
    "ChangeEvent",
    "Chunk",
    "ConfigInvalid",
    "ConnectionLost",
    "Connector",
    "ConnectorConfig",
    "ConnectorError",
    "Context",
    "Failed",
    "KeyRange",
    "NotYours",
    "Outcome",
    "Parts",
    "Proposal",
    "ProposedField",
    "ReadBatch",
    "Refusal",
    "Retry",
    "SecretReference",
    "Sink",
    "Skipped",
    "Source",
    "Update",
    "Writing",
    "load_config",
]
