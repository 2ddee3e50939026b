"""Metrics and events: named in one table, documented, exact."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker import telemetry
from broker.agents.figures import read_figures
from broker.embedded.files import free_port
from broker.lane.judged import Judged
from broker.lane.metrics import GateMetrics
from broker.store.engine import open_store
from schemas.hops import BOUNDS_MS, Sketch
from tests.console_store import fill

ROOT = Path(__file__).parents[2]


def test_the_page_lists_every_metric_and_event_and_no_other():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    metrics, _, events = page.partition("## Log events")
    documented = {
        name.removesuffix("_total")
        for name in re.findall(r"^\| `(solesource_[a-z_]+)`", metrics, re.MULTILINE)
    }
    assert documented == set(telemetry.METRICS)
    for name, metric in telemetry.METRICS.items():
        (line,) = re.findall(rf"^\| `{name}(?:_total)?` \|.*$", metrics, re.MULTILINE)
        assert f"| {metric.kind} |" in line
        assert all(f"`{label}`" in line for label in metric.labels), line
    assert set(re.findall(r"^\| `([a-z_.]+)`", events, re.MULTILINE)) == set(telemetry.EVENTS)


def test_every_event_in_the_code_is_in_the_table_and_used():
    used = set()
    for path in (ROOT / "broker").rglob("*.py"):
        used |= set(re.findall(r'telemetry\.log\(\s*"([a-z_.]+)"', path.read_text("utf-8")))
    assert used == set(telemetry.EVENTS)


async def test_the_gate_gives_out_the_metrics_of_the_table():
    port = free_port()
    metrics = GateMetrics()
    metrics.serve("127.0.0.1", port, asyncio.get_running_loop())
    metrics.committed(3, Judged(account=Counter({"accepted": 2, "echo": 1})))
    waiting = asyncio.create_task(asyncio.sleep(60))
    text = (await asyncio.to_thread(httpx2.get, f"http://127.0.0.1:{port}/metrics")).text
    waiting.cancel()
    assert "solesource_gate_tasks 2.0" in text, "this test and the one that waits"
    given = text_string_to_metric_families(text)
    families = {family.name: family for family in given if not family.name.endswith("_created")}
    for name, metric in telemetry.METRICS.items():
        if name.startswith("solesource_gate_"):
            family = families.pop(name)
            assert family.type == metric.kind
            assert family.samples
            assert all(tuple(sample.labels) == metric.labels for sample in family.samples)
    assert families == {}


def test_an_unknown_event_is_refused():
    with pytest.raises(telemetry.UnknownEventError):
        telemetry.log("no.such")


def test_the_histogram_gives_the_counts_exactly():
    sketch = Sketch()
    latencies = [-3, 5, 6, 49, 50, 51, 4_000_000]
    for ms in latencies:
        sketch.add(ms)
    counts = dict(telemetry.cumulative(sketch))
    for bound in BOUNDS_MS:
        assert counts[str(bound / 1000)] == sum(ms <= bound for ms in latencies)
    assert counts["+Inf"] == len(latencies)


def test_a_scrape_says_what_the_store_holds_and_no_record(tmp_path: Path):
    engine = open_store(f"sqlite:///{tmp_path / 's.db'}")
    fill(engine)
    text = telemetry.exposition(lambda: read_figures(engine)).decode()
    engine.dispose()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["solesource_received_total", ()] == 1467
    assert samples["solesource_cases", (("state", "open"),)] == 4
    hop = (("hop", "end_to_end"), ("object", "customer"), ("system", "erp"))
    assert samples["solesource_hop_seconds_count", hop] == 2
    assert samples["solesource_hop_seconds_sum", hop] == pytest.approx(0.42)
    for secret in ("C-1042", "7946", "Ada", "ana"):
        assert secret not in text


def test_a_store_that_is_away_is_said_not_hidden(tmp_path: Path):
    engine = open_store(f"sqlite:///{tmp_path / 's.db'}")
    engine.dispose()
    (tmp_path / "s.db").unlink()
    (tmp_path / "s.db").mkdir()
    text = telemetry.exposition(lambda: read_figures(engine)).decode()
    assert "solesource_store_up 0.0" in text
    assert "solesource_received" not in text


def test_the_gates_log_is_on_the_page() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    text = page.partition("## What the gate's workers log")[2].partition("## Log events")[0]
    said = [
        event
        for path in (ROOT / "broker" / "lane").glob("*.py")
        for event in re.findall(r'log\.(?:info|warning|error)\(\s*"([a-z_.]+)"', path.read_text("utf-8"))
    ]
    assert sorted(set(said)) == sorted(re.findall(r"^\| `([a-z_.]+)`", text, re.MULTILINE))
