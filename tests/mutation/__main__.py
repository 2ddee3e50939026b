"""`make mutants`: plants each mutant in a forked child and runs the tests that reach it, until one objects.

Writes var/mutation/report.json; with `--keep` also the summary beside this file, which docs/reference/mutants.md tells.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import CORE, Mutant, all_mutants
from tests.mutation.planting import forget, plant, readers_of, walked

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "var" / "mutation" / "report.json"
SUMMARY = Path(__file__).with_name("summary.json")
SELECTION = (
    "tests/unit/gate",
    "tests/unit/lane",
    "tests/unit/ownership/test_handover.py",
    "tests/property/test_decide_against_oracle.py",
    "tests/property/test_invariants.py::test_what_holds_after_every_history",
    "tests/property/test_invariants.py::test_the_short_way_is_the_long_way",
    "tests/property/test_groups.py",
    *(f"tests/simulation/test_simulation.py::test_nothing_is_found[{seed}]" for seed in range(4)),
)
PATIENCE_S = 10.0
QUICK_S = 0.2
BEAT_S = 10.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Reached:
    """What one run of the tests without any mutant says."""

    took_s: dict[str, float] = field(default_factory=dict)
    places: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class Child(NamedTuple):
    """A process that runs the tests with one mutant."""

    mutant: Mutant
    until: float
    reading: int


class Planting:
    """Takes the place of pytest's loop: the tests are collected once, and every mutant meets them in a child."""

    def __init__(self, mutants: Sequence[Mutant], workers: int, *, quick: bool) -> None:
        self.mutants, self.workers, self.quick = mutants, workers, quick
        self.survived: list[Mutant] = []
        self.late: list[Mutant] = []
        self.killers: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        self.running: dict[int, Child] = {}
        self.failed: list[str] = []
        self.took_s = 0.0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        started = time.monotonic()
        items = session.items
        reached = _in_child(lambda: _reached(items))
        self.failed = reached.failed
        if self.failed:
            return True
        for nodeid in sorted(reached.took_s, key=lambda one: -reached.took_s[one])[:5]:
            say(f"  {reached.took_s[nodeid]:.1f} s: {nodeid}")
        say(f"{len(items)} tests without a mutant: {sum(reached.took_s.values()):.0f} s")
        self._run(items, reached)
        self.took_s = time.monotonic() - started
        return True

    def _order(self, items: list[pytest.Item], reached: Reached, mutant: Mutant) -> list[int]:
        """The tests that reach a mutant: what killed its neighbours first, then the quickest."""
        places = {(mutant.file, mutant.where)}
        if mutant.constant:
            places = readers_of(ROOT, mutant.file, mutant.where)
            names = {name for _, name in places}
            chosen = [
                n
                for n, item in enumerate(items)
                if any(place[1].rpartition(".")[2] in names for place in reached.places[item.nodeid])
            ] or list(range(len(items)))
        else:
            chosen = [n for n, item in enumerate(items) if places & reached.places[item.nodeid]]
        if self.quick:
            chosen = [n for n in chosen if reached.took_s[items[n].nodeid] < QUICK_S]
        killers = self.killers[mutant.file, mutant.where]
        return sorted(chosen, key=lambda n: (-killers[n], reached.took_s[items[n].nodeid]))

    def _run(self, items: list[pytest.Item], reached: Reached) -> None:
        left, count = list(reversed(self.mutants)), len(self.mutants)
        started = beat = time.monotonic()
        while left or self.running:
            while left and len(self.running) < self.workers:
                self._start(left.pop(), items, reached)
            if not self._ended():
                time.sleep(0.005)
            if time.monotonic() - beat > BEAT_S:
                beat = time.monotonic()
                waiting = len(left) + len(self.running)
                left_s = (beat - started) / max(1, count - waiting) * waiting
                say(
                    f"{count - waiting} of {count}, {len(self.survived)} survived, {left_s / 60:.0f} min left"
                )

    def _start(self, mutant: Mutant, items: list[pytest.Item], reached: Reached) -> None:
        chosen = self._order(items, reached, mutant)
        patience_s = PATIENCE_S + 6 * sum(reached.took_s[items[n].nodeid] for n in chosen)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            _judge(mutant, [items[n] for n in chosen], chosen, writing)
        os.close(writing)
        self.running[pid] = Child(mutant, time.monotonic() + patience_s, reading)

    def _ended(self) -> bool:
        """Take the result of a child that has ended; end those that take too long."""
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            for late, child in self.running.items():
                if time.monotonic() > child.until:
                    os.kill(late, signal.SIGKILL)
            return False
        mutant, _, reading = self.running.pop(pid)
        told = os.read(reading, 100)
        os.close(reading)
        if os.WIFSIGNALED(status):
            self.late.append(mutant)
        elif os.WEXITSTATUS(status) == 0:
            self.survived.append(mutant)
            say(f"survived: {mutant.file}:{mutant.line} {mutant.where}: {mutant.before} -> {mutant.after}")
        elif told:
            self.killers[mutant.file, mutant.where][int(told)] += 1
        return True


def _in_child(work: Any) -> Any:
    """What `work` gives, done in a child, so that no cache of this process is warm."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            pickle.dump(work(), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        found = pickle.load(told)  # noqa: S301 - our own child's
    os.waitpid(pid, 0)
    return found


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    return all(not report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _reached(items: list[pytest.Item]) -> Reached:
    reached = Reached()
    for item, following in zip(items, [*items[1:], None], strict=True):
        forget()
        with walked(ROOT, frozenset({*CORE, "broker/lane/judge.py"})) as places:
            passed = _passes(item, following)
        reached.places[item.nodeid] = set(places)
        if not passed:
            reached.failed.append(item.nodeid)
    for item, following in zip(items, [*items[1:], None], strict=True):
        began = time.monotonic()
        _passes(item, following)
        reached.took_s[item.nodeid] = time.monotonic() - began
    return reached


def _judge(mutant: Mutant, items: list[pytest.Item], numbers: list[int], writing: int) -> None:
    """In the child: exit status 0 = no test objects."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    try:
        plant(mutant)
        for number, item, following in zip(numbers, items, [*items[1:], None], strict=True):
            if not _passes(item, following):
                os.write(writing, b"%d" % number)
                os._exit(1)
    except BaseException:  # noqa: BLE001 - whatever a mutant breaks is seen
        os._exit(2)
    os._exit(0)


def _report(planting: Planting) -> dict[str, Any]:
    files = {}
    for file in CORE:
        count = sum(m.file == file for m in planting.mutants)
        killed = count - sum(m.file == file for m in planting.survived)
        files[file] = {
            "mutants": count,
            "killed": killed,
            "ratio": round(killed / count, 4) if count else 1.0,
        }
    count, survived = len(planting.mutants), planting.survived
    return {
        "mutants": count,
        "killed": count - len(survived),
        "survived": len(survived),
        "ratio": round(1 - len(survived) / count, 4) if count else 1.0,
        "too_slow": len(planting.late),
        "took_s": round(planting.took_s),
        "files": files,
        "survivors": sorted(
            ({n: getattr(m, n) for n in ("file", "where", "before", "after", "line")} for m in survived),
            key=lambda row: (CORE.index(row["file"]), row["line"], row["before"], row["after"]),
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "--only", default="", help="only places that contain this, as in fields.py or _judge_own"
    )
    parser.add_argument(
        "--quick", action="store_true", help="only tests that take no time: what is seen at once"
    )
    parser.add_argument("--keep", action="store_true", help="write the summary that the page tells")
    given = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    os.chdir(ROOT)
    wanted = given.only.split(",")
    mutants = [m for m in all_mutants(ROOT) if any(place in f"{m.file}:{m.where}" for place in wanted)]
    planting = Planting(mutants, os.cpu_count() or 1, quick=given.quick)
    selection = [one for one in SELECTION if one.startswith("tests/unit") or not given.quick]
    pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", "-o", "timeout=0", *selection], [planting])
    if planting.failed or not planting.took_s:
        say(f"without any mutant these fail: {planting.failed}")
        return 2
    report = _report(planting)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if given.keep and not given.only and not given.quick:
        kept = {name: report[name] for name in ("mutants", "killed", "survived", "ratio", "files")}
        SUMMARY.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    for file, row in report["files"].items():
        say(f"{file}: {row['killed']} of {row['mutants']}, {row['ratio']:.1%}")
    say(f"{report['killed']} of {report['mutants']} killed, {report['ratio']:.2%}, in {report['took_s']} s")
    return int(report["ratio"] < 0.95)


if __name__ == "__main__":
    sys.exit(main())
