"""From where to where: what the map on Kafka, the files and the topics say, made into one plan. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from broker import topics
from broker.lane.copying import Generation
from broker.rules import rules_of
from ownership.generation import file_of, with_generation
from ownership.map import OwnershipMap


class RepartitionRefused(Exception):
    """An object cannot be given other topics now; the message says why, and what to do. Nothing was changed."""

    code = "repartition.refused"


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is, and what there shall be."""

    object: str
    old: Generation
    new: Generation
    """The same as `old`: the number is in force already."""
    file: str
    documents: Mapping[str, str]
    """The map's files as they shall be."""
    ownership_map: OwnershipMap
    """Compiled of them."""

    @property
    def in_force(self) -> bool:
        """Whether the object has that many partitions already."""
        return self.old == self.new


def plan_of(
    object_name: str,
    wanted: int,
    *,
    published: Mapping[str, str],
    files: Mapping[str, str],
    counts: Mapping[str, int],
) -> Plan:
    """The plan; `counts`: every topic that there is, and its partitions. Raises RepartitionRefused, MapRefused.

    Files may name the next generation already: a run that was cut has written it.
    """
    if not published:
        _refuse("there is no map on Kafka", "Run `solesource prepare`.")
    file, here = file_of(published, object_name), file_of(files, object_name)
    if file is None or here is None:
        _refuse(f"the map has no object {object_name}", "`solesource map show` lists them.")
    if _without_generation(published, file) != _without_generation(files, here):
        _refuse("the files differ from the map on Kafka", "Run `solesource prepare` first.")
    entry = rules_of(published, 0).ownership_map.objects[object_name]
    old_stream = topics.stream_of(object_name, entry.generation)
    now = counts.get(topics.authoritative(old_stream))
    if now is None:
        _refuse(f"{topics.authoritative(old_stream)} is not there", "Run `solesource prepare`.")
    number = entry.generation + (now != wanted)
    count = wanted if now != wanted else entry.partitions or now
    text = published[file] if now == wanted else with_generation(published[file], file, number, count)
    documents = {**published, file: text}
    new = Generation(topics.stream_of(object_name, number), wanted)
    return Plan(
        object=object_name,
        old=Generation(old_stream, now),
        new=new,
        file=file,
        documents=documents,
        ownership_map=rules_of(documents, 0).ownership_map,
    )


def _without_generation(documents: Mapping[str, str], file: str) -> dict[str, str]:
    return {**documents, file: with_generation(documents[file], file, 1, 1)}


def _refuse(what: str, remedy: str) -> NoReturn:
    msg = f"{what} [repartition.refused] {remedy}"
    raise RepartitionRefused(msg)


def inputs_of(stream: str, existing: Collection[str]) -> list[str]:
    """The input topics of a stream, those of systems that the map no longer lists included."""
    return sorted(topic for topic in existing if topics.stream_in(topic) == stream)


def topics_of(stream: str, existing: Collection[str]) -> list[str]:
    """Every topic of one generation of an object."""
    kept = {topics.authoritative(stream), topics.state(stream)} & set(existing)
    made = [topic for topic in existing if topics.parse_deliveries(topic) == stream]
    return sorted({*kept, *made, *inputs_of(stream, existing)})


def to_make(plan: Plan, *, partitions: int, slots: int) -> Iterator[topics.TopicPlan]:
    """The topics of the next generation; partitions: the cluster's default."""
    for planned in topics.plan(plan.ownership_map, partitions=partitions, slots=slots):
        if planned.name in topics_of(plan.new.stream, [planned.name]):
            yield planned
