"""`make oracle EXAMPLES=50000`: many more histories against the oracle, in runs of a thousand with a seed each."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RUN = 1_000
"""As many as the profile `thorough` tries."""
TEST = Path(__file__).with_name("test_decide_against_oracle.py")
ROOT = TEST.parents[2]


def run(seed: int) -> tuple[int, str]:
    """(seed, what pytest said if anything was found)."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--hypothesis-seed={seed}",
            str(TEST),
        ],
        env={**os.environ, "HYPOTHESIS_PROFILE": "thorough"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return seed, done.stdout + done.stderr if done.returncode else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make oracle", description=__doc__)
    parser.add_argument("--examples", type=int, default=50_000, help="how many histories, in thousands")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    runs = -(-given.examples // RUN)
    started = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, said) in enumerate(pool.map(run, range(given.first, given.first + runs)), 1):
            if said:
                sys.stdout.write(f"seed {seed} (--first {seed} --examples {RUN}):\n{said}\n")
                pool.shutdown(cancel_futures=True)
                return 1
            left_s = (time.monotonic() - started) / done * (runs - done)
            sys.stdout.write(f"{done * RUN} of {runs * RUN} histories agree, {left_s / 60:.0f} min left\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
