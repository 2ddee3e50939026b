"""`make fuzz`: hostile records by the million, with a seed."""

from __future__ import annotations

import argparse
import sys
import time

from rich.progress import track

from tests.fuzz.run import LIFE, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    steps = iter(track(range(-(-given.inputs // LIFE)), "Judging", transient=True))
    next(steps)
    began = time.monotonic()
    report = fuzz(given.seed, given.inputs, lambda _: next(steps, None))
    print(f"{report.inputs} inputs in {time.monotonic() - began:.0f} s: {dict(report.outcomes)}")
    print(f"slowest {report.slowest_ms:.1f} ms of processor; at most {report.extra_mib:.1f} MiB more")
    for fault in report.faults[:20]:
        print(f"  {fault}")
    print(f"{len(report.faults)} faults")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
