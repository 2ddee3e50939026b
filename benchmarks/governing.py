"""What looking after a map costs: linting and planning a thousand objects, and replaying traffic under another map."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from statistics import median

from benchmarks.decide import map_of_many
from benchmarks.records import KEYS, MAP, Maker
from benchmarks.rows import NOBODY, Measured, Row, at_least, at_most
from benchmarks.throughput import gate_rate
from benchmarks.world import BenchWorld
from broker.cli.replaying import replay
from broker.clock import now_ms
from broker.kafka.estate import newest_map
from broker.kafka.planning import planned
from broker.published import PublishedMap
from broker.rules import advice_of, rules_of

MANY = 1_000
TURNS = 3
CHANGES, FEW = 1_000_000, 100_000
TODAY = date(2026, 11, 27)


def governing(world: BenchWorld) -> list[Row]:
    """Lint and plan of many objects, and the rates of replays over real topics."""
    documents = map_of_many("object", MANY)
    changed = {
        name: text.replace("system_of_record: erp", "system_of_record: billing")
        for name, text in documents.items()
    }
    newest = PublishedMap(1, "", documents)

    def lint() -> None:
        rules_of(documents, 0)
        advice_of(documents, TODAY)

    def plan() -> None:
        assert len(planned(newest, changed).changes) >= MANY

    return [
        at_most(f"lint of {MANY:,} objects, with warnings", _seconds(lint), NOBODY, "s", 3.0),
        at_most(f"plan of {MANY:,} objects, one field of each changed", _seconds(plan), NOBODY, "s", 5.0),
        *_replays(world),
    ]


def _seconds(work: Callable[[], None]) -> Measured:
    turns = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        turns.append(time.perf_counter() - began)
    return Measured("ours", median(turns), turns)


def _replays(world: BenchWorld) -> Iterator[Row]:
    """Changes of one owner under a map that nothing meets: of all fields, and of some. Then under one that gives away a
    field that stays as it is, and under one by which each change flips.
    """
    make = Maker(world.registry)
    gate_rate(world, 0, KEYS, make.first_ones)  # changes are of records that are there
    files = {path.name: path.read_text("utf-8") for path in MAP.iterdir()}
    text = files["account.yaml"]
    none = files | {"account.yaml": text.replace("on_violation: quarantine", "on_violation: reject")}
    given = files | {"account.yaml": f"{text}fields: {{notes: {{system_of_record: shop}}}}\n"}
    every = files | {"account.yaml": f"{text}fields: {{email: {{system_of_record: shop}}}}\n"}
    bar, sent = Measured("the bar", 50_000), KEYS
    for name, made, count, documents, flips in (
        ("replay under two maps", make.own, CHANGES, none, 0),
        ("replay of changes that name some fields", make.named, CHANGES, none, 0),
        ("replay where a field of every record is given away", make.own, CHANGES, given, 0),
        ("replay where every change flips", make.own, FEW, every, FEW),
    ):
        since_ms = now_ms()
        world.fill(sent, count, made)
        sent += count
        found = _replayed(world, documents, since_ms, count, flips)
        yield at_least(name, found, NOBODY if flips else bar, "changes/s", 0 if flips else 1.0)


def _replayed(world: BenchWorld, files: dict[str, str], since_ms: int, count: int, flips: int) -> Measured:
    access = world.machine.settings.access("control")
    newest = newest_map(access)
    made, turns = planned(newest, files), []
    for turn in range(TURNS):
        began = time.perf_counter()
        found, _ = replay(access, newest, made, since_ms, now_ms(), quiet=True)
        turns.append(found.judged / (time.perf_counter() - began))
        assert found.judged == count, found
        assert sum(flip.count for flip in found.flips) == flips, found
        print(f"replay {turn + 1} of {TURNS}: {turns[-1]:.0f}/s", flush=True)
    return Measured("ours", median(turns), turns)
