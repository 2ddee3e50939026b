"""Kafka clients of a connector: signed in as the system, with the settings that the wire format asks for."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from connectors.sdk.config import ConnectorConfig

# A system may be away for hours while the sink holds its updates; the group must not be given away for that.
_POLL_INTERVAL_LONGEST_MS = 24 * 3600 * 1000

REQUEST_BYTES_MAX = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and who signs in."""

    bootstrap: str
    username: str
    password: str = field(repr=False)
    ca_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments for a client: SASL/SCRAM-SHA-512, with TLS where a CA file is given."""
        context = None if self.ca_file is None else ssl.create_default_context(cafile=str(self.ca_file))
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SASL_PLAINTEXT" if context is None else "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": context,
        }

    def producer(self) -> AIOKafkaProducer:
        """Idempotent, acknowledged by all replicas; one request at a time keeps the order of a batch."""
        return AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            max_request_size=REQUEST_BYTES_MAX,
            max_batch_size=REQUEST_BYTES_MAX,
            **self.options(),
        )

    def consumer(self, *topics: str, group: str) -> AIOKafkaConsumer:
        """In `group`, committed records only, offsets committed by the caller."""
        return AIOKafkaConsumer(
            *topics,
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=_POLL_INTERVAL_LONGEST_MS,
            rebalance_timeout_ms=10_000,
            **self.options(),
        )


def access_of(config: ConnectorConfig) -> KafkaAccess:
    """The access that a configuration names. Raises ConfigInvalid when its secret is not there."""
    kafka = config.kafka
    ca_file = None if kafka.ca_file is None else config.folder / kafka.ca_file
    return KafkaAccess(kafka.bootstrap, kafka.username, kafka.password.read(config.folder), ca_file)
