"""Whether the three walls agree: what Kafka lets systems write, what they were told, and what the gate takes.

All three come from the same map, each on its way of its own: rights are set by `prepare`, terms are told by the gate,
and the gate judges. Here each is looked at where it stands, and the gate's is asked of its own decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from broker import topics
from broker.access import KafkaAccess
from broker.gate.probe import taken
from broker.kafka.admin import acls_there
from broker.kafka.reading import TopicReader
from broker.published import ToldTerms
from ownership.map import OwnershipMap
from ownership.writing import writers

Whose = tuple[str, str]
"""(system, object)."""
_WRITES = (AclOperation.WRITE, AclOperation.ALL)


class Disagreement(NamedTuple):
    """Where two walls say different things."""

    system: str
    object: str
    detail: str


def let_write(bindings: Collection[AclBinding], names: Collection[str]) -> set[tuple[str, str]]:
    """(principal, topic) of the ingress topics that Kafka lets somebody write; `*` = anybody at all."""
    return {
        (one.principal.removeprefix("User:"), name)
        for one in bindings
        if one.restype is ResourceType.TOPIC
        and one.operation in _WRITES
        and one.permission_type is AclPermissionType.ALLOW
        for name in names
        if _covers(one, name)
    }


def _covers(binding: AclBinding, name: str) -> bool:
    if binding.resource_pattern_type is ResourcePatternType.PREFIXED:
        return name.startswith(binding.name)
    return binding.name in (name, "*")


def told(access: KafkaAccess) -> ToldTerms:
    """What systems were told. Raises KafkaRefused, SchemaError."""
    reader, found, prefix = TopicReader(access), ToldTerms(), topics.told_writings("")
    try:
        for topic in sorted(name for name in reader.topics() if name.startswith(prefix)):
            for record in reader.records(topic, 0):
                found.hear(topic.removeprefix(prefix), (record.key or b"").decode(), record.value)
    finally:
        reader.close()
    return found


def looked_at(admin: AdminClient, access: KafkaAccess, ownership_map: OwnershipMap) -> list[Disagreement]:
    """Every disagreement under the map in force. Raises KafkaRefused."""
    return list(disagreements(ownership_map, acls_there(admin), told(access)))


def disagreements(
    ownership_map: OwnershipMap, bindings: Collection[AclBinding], said: Mapping[Whose, Mapping[str, Any]]
) -> Iterator[Disagreement]:
    """Compare the three. `said`: what systems were told."""
    streams = topics.streams_of(ownership_map)
    listed = list(writers(ownership_map))
    named = {topics.changes(system, streams[name]): (system, name) for system, name in listed}
    lets = let_write(bindings, named)
    for topic, (system, name) in named.items():
        if (system, topic) not in lets:
            yield Disagreement(system, name, "Kafka does not let it send changes")
        for other in sorted(who for who, of in lets if of == topic and who != system):
            yield Disagreement(system, name, f"Kafka lets {other} send changes in its name")
    for whose in listed:
        if whose not in said:
            yield Disagreement(*whose, "it has not been told what it may write: is a gate running?")
        else:
            yield from _of_terms(ownership_map, whose, said[whose])
    for whose in sorted(said.keys() - set(listed)):
        yield Disagreement(*whose, "it was told that it may write, and the map does not list it")


def _of_terms(ownership_map: OwnershipMap, whose: Whose, said: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What a system was told beside what the gate takes from it, time by time."""
    system, name = whose
    entry = ownership_map.objects[name]
    times = [0, *(since_ms for since_ms, _ in entry.later)]
    if [one["since_ms"] for one in said["terms"]] != times:
        yield Disagreement(
            system, name, "it was told of other handovers than the gate knows: is a gate running?"
        )
        return
    for one, since_ms in zip(said["terms"], times, strict=True):
        terms = entry.at(since_ms)
        takes = taken(terms, system)
        own = {field for field, owner in one["owners"].items() if owner == system} - {terms.key_field}
        for field in sorted(own ^ takes.own):
            words = ("its own", "stops") if field in own else ("not its own", "takes")
            detail = f"it was told that {field} is {words[0]}, and the gate {words[1]} what it writes there"
            yield Disagreement(system, name, detail)
        for word, mine, theirs in (
            ("creates records", one["create"] == system, takes.creates),
            ("ends records", one["delete"] == system, takes.deletes),
            ("is only watched", bool(one["observed"]), takes.observed),
        ):
            if mine != theirs:
                detail = f"it was {'' if mine else 'not '}told that it {word}; by the gate it is otherwise"
                yield Disagreement(system, name, detail)
