"""The configuration of the embedded Kafka, as text: a KRaft node, alone unless told otherwise, that is secured from
its first second.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.embedded.files import LOOPBACK

# The two principals that may do everything: the node itself and the one who administers topics, ACLs and
# users.
NODE_USER = "broker"
ADMIN_USER = "admin"
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
TRANSACTION_TIMEOUT_MAX_MS = 120_000

LOG4J = """\
Configuration:
  status: WARN
  Appenders:
    Console: {name: STDOUT, target: SYSTEM_OUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: STDOUT}}
    Logger:
      - {name: kafka.server.KafkaRaftServer, level: INFO}
      # These four describe normal life of a single node at WARN.
      - {name: org.apache.kafka.common.config.AbstractConfig, level: ERROR}
      - {name: org.apache.kafka.clients.NetworkClient, level: ERROR}
      - {name: org.apache.kafka.common.utils.AppInfoParser, level: ERROR}
      - {name: org.apache.kafka.storage.internals.log.LogLoader, level: ERROR}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The place of a node in a cluster of several; all of them share the file of passwords."""

    node_id: int
    voters: Mapping[int, int]
    """Node id to controller port, of every node."""
    cluster_id: str
    credentials_file: Path


SESSION_MS = 3000
"""So long after its last word the others take over what a broker of several leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What differs between one embedded Kafka and another."""

    storage_dir: Path
    port: int
    controller_port: int
    node_password: str
    controller_password: str
    advertised_port: int = 0
    """The port that clients are told to use; 0 = `port`."""
    node_id: int = 1
    voters: Mapping[int, int] = field(default_factory=dict)
    """Node id to controller port, of every node; empty = it is alone."""


def server_properties(settings: NodeSettings) -> str:
    """The text of server.properties. It holds two passwords: write it privately."""
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    client, controller = f"{LOOPBACK}:{settings.port}", f"{LOOPBACK}:{settings.controller_port}"
    voters = settings.voters or {settings.node_id: settings.controller_port}
    replicas, in_sync = str(len(voters)), str(max(1, len(voters) - 1))
    lines = {
        "process.roles": "broker,controller",
        "node.id": str(settings.node_id),
        "controller.quorum.voters": ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in voters.items()),
        "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{LOOPBACK}:{settings.advertised_port or settings.port}",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            f'{scram} username="{NODE_USER}" password="{settings.node_password}";'
        ),
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{plain} username="{NODE_USER}" password="{settings.controller_password}" '
            f'user_{NODE_USER}="{settings.controller_password}";'
        ),
        # I7: without an ACL nobody but these two may do anything.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{NODE_USER};User:{ADMIN_USER}",
        "allow.everyone.if.no.acl.found": "false",
        "auto.create.topics.enable": "false",
        "log.dirs": str(settings.storage_dir),
        # Every node holds every inner topic, one may be away. Few partitions of them: they are what start-up
        # waits for.
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(MESSAGE_BYTES_MAX),
        "transaction.max.timeout.ms": str(TRANSACTION_TIMEOUT_MAX_MS),
    }
    if len(voters) > 1:  # a broker comes back later than its session lasts (decision 0021)
        lines |= {"broker.session.timeout.ms": str(SESSION_MS), "broker.heartbeat.interval.ms": "500"}
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def cluster_id(entropy: bytes) -> str:
    """Kafka's spelling of a cluster id: 16 bytes in URL-safe base64.

    The first bit is cleared, because an id that begins with `-` is an option to Kafka's storage tool.
    """
    return urlsafe_b64encode(bytes((entropy[0] & 0x7F,)) + entropy[1:]).decode().rstrip("=")
