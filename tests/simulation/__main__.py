"""`make simulate`: one seed as a readable timeline, or many with a summary. Ends with 1 if anything was found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.afterwards import findings_of
from tests.simulation.events import run

SHOWN_MAX = 20
BEAT_S = 10.0


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def one(seed: int) -> int:
    """The timeline of a seed, what its sinks show in the end, and what was found."""
    world = run(seed)
    for line in world.lines:
        say(line)
    for system in world.systems.values():
        for key, row in sorted(system.rows.items()):
            say(f"{system.name:8} {key}: " + ", ".join(f"{name}={value!s}" for name, value in row.items()))
    findings = findings_of(world)
    for finding in findings:
        say(f"FOUND: {finding}")
    return int(bool(findings))


def judged(seed: int) -> tuple[int, list[str], list[str]]:
    """(seed, names of the checkers with findings, the findings)."""
    findings = findings_of(run(seed))
    names = sorted({finding.checker for finding in findings})
    return seed, names, [str(finding) for finding in findings]


def many(first: int, count: int) -> int:
    """Seeds on every core, with a line now and then; a failing seed is named at once."""
    started = beat = time.monotonic()
    seen: Counter[str] = Counter()
    failed: list[int] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = range(first, first + count)
        for done, (seed, names, found) in enumerate(pool.map(judged, seeds, chunksize=8), 1):
            seen.update(names)
            if found:
                failed.append(seed)
                if len(failed) <= SHOWN_MAX:
                    say(f"seed {seed}: {found[0]}  (make simulate SEED={seed})")
            if time.monotonic() - beat > BEAT_S:
                beat = time.monotonic()
                say(f"{done} of {count} seeds, {done / (beat - started):.0f} a second, {len(failed)} failed")
    took_s = time.monotonic() - started
    say(
        f"{count} seeds in {took_s:.0f} s, {count / took_s:.1f} a second; {len(failed)} failed: {failed[:SHOWN_MAX]}"
    )
    for name, number in sorted(seen.items()):
        say(f"  {name}: in {number} seeds")
    return int(bool(failed))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="show one seed")
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    given = parser.parse_args()
    return one(given.seed) if given.seed is not None else many(given.first, given.seeds)


if __name__ == "__main__":
    sys.exit(main())
