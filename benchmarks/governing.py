"""What looking after a map costs: linting and planning a thousand objects, and replaying traffic under another map."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from statistics import median

from benchmarks.decide import map_of_many
from benchmarks.records import MAP
from benchmarks.rows import NOBODY, Measured, Row, at_least, at_most
from benchmarks.work import one_owner
from benchmarks.world import BenchWorld
from broker.cli.replaying import replay
from broker.clock import now_ms
from broker.kafka.estate import newest_map
from broker.kafka.planning import planned
from broker.published import PublishedMap
from broker.rules import advice_of, rules_of

MANY = 1_000
TURNS = 3
CHANGES = 400_000
TODAY = date(2026, 11, 27)
DAY_MS = 86_400_000


def governing(world: BenchWorld) -> list[Row]:
    """Lint and plan of many objects, and the rate of a replay over real topics."""
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

    rows = [
        at_most(f"lint of {MANY:,} objects, with warnings", _seconds(lint), NOBODY, "s", 3.0),
        at_most(f"plan of {MANY:,} objects, one field of each changed", _seconds(plan), NOBODY, "s", 5.0),
    ]
    return [
        *rows,
        at_least("replay under two maps", _replayed(world), Measured("the bar", 50_000), "changes/s", 1.0),
    ]


def _seconds(work: Callable[[], None]) -> Measured:
    turns = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        turns.append(time.perf_counter() - began)
    return Measured("ours", median(turns), turns)


def _replayed(world: BenchWorld) -> Measured:
    """Changes of one owner under a map that refuses others instead of holding them: none comes out otherwise."""
    world.fill(0, CHANGES, one_owner(world.registry).make)
    access = world.machine.settings.access("control")
    newest = newest_map(access)
    files = {path.name: path.read_text("utf-8") for path in MAP.iterdir()}
    files["account.yaml"] = files["account.yaml"].replace("on_violation: quarantine", "on_violation: reject")
    made, turns = planned(newest, files), []
    for turn in range(TURNS):
        began, at_ms = time.perf_counter(), now_ms()
        found, _ = replay(access, newest, made, at_ms - DAY_MS, at_ms, quiet=True)
        turns.append(found.judged / (time.perf_counter() - began))
        assert found.judged == CHANGES, found
        print(f"replay {turn + 1} of {TURNS}: {turns[-1]:.0f}/s", flush=True)
    return Measured("ours", median(turns), turns)
