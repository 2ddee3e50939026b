"""Makes topics, credentials and ACLs as the map says; running it again changes nothing.

Uses librdkafka's admin client, because aiokafka has neither ACLs nor SCRAM credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from broker import topics
from broker.access import KafkaAccess
from ownership.access import Operation, Purpose, grants
from ownership.map import OwnershipMap

TIMEOUT_S = 30
ATTEMPTS = 100
RETRY_S = 0.2
SCRAM_ITERATIONS = 4096
GATE, CONTROL, CONSOLE = "gate", "control", "console"
_OPERATIONS = {Operation.READ: AclOperation.READ, Operation.WRITE: AclOperation.WRITE}


class KafkaRefused(Exception):
    """Kafka did not do what was asked; the message says what, and what to look at."""

    code = "kafka.refused"


def admin_client(access: KafkaAccess) -> AdminClient:
    """An admin client that signs in as `access` says."""
    return AdminClient({k: v for k, v in access.librdkafka_options().items() if k != "partitioner"})


def make_topics(admin: AdminClient, plans: Iterable[topics.TopicPlan], *, replicas: int = 1) -> list[str]:
    """Make the topics that are missing; returns their names.

    Raises KafkaRefused when one exists with another number of partitions: keys would change their place.
    """
    wanted = {plan.name: plan for plan in plans}
    existing = admin.list_topics(timeout=TIMEOUT_S).topics
    for name, plan in wanted.items():
        if name in existing and len(existing[name].partitions) != plan.partitions:
            msg = (
                f"topic {name} has {len(existing[name].partitions)} partitions, {plan.partitions} are asked for "
                f"[topics.partitions] Set SOLESOURCE_PARTITIONS to what the cluster has; topics with more of them "
                "are `solesource object repartition`'s to make."
            )
            raise KafkaRefused(msg)
    missing = [plan for name, plan in wanted.items() if name not in existing]
    if missing:
        made = admin.create_topics(
            [
                NewTopic(plan.name, plan.partitions, replicas, config=topics.settings_of(plan, replicas))
                for plan in missing
            ],
            operation_timeout=TIMEOUT_S,
        )
        _wait(made, "make topic", {KafkaError.TOPIC_ALREADY_EXISTS})
    return [plan.name for plan in missing]


def remake_topics(admin: AdminClient, plans: Iterable[topics.TopicPlan], *, replicas: int = 1) -> None:
    """Delete topics with all that is in them, and make them anew. Raises KafkaRefused."""
    wanted = list(plans)
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    if doomed := [plan.name for plan in wanted if plan.name in known]:
        _wait(admin.delete_topics(doomed, operation_timeout=TIMEOUT_S), "delete topic")
    for _ in range(ATTEMPTS):
        if not admin.list_topics(timeout=TIMEOUT_S).topics.keys() & set(doomed):
            break
        sleep(RETRY_S)
    make_topics(admin, wanted, replicas=replicas)


def close_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Let nobody write to these topics any more, whatever a map gives them: Kafka refuses. Super users still may."""
    _wait(admin.create_acls([_nobody_writes(name) for name in names]), "close")


def open_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Take `close_topics` back."""
    _wait(admin.delete_acls([_exactly(_nobody_writes(name)) for name in names]), "open")


def _nobody_writes(name: str) -> AclBinding:
    literal, deny = ResourcePatternType.LITERAL, AclPermissionType.DENY
    return AclBinding(ResourceType.TOPIC, name, literal, "User:*", "*", AclOperation.WRITE, deny)


def mend_settings(admin: AdminClient, plans: Iterable[topics.TopicPlan]) -> list[str]:
    """Set what differs from the plan in topics that are there; returns their names. Settings beside it stay."""
    differing = []
    for name, odd in differing_settings(admin, plans).items():
        entries = [ConfigEntry(setting, wanted) for setting, (wanted, _) in odd.items()]
        for entry in entries:
            entry.incremental_operation = AlterConfigOpType.SET
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        differing.append(resource)
    if differing:
        _wait(admin.incremental_alter_configs(differing), "set the settings of")
    return sorted(resource.name for resource in differing)


def differing_settings(
    admin: AdminClient, plans: Iterable[topics.TopicPlan]
) -> dict[str, dict[str, tuple[str, str]]]:
    """Topic to its settings that are not as planned: (wanted, found). Topics that are not there are left out."""
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    wanted = {
        ConfigResource(ConfigResource.Type.TOPIC, plan.name): topics.settings_of(
            plan, min(len(place.replicas) for place in known[plan.name].partitions.values())
        )
        for plan in plans
        if plan.name in known
    }
    differing = {}
    described = admin.describe_configs(list(wanted)) if wanted else {}
    for resource, answer in described.items():
        found = answer.result(timeout=TIMEOUT_S)
        odd = {
            name: (value, found[name].value)
            for name, value in wanted[resource].items()
            if found[name].value != value
        }
        if odd:
            differing[resource.name] = odd
    return differing


def broker_settings(admin: AdminClient, name: str) -> dict[int, str | None]:
    """One setting of every broker, as each says it. Raises KafkaException where it may not be asked."""
    found: dict[int, str | None] = {}
    for broker in sorted(admin.list_topics(timeout=TIMEOUT_S).brokers):
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        (answer,) = admin.describe_configs([resource]).values()  # the client asks one broker at a time
        entries = answer.result(timeout=TIMEOUT_S)
        found[broker] = entries[name].value if name in entries else None
    return found


def make_users(admin: AdminClient, passwords: Mapping[str, str]) -> None:
    """Give each user its SCRAM-SHA-512 credential."""
    credentials = [
        UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS), password.encode()
        )
        for user, password in sorted(passwords.items())
    ]
    if credentials:
        _wait(admin.alter_user_scram_credentials(credentials), "set the credential of")


def make_acls(admin: AdminClient, ownership_map: OwnershipMap) -> int:
    """Let each principal do what the map says, and the product's own processes what they must; returns the count.

    What a system was let do before and the map no longer says is taken back. Other principals' rights stay.
    """
    missing, stale = differing_acls(admin, ownership_map)
    if missing:
        _wait(admin.create_acls(missing), "set the ACL")
    if stale:
        _wait(admin.delete_acls([_exactly(binding) for binding in stale]), "take back the ACL")
    return len(acls_of(ownership_map))


def differing_acls(
    admin: AdminClient, ownership_map: OwnershipMap
) -> tuple[list[AclBinding], list[AclBinding]]:
    """(what the map says and Kafka does not let, what Kafka lets our principals and the map does not say)."""
    bindings, known = acls_of(ownership_map), acls_there(admin)
    ours = {binding.principal for binding in bindings}
    stale = [binding for binding in known if binding.principal in ours and binding not in bindings]
    return [binding for binding in bindings if binding not in known], stale


def acls_there(admin: AdminClient) -> list[AclBinding]:
    """Every right that is set on Kafka. Raises KafkaRefused."""
    try:
        return list(admin.describe_acls(_ANY).result(timeout=TIMEOUT_S))
    except KafkaException as error:
        msg = f"ACLs cannot be read: {error.args[0].str()} [kafka.refused] Sign in as a super user."
        raise KafkaRefused(msg) from error


def acls_of(ownership_map: OwnershipMap) -> list[AclBinding]:
    """The first wall, whole: what each system's principal may do, and each of the product's own processes."""
    found = {*_system_acls(ownership_map), *_own_acls()}
    return sorted(found, key=lambda one: (one.principal, one.restype.name, one.name, one.operation.name))


def _system_acls(ownership_map: OwnershipMap) -> Iterable[AclBinding]:
    streams = topics.streams_of(ownership_map)
    for grant in grants(ownership_map):
        name = {
            Purpose.CHANGES: lambda g: topics.changes(g.system, streams[g.object]),
            Purpose.AUTHORITATIVE: lambda g: topics.authoritative(streams[g.object]),
            Purpose.DELIVERIES: lambda g: topics.deliveries(g.system, streams[g.object], g.generation),
            Purpose.READINGS: lambda g: topics.opened_readings(g.system),
            Purpose.WRITINGS: lambda g: topics.told_writings(g.system),
            Purpose.REFUSALS: lambda g: topics.refusals(g.system),
            Purpose.PROPOSALS: lambda g: topics.proposals(g.system),
            Purpose.ACKNOWLEDGEMENTS: lambda g: topics.acknowledgements(g.system),
        }[grant.purpose](grant)
        yield _allow(ResourceType.TOPIC, name, grant.system, _OPERATIONS[grant.operation])
    for system in sorted(ownership_map.systems):
        yield _allow(ResourceType.GROUP, f"{system}.", system, AclOperation.READ, prefixed=True)


_TOLD = ("refusals.", "proposals.", "deliveries.", "readings.", "writings.")
"""What the gate writes for systems, and looks whether it is there."""
_LOOKED_AT = ("authoritative.", "acks.", "proposals.", "refusals.", "commands.", "changes.", "writings.")
"""What control reads."""


def _own_acls() -> Iterable[AclBinding]:
    read, write = AclOperation.READ, AclOperation.WRITE
    for prefix in ("changes.", "commands.", "authoritative.", "state.", *_TOLD):
        yield _allow(ResourceType.TOPIC, prefix, GATE, read, prefixed=True)
    for prefix in ("authoritative.", "state.", *_TOLD):
        yield _allow(ResourceType.TOPIC, prefix, GATE, write, prefixed=True)
    for name in (topics.SLOTS, topics.OWNERSHIP_MAP, topics.PROJECTIONS):
        yield _allow(ResourceType.TOPIC, name, GATE, read)
    yield _allow(ResourceType.TOPIC, topics.PROJECTIONS, GATE, write)
    yield _allow(ResourceType.TOPIC, "deliveries.", GATE, AclOperation.DELETE, prefixed=True)
    for name in (topics.QUARANTINE, topics.TRAIL, topics.LEDGER):
        yield _allow(ResourceType.TOPIC, name, GATE, read)
        yield _allow(ResourceType.TOPIC, name, GATE, write)
        yield _allow(ResourceType.TOPIC, name, CONTROL, read)
    yield _allow(ResourceType.GROUP, GATE, GATE, read)
    # It looks whether Kafka is set up as planned before it judges anything.
    yield _allow(ResourceType.TOPIC, "*", GATE, AclOperation.DESCRIBE_CONFIGS)
    yield _allow(ResourceType.BROKER, "kafka-cluster", GATE, AclOperation.DESCRIBE_CONFIGS)
    for operation in (write, AclOperation.DESCRIBE):
        yield _allow(ResourceType.TRANSACTIONAL_ID, f"{GATE}-", GATE, operation, prefixed=True)
    for prefix in _LOOKED_AT:
        yield _allow(ResourceType.TOPIC, prefix, CONTROL, read, prefixed=True)
    for operation in (read, write):
        yield _allow(ResourceType.TOPIC, topics.OWNERSHIP_MAP, CONTROL, operation)
    yield _allow(ResourceType.GROUP, CONTROL, CONTROL, read, prefixed=True)
    for user in (CONTROL, CONSOLE):
        yield _allow(ResourceType.TOPIC, "commands.", user, write, prefixed=True)
    yield _allow(ResourceType.TOPIC, topics.OWNERSHIP_MAP, CONSOLE, read)


def _allow(
    kind: ResourceType, name: str, user: str, operation: AclOperation, *, prefixed: bool = False
) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


_ANY = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _wait(made: Mapping[Any, Any], what: str, accepted: Iterable[int] = ()) -> None:
    for subject, outcome in made.items():
        try:
            outcome.result(timeout=TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in accepted:
                msg = (
                    f"cannot {what} {subject}: {error.args[0].str()} [kafka.refused] Sign in as a super user."
                )
                raise KafkaRefused(msg) from error
