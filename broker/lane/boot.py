"""What must be true before the gate may judge anything (I7): the pinned libraries, compiled, and a Kafka set up as
planned. Whatever is wrong is one finding that says what, where and what to do.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from broker import topics
from broker.access import KafkaAccess
from broker.topics import TopicPlan

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
"""The lane relies on what these very versions do (decision 0002); others were not tried."""
COMPILED = ("aiokafka.record._crecords.default_records", "faust._cython.streams")
AUTO_CREATE = "auto.create.topics.enable"
_PREPARE = "Run `solesource prepare`."


class Finding(NamedTuple):
    """One thing that is not as it must be."""

    what: str
    what_to_do: str


def of_libraries(
    installed: Mapping[str, str], compiled: Iterable[str], *, optimised: bool
) -> Iterator[Finding]:
    """What is wrong with the Python environment. `compiled`: modules found to be compiled."""
    for name, wanted in PINNED.items():
        if (found := installed.get(name)) != wanted:
            yield Finding(
                f"{name} {found} is installed, {wanted} is needed", "Install requirements/base.txt."
            )
    for name in sorted(set(COMPILED) - set(compiled)):
        yield Finding(f"{name} is not compiled", "Install the wheel for this platform, without NO_CYTHON.")
    if optimised:
        yield Finding(
            "Python runs with -O", "Start it without: libraries rely on assertions that -O removes."
        )


def environment() -> list[Finding]:
    """What is wrong with the environment of this process."""
    compiled = [
        name for name in COMPILED if (spec := importlib.util.find_spec(name)) and _is_compiled(spec.origin)
    ]
    installed = {name: version(name) for name in PINNED}
    return list(of_libraries(installed, compiled, optimised=sys.flags.optimize > 0))


def _is_compiled(origin: str | None) -> bool:
    return origin is not None and origin.endswith((".so", ".pyd"))


class TopicFound(NamedTuple):
    """A topic as it is."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]


def of_topics(
    plans: Iterable[TopicPlan], found: Mapping[str, TopicFound], *, replicas: int
) -> Iterator[Finding]:
    """Where Kafka's topics differ from the plan. One that is missing is no finding: it is taken up when it comes."""
    for plan in plans:
        topic = found.get(plan.name)
        if topic is None:
            continue
        if topics.is_per_slot(plan.name) and topic.partitions != plan.partitions:
            what = f"{plan.name} has {topic.partitions} partitions, {plan.partitions} slots are asked for"
            yield Finding(what, "Set SOLESOURCE_SLOTS to what the cluster has; the number is fixed.")
        if topic.replicas < replicas:
            what = f"{plan.name} has {topic.replicas} copies, {replicas} are asked for"
            yield Finding(
                what, "Add copies with Kafka's own tools, or set SOLESOURCE_REPLICAS to what is meant."
            )
        for name, wanted in topics.settings_of(plan, topic.replicas).items():
            if (is_ := topic.settings.get(name)) != wanted:
                yield Finding(f"{plan.name} has {name}={is_}, planned is {wanted}", _PREPARE)


async def cluster(
    access: KafkaAccess, plans: Iterable[TopicPlan], *, replicas: int
) -> tuple[list[Finding], list[str]]:
    """(what is wrong with the cluster, what could not be found out). Raises KafkaError when Kafka is away."""
    admin = AIOKafkaAdminClient(**access.client_options())
    await admin.start()
    try:
        planned = {plan.name: plan for plan in plans}
        existing = sorted(planned.keys() & set(await admin.list_topics()))
        described = {entry["topic"]: entry for entry in await admin.describe_topics(existing)}
        settings, unknown = await _settings(admin, [(ConfigResourceType.TOPIC, name) for name in existing])
        nodes = [str(node["node_id"]) for node in (await admin.describe_cluster())["brokers"]]
        brokers, unknown_brokers = await _settings(
            admin, [(ConfigResourceType.BROKER, node) for node in nodes]
        )
    finally:
        await admin.close()
    found = {
        name: TopicFound(
            len(described[name]["partitions"]),
            min(len(partition["replicas"]) for partition in described[name]["partitions"]),
            settings[name],
        )
        for name in existing
        if name in settings
    }
    findings = list(of_topics(planned.values(), found, replicas=replicas))
    findings += [
        Finding(
            f"broker {node} has {AUTO_CREATE}=true", "Set it to false: a misspelt topic must not come to be."
        )
        for node, values in brokers.items()
        if values.get(AUTO_CREATE) == "true"
    ]
    return findings, unknown + unknown_brokers


async def _settings(
    admin: AIOKafkaAdminClient, resources: list[tuple[Any, str]]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(name to settings, those that we may not look at)."""
    known: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    wanted = [ConfigResource(kind, name) for kind, name in resources]
    for answer in await admin.describe_configs(wanted) if wanted else ():
        for error, _, _, name, entries in answer.resources:
            if error:
                unknown.append(name)
            else:
                known[name] = {entry[0]: entry[1] for entry in entries}
    return known, unknown
