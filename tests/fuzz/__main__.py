"""`make fuzz`: hostile records by the million, with a seed."""

from __future__ import annotations

import argparse
import sys
import time

from rich.progress import track

from tests.fuzz.run import LIFE, fuzz, fuzz_foreign


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    shares = {fuzz: given.inputs * 4 // 5, fuzz_foreign: given.inputs - given.inputs * 4 // 5}
    steps = iter(
        track(range(sum(-(-inputs // LIFE) for inputs in shares.values())), "Judging", transient=True)
    )
    next(steps)
    faults = 0
    for campaign, inputs in shares.items():
        began = time.monotonic()
        report = campaign(given.seed, inputs, lambda _: next(steps, None))
        what = "judged" if campaign is fuzz else "of foreign topics"
        print(f"{inputs} {what} in {time.monotonic() - began:.0f} s: {dict(report.outcomes)}")
        print(f"  slowest {report.slowest_ms:.1f} ms of processor; at most {report.extra_mib:.1f} MiB more")
        for fault in report.faults[:20]:
            print(f"  {fault}")
        faults += len(report.faults)
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
