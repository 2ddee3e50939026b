"""Reads what was sent of each object, as far as its contract is known, and folds it into counts; judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker import topics
from broker.access import KafkaAccess
from broker.cli.spread import Job, inputs_of, merged, sent_to, spread
from broker.gate.change import ObjectReader
from broker.gate.reason import Reason
from broker.kafka.reading import TopicReader
from broker.lane.cycles import look_for_cycles, only_between_batches
from broker.lane.judged import LogRecord
from broker.rules import object_reader
from ownership.inference import Sent, Traffic, TrafficFold
from ownership.map import OwnershipMap
from schemas.codec import SCHEMA_HEADER
from schemas.envelope import ChangeEnvelope, parse_change, source_of
from schemas.errors import MalformedEnvelope, SchemaError, UnknownSchemaId
from schemas.keys import is_canonical, partition_of
from schemas.registry import FileRegistry

CHUNK = 3_000
EVERY_PARTITION = -1


@dataclass(slots=True)
class Observed:
    """What was sent since a moment."""

    traffic: dict[str, Traffic] = field(default_factory=dict)
    """Object to what was counted of it: each that has a contract, and topics for changes."""
    strange: dict[str, int] = field(default_factory=dict)
    """Topic for changes of an object without a contract to how many came: nobody can read them."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What a process works with."""

    access: KafkaAccess
    registry: FileRegistry
    partitions: Mapping[str, int]
    """Object to how many its topics have; 0 where they differ, and all are read together."""
    told: Any
    """Queue of how many more were counted."""


_given: _Given | None = None


def observed(
    access: KafkaAccess,
    contracts: Mapping[str, str],
    ownership_map: OwnershipMap,
    objects: Collection[str],
    since_ms: int,
    *,
    quiet: bool,
) -> Observed:
    """Count what was sent of these objects, or of all. contracts: the registry and its schemas, by file name.

    Raises KafkaRefused, and SchemaError for contracts that cannot be used.
    """
    registry = FileRegistry(documents=contracts, own=False)
    found, jobs, total, partitions = Observed(), list[Job](), 0, dict[str, int]()
    reader = TopicReader(access)
    try:
        for name, inputs in sorted(_topics(reader.topics(), ownership_map, objects).items()):
            of_object = _jobs(reader, name, inputs, since_ms)
            if name not in registry.subjects:
                for topic in inputs:
                    places = tuple((topic, number) for number in reader.partitions(topic))
                    found.strange[topic] = sent_to(reader, Job(name, EVERY_PARTITION, places, since_ms))
                continue
            _reader(registry, name)  # one that cannot be used is said here, not by each process
            found.traffic[name] = Traffic(name)
            jobs += of_object
            partitions[name] = 0 if of_object[0].partition == EVERY_PARTITION else len(of_object)
            total += sum(sent_to(reader, job) for job in of_object)
    finally:
        reader.close()
    given = (access, dict(contracts), partitions)
    for one in spread(jobs, _counted, _begin, given, label="Reading what was sent", total=total, quiet=quiet):
        found.traffic[one.object].add(one)
    return found


def _topics(
    existing: Collection[str], ownership_map: OwnershipMap, objects: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Object to the topics of its changes: of the generation in force, or of the newest one."""
    streams = {parsed[1] for topic in existing if (parsed := topics.parse_changes(topic)) is not None}
    newest: dict[str, str] = {}
    for stream in sorted(streams, key=topics.generation_of):
        newest[topics.object_of(stream)] = stream
    chosen = newest | {
        name: stream for name, stream in topics.streams_of(ownership_map).items() if stream in streams
    }
    return {
        name: inputs_of(existing, stream) for name, stream in chosen.items() if not objects or name in objects
    }


def _jobs(reader: TopicReader, name: str, inputs: tuple[str, ...], since_ms: int) -> list[Job]:
    """A job for each partition. Where topics have different ones, keys of one stand in another: then one job."""
    partitions = {topic: reader.partitions(topic) for topic in inputs}
    if len({tuple(numbers) for numbers in partitions.values()}) > 1:
        places = tuple((topic, number) for topic, numbers in partitions.items() for number in numbers)
        return [Job(name, EVERY_PARTITION, places, since_ms)]
    return [
        Job(name, number, tuple((topic, number) for topic in inputs), since_ms)
        for number in partitions[inputs[0]]
    ]


def _begin(
    access: KafkaAccess, contracts: Mapping[str, str], partitions: Mapping[str, int], told: Any
) -> None:
    global _given  # noqa: PLW0603 - a process of a pool is given once what all of its jobs need
    _given = _Given(access, FileRegistry(documents=contracts, own=False), partitions, told)
    only_between_batches()


def _counted(job: Job) -> Traffic:
    """What was sent of a job's keys."""
    given = _given
    assert given is not None
    fold, waiting = TrafficFold(job.stream), 0
    reader = _reader(given.registry, job.stream)
    for record in merged(given.access, job):
        take(fold, record, reader, given.partitions[job.stream])
        waiting += 1
        if waiting == CHUNK:
            given.told.put(waiting)
            waiting = 0
            look_for_cycles()
    given.told.put(waiting)
    return fold.traffic


def _reader(registry: FileRegistry, name: str) -> ObjectReader:
    """How changes of an object are read, whether a map has it or not. Raises SchemaError."""
    return object_reader(registry, name, registry.checked(name))


def take(fold: TrafficFold, record: LogRecord, reader: ObjectReader, partitions: int) -> None:
    """Count one record; what cannot be read is counted as that.

    partitions: of the topic, to tell a key in the wrong one, which its record's other writers do not meet; 0: they do.
    """
    system = (topics.parse_changes(record.topic) or ("", ""))[0]
    traffic = fold.traffic
    told = _sent(record, system, traffic.object, reader)
    if (
        partitions
        and not isinstance(told, Reason)
        and partition_of(told[0].key, partitions) != record.partition
    ):
        told = Reason.MISROUTED_KEY
    if isinstance(told, Reason):
        traffic.unreadable[system, told.code] += 1
        return
    sent, lacking = told
    for name in lacking:
        traffic.lacking[system, name] += 1
    fold.take(sent)


def _sent(
    record: LogRecord, system: str, object_name: str, reader: ObjectReader
) -> tuple[Sent, Collection[str]] | Reason:
    """A change and the fields it sets that the contract does not have, or why it cannot be read."""
    if record.key is None or not is_canonical(record.key):
        return Reason.BAD_KEY
    try:
        envelope = parse_change(record.headers)
    except MalformedEnvelope:
        return Reason.MALFORMED_ENVELOPE
    if (envelope.source, envelope.object) != (source_of(system), object_name):
        return Reason.CLAIM_MISMATCH
    place = f"{record.topic}/{record.partition}/{record.offset}"
    head = (system, record.key, record.timestamp, place, envelope.event_id, envelope.time_ms)
    if record.value is None or envelope.deletes:
        fits = record.value is None and envelope.deletes
        return (Sent(*head, None), ()) if fits else Reason.MALFORMED_ENVELOPE
    try:
        values = reader.told(_prefixed(record, record.value, reader))
    except UnknownSchemaId:
        return Reason.UNKNOWN_SCHEMA
    except SchemaError:
        return Reason.UNREADABLE
    fields = frozenset(reader.contract.fields)
    listed = frozenset(values) if envelope.fields is None else envelope.fields
    told = {name: values[name] for name in sorted(listed & fields & values.keys() - envelope.unavailable)}
    sent = Sent(
        *head,
        told,
        whole=envelope.fields is None,
        complete=reader.contract.required <= told.keys(),
        named_by=frozenset(_named_by(told, record.key, envelope)),
    )
    return sent, listed - fields


def _prefixed(record: LogRecord, value: bytes, reader: ObjectReader) -> bytes:
    """The value in wire format V0, whichever it was sent in."""
    named = dict(record.headers).get(SCHEMA_HEADER)
    return value if named is None else reader.codec.prefixed(named, value)


def _named_by(told: Mapping[str, Any], key: bytes, envelope: ChangeEnvelope) -> Iterator[str]:
    if envelope.fields is None:
        text = key.decode()
        for name, value in told.items():
            if isinstance(value, str | int) and str(value) == text:
                yield name
