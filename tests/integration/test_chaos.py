"""A short campaign on a cluster of three: workers are killed, brokers go away, and the judge finds nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.history import FINDINGS
from tests.chaos.report import run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SEED, SECONDS = 7, 75


def test_a_short_campaign_is_clean(tmp_path: Path) -> None:
    """I1 to I4 through SIGKILLs at named points, a zombie, rebalances and brokers that go away."""
    folder = tmp_path / "chaos"
    report = run(folder, seed=SEED, seconds=SECONDS)
    assert {name: report[name] for name in FINDINGS} == dict.fromkeys(FINDINGS, 0), report["findings"][:5]
    assert report["kills"] >= 5 and report["zombies"] >= 1 and report["broker_faults"] >= 2
    assert set(report["kills_at"]) - {"anywhere"}, "one at least died at a named point"
    judged = sum(report["outcomes"].values())
    assert judged > 1000 and report["in"] == judged + report["behind_gap"], (
        "what waits behind a gap waits openly"
    )
    assert report == json.loads((folder / "report.json").read_text())
