"""Runs a campaign, has it judged in a process of its own, and writes the report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos import history
from tests.chaos.campaign import RATE, Campaign
from tests.chaos.cluster import Cluster

OUTCOMES = (
    *("unreadable", "duplicate", "observed", "quarantined", "refused", "proposed"),
    *("parked", "partly_accepted", "accepted", "stale", "echo"),
)


def run(folder: Path, *, seed: int, seconds: float, rate: float = RATE) -> dict[str, Any]:
    """Run a campaign in `folder`, which is emptied; returns the report, which stands there as report.json."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Cluster(folder / "kafka") as cluster:
        campaign = Campaign(cluster, folder, seed=seed, seconds=seconds, rate=rate)
        try:
            campaign.run()
            told = folder / "history.jsonl"
            with told.open("w", encoding="utf-8") as out:
                for line in campaign.history():
                    out.write(json.dumps(line) + "\n")
        finally:
            campaign.close()
    verdict = judged(told)
    report = {
        "seed": seed,
        "seconds": round(seconds),
        "in": verdict["in"],
        "behind_gap": verdict["behind_gap"],
        "outcomes": {name: verdict["outcomes"].get(name, 0) for name in OUTCOMES},
        "revisions": verdict["revisions"],
        "kills": sum(campaign.workers.kills.values()),
        "kills_at": dict(sorted(campaign.workers.kills.items())),
        "zombies": campaign.workers.zombies,
        "rebalances": campaign.rebalances,
        "broker_faults": campaign.brokers.faulted,
        "brokers_hung": campaign.brokers.hung,
        "answers": dict(sorted(campaign.answers.struck.items())),
        "disk_full": campaign.workers.disk.refused,
        "gave_up": campaign.workers.left,
        **{name: verdict[name] for name in history.FINDINGS},
        "findings": verdict["findings"],
        "replay": f"make chaos MINUTES={seconds / 60:g} SEED={seed}",
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def judged(told: Path) -> dict[str, Any]:
    """What the judge says, in a process of its own that can import nothing of the product."""
    done = subprocess.run(
        [sys.executable, "-I", history.__file__, str(told)], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"the judge failed: {done.stderr}")
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict
