"""`make chaos MINUTES=10 SEED=7`: a campaign against a real cluster, judged; leaves with 1 if anything was found."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.chaos.campaign import RATE
from tests.chaos.cluster import CUT_SHORT, INTERRUPTED
from tests.chaos.report import run
from tests.estate import ROOT

SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=RATE, help="changes a second, all writers together")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "chaos")
    given = parser.parse_args()
    try:
        report = run(given.folder, seed=given.seed, seconds=given.minutes * 60, rate=given.rate)
    except KeyboardInterrupt:
        print(CUT_SHORT)
        return INTERRUPTED
    print(json.dumps({name: value for name, value in report.items() if name != "findings"}, indent=2))
    if not report["findings"]:
        return 0
    print(f"\nFOUND with seed {given.seed}; the timeline is in {given.folder / 'timeline.jsonl'}:")
    for finding in report["findings"][:SHOWN]:
        print(f"  {json.dumps(finding)}")
    for text in (given.folder / "timeline.jsonl").read_text().splitlines():
        print(f"  {text}")
    print(f"again: {report['replay']}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
