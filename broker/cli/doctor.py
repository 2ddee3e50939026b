"""`solesource doctor`: looks at what the product stands on and says what is wrong and what to do. Changes nothing."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from broker import topics
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.embedded.properties import SESSION_MS
from broker.kafka import walls
from broker.kafka.admin import acls_of, admin_client, broker_settings, differing_acls
from broker.kafka.estate import in_force, newest_map
from broker.kafka.planning import compiled
from broker.kafka.reading import TopicReader
from broker.rules import rules_of
from broker.settings import Settings
from broker.store.engine import open_store, reading
from ownership.writing import writers

PINNED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
SESSION, SESSION_MS_MAX = "broker.session.timeout.ms", SESSION_MS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    good: bool
    detail: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything; a check that cannot be made is a finding too."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("pinned versions", _versions),
        ("compiled parts", _compiled),
        ("credentials file", _credentials),
        ("ownership map", _map),
        ("Kafka answers", _kafka),
        ("map on Kafka", _published),
        ("topics", _topics),
        ("rights", _rights),
        ("three walls", _walls),
        ("sessions of brokers", _sessions),
        ("read models", _store),
    ]
    for name, check in checks:
        try:
            yield Finding(name, good=True, detail=check(settings))
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what the doctor is asked for
            yield Finding(name, good=False, detail=str(error))


def _versions(_: Settings) -> str:
    wrong = [
        f"{name} {version(name)} instead of {wanted}"
        for name, wanted in PINNED.items()
        if version(name) != wanted
    ]
    if wrong:
        raise RuntimeError("; ".join(wrong) + ". Install from requirements/base.txt.")
    return ", ".join(f"{name} {wanted}" for name, wanted in PINNED.items())


def _compiled(_: Settings) -> str:
    import aiokafka.record._crecords
    import fastavro._read
    import faust._cython.streams

    parts = (aiokafka.record._crecords, faust._cython.streams, fastavro._read)  # noqa: SLF001 - is it there at all
    if sys.flags.optimize:
        msg = "Python runs with -O, which takes the checks out. Run it without."
        raise RuntimeError(msg)
    return f"{len(parts)} compiled parts, assertions on"


def _credentials(settings: Settings) -> str:
    mode = Path(settings.credentials_path).stat().st_mode & 0o077
    if mode:
        msg = f"{settings.credentials_path} can be read by others. Run: chmod 600 {settings.credentials_path}"
        raise RuntimeError(msg)
    return f"{settings.credentials_path} is its owner's alone"


def _map(settings: Settings) -> str:
    found = rules_of(settings.map_documents(), 0).ownership_map
    return f"{len(found.objects)} objects, {len(found.systems)} systems, in order"


def _kafka(settings: Settings) -> str:
    cluster = admin_client(settings.access("control")).list_topics(timeout=10)
    return f"{len(cluster.brokers)} broker(s) at {settings.bootstrap}, signed in as control"


def _published(settings: Settings) -> str:
    number, same = in_force(settings.access("control"), settings.map_documents())
    if not same:
        msg = f"version {number} on Kafka differs from the files. See `solesource map plan`."
        raise RuntimeError(msg)
    return f"version {number} is what the files say"


def _topics(settings: Settings) -> str:
    found = rules_of(settings.map_documents(), 0).ownership_map
    reader, faults, count = TopicReader(settings.access("control")), [], 0
    try:
        for plan in topics.plan(found, partitions=settings.partitions, slots=settings.slots):
            if plan.name == topics.SLOTS or plan.name.startswith("state."):
                continue  # the gate's own; control may not look into them
            count += 1
            partitions = len(reader.partitions(plan.name))
            if partitions != plan.partitions:
                faults.append(f"{plan.name} has {partitions} partitions instead of {plan.partitions}")
    finally:
        reader.close()
    if faults:
        raise RuntimeError("; ".join(faults))
    return f"{count} topics with the partitions they should have"


def _rights(settings: Settings) -> str:
    """I1: the first wall is what the map in force says."""
    in_force = compiled(newest_map(settings.access("control")))
    missing, stale = differing_acls(admin_client(settings.access("admin")), in_force)
    if missing or stale:
        named = ", ".join(
            sorted({f"{one.principal} {one.operation.name} {one.name}" for one in (*missing, *stale)})
        )
        msg = (
            f"{len(missing)} rights are missing and {len(stale)} are too many: {named:.300}. "
            "Run `solesource prepare`."
        )
        raise RuntimeError(msg)
    return f"{len(acls_of(in_force))} rights, as version {in_force.version} of the map says"


def _walls(settings: Settings) -> str:
    """I1: what Kafka lets systems write, what they were told, and what the gate takes are one thing."""
    access, in_force = settings.access("control"), compiled(newest_map(settings.access("control")))
    found = walls.looked_at(admin_client(settings.access("admin")), access, in_force)
    if found:
        named = "; ".join(f"{one.system}, {one.object}: {one.detail}" for one in found)
        msg = f"{len(found)} disagreements: {named:.300}. Run `solesource prepare`, and see that a gate runs."
        raise RuntimeError(msg)
    pairs = sum(len(in_force.objects[name].fields) for _, name in writers(in_force))
    return f"Kafka, connectors and the gate agree on {pairs} fields of systems, by version {in_force.version}"


def _sessions(settings: Settings) -> str:
    return sessions_told(broker_settings(admin_client(settings.access("gate")), SESSION))


def sessions_told(found: Mapping[int, str | None]) -> str:
    """What sessions of brokers mean for transactions (decision 0021). Raises RuntimeError where they are long."""
    if len(found) == 1:
        return "one broker: nobody takes over what it leads"
    long = [broker for broker, value in found.items() if value is None or int(value) > SESSION_MS_MAX]
    if long:
        msg = (
            f"{SESSION} is more than {SESSION_MS_MAX} ms at broker(s) {', '.join(map(str, sorted(long)))}: one that "
            f"comes back within it can tear a transaction. Set it to {SESSION_MS_MAX}, at controllers as well."
        )
        raise RuntimeError(msg)
    return f"at most {SESSION_MS_MAX} ms"


def _store(settings: Settings) -> str:
    with reading(open_store(settings.store_url)):
        return "the database answers"


def doctor(as_json: AsJson = False) -> None:
    """Examine this installation; exit status 2 when something needs attention."""
    findings = list(examine(Settings()))
    rows: list[dict[str, Any]] = [
        {"check": f.check, "result": "good" if f.good else "ATTENTION", "detail": f.detail} for f in findings
    ]
    show(rows, as_json=as_json, table=table_of(rows, {"check": "Looked at", "result": "", "detail": "Found"}))
    if not all(finding.good for finding in findings):
        raise typer.Exit(DIFFERENCES)
