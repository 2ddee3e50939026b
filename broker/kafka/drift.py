"""Where Kafka is not what the map in force says: rights, topics, and what systems were told. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka.admin import AclBinding, AdminClient

from broker import topics
from broker.access import KafkaAccess
from broker.kafka import walls
from broker.kafka.admin import TIMEOUT_S, differing_acls, differing_settings
from ownership.map import OwnershipMap

MEND = "solesource prepare"


class Drift(NamedTuple):
    """One thing that is not as the map says."""

    kind: str
    where: str
    detail: str
    mend: str
    """What to do."""


def of_rights(admin: AdminClient, in_force: OwnershipMap) -> Iterator[Drift]:
    """Rights that Kafka lacks, or has too many."""
    missing, stale = differing_acls(admin, in_force)
    for found, detail in ((missing, "is missing"), (stale, "is not in the map")):
        for binding in found:
            yield Drift("right", _said(binding), detail, MEND)


def _said(binding: AclBinding) -> str:
    name = f"{binding.name}{'*' if binding.resource_pattern_type.name == 'PREFIXED' else ''}"
    word = f"{binding.permission_type.name.lower()} {binding.operation.name.lower()}"
    return f"{binding.principal.removeprefix('User:')}: {word} {binding.restype.name.lower()} {name}"


def of_topics(admin: AdminClient, in_force: OwnershipMap, *, partitions: int, slots: int) -> Iterator[Drift]:
    """Topics that are missing, have other settings, or carry changes of what the map does not have."""
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    plans = list(topics.plan(in_force, partitions=partitions, slots=slots))
    for plan in plans:
        if plan.name not in known:
            yield Drift("topic", plan.name, "is missing", MEND)
        elif (count := len(known[plan.name].partitions)) != plan.partitions:
            detail = f"has {count} partitions instead of {plan.partitions}"
            yield Drift("topic", plan.name, detail, "docs/how-to/repartition.md")
    for name, odd in sorted(differing_settings(admin, plans).items()):
        for setting, (wanted, found) in sorted(odd.items()):
            yield Drift("topic", name, f"has {setting}={found} instead of {wanted}", MEND)
    planned = {plan.name for plan in plans}
    for name in sorted(known.keys() - planned):
        parsed = topics.parse_changes(name)
        if parsed is not None and not _of_before(parsed[1], in_force):
            detail = "carries changes that nobody judges: the map does not have it"
            yield Drift("topic", name, detail, "take it into the map, or delete the topic")


def _of_before(stream: str, in_force: OwnershipMap) -> bool:
    """Whether it is an earlier generation of an object's topics, or the next one, which is being filled."""
    entry = in_force.objects.get(topics.object_of(stream))
    return entry is not None and topics.generation_of(stream) != entry.generation


def of_walls(admin: AdminClient, access: KafkaAccess, in_force: OwnershipMap) -> Iterator[Drift]:
    """What systems were told, and the gate says otherwise."""
    for one in walls.looked_at(admin, access, in_force):
        yield Drift("told", f"{one.system}, {one.object}", one.detail, f"run a gate; {MEND}")
