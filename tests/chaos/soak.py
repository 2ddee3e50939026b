"""`make soak MINUTES=60`: a steady load on a cluster of three, a worker killed now and again, and what each one holds.

Leaves with 0 only if nothing was lost or doubled, and memory, descriptors, threads and tasks stayed as they were.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.cluster import CUT_SHORT, INTERRUPTED, REPLICAS, Cluster
from tests.chaos.flat import Sample, findings, trend, warmed_up
from tests.chaos.load import FIRST_CHANGES, KEYS, Load
from tests.chaos.recorder import Recorder
from tests.chaos.soak_chart import drawing
from tests.chaos.soak_judge import judged
from tests.chaos.workers import Worker, Workers
from tests.estate import ROOT, Estate

WORKERS = 2
SAMPLE_S, SAY_S = 10.0, 30.0
WARM_S, WARM_SHARE, LEAST_S = (60.0, 600.0), 1 / 6, 60.0
"""A worker warms up for a sixth of the soak, within these bounds; what follows must be as long as `LEAST_S`."""
STATES_IN_MEMORY = 20_000
"""Filled before a worker is warm, as are RocksDB's cache and buffers, which it sizes: nothing has a reason to grow."""
RAMP_CHANGES, SHARE_OF_PEAK = 200_000, 0.5
"""Four of each record: with fewer, little is remembered of it, and a foreign write is cheaper than it will be."""
REST_S = 1800.0
"""On a machine that is too busy a load may leave a backlog, which the report tells; it is judged to its end."""
TASKS = re.compile(r"^solesource_gate_tasks ([0-9.e+]+)$", re.MULTILINE)
JUDGED = re.compile(r"^solesource_gate_changes_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


class Soak:
    """The load, the workers, and what is seen of them."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._estate = Estate(cluster, folder / "estate", replicas=REPLICAS)
        self._began = time.monotonic()
        self._timeline = (folder / "timeline.jsonl").open("w", encoding="utf-8")
        room = {"SOLESOURCE_STATES_IN_MEMORY": str(STATES_IN_MEMORY)}
        self.workers = Workers(
            self._estate, folder / "workers", self.tell, room, program=("broker.cli", "gate")
        )
        self.recorder = Recorder(cluster.client_settings("admin"), self._estate.registry, "customer")
        self.load = Load(self._estate, 0.0, seed)
        self.lives: dict[int, list[Sample]] = {}
        """Samples by process, in the order in which these began."""
        self.judged: dict[int, float] = {}
        """By process: how many changes it said last that it has judged."""
        self.kills_s: list[float] = []
        self.peak = 0.0
        self.left = 0

    def tell(self, what: str, **about: Any) -> None:
        line = {"at": round(time.monotonic() - self._began, 1), "what": what, **about}
        self._timeline.write(json.dumps(line) + "\n")
        self._timeline.flush()

    def close(self) -> None:
        self.workers.end()
        self._timeline.close()

    def run(self, seconds: float, kill_every_s: float, rate: float) -> None:
        """The load at `rate` a second, or at a share of the peak when that is 0; then rest."""
        self.workers.wanted = WORKERS
        self.workers.tend()
        self._measure_peak()
        self.load.rate = rate or max(1.0, self.peak * SHARE_OF_PEAK)
        print(f"peak: {self.peak:.0f} changes a second; the load: {self.load.rate:.0f}", flush=True)
        self._began = time.monotonic()
        self.load.start()
        acts: dict[Callable[[], None], float] = {
            self._kill: kill_every_s,
            self._sample: SAMPLE_S,
            self._say: SAY_S,
        }
        due = {self._kill: kill_every_s, self._sample: 0.0, self._say: SAY_S}
        while (now := time.monotonic() - self._began) < seconds:
            self.workers.tend()
            for act, period in acts.items():
                if now >= due[act]:
                    act()
                    due[act] += period
            time.sleep(0.2)
        self.unanswered = self.load.finish()
        self._rest()

    def report(self, seconds: float) -> dict[str, Any]:
        """Everything is at rest: the judgement, and what was held."""
        wrong, figures = judged(self.recorder, self.load, self.unanswered)
        self.workers.end()
        lives = list(self.lives.values())
        warm_s = max(WARM_S[0], min(WARM_S[1], seconds * WARM_SHARE))
        risen = findings(lives, warm_s, LEAST_S)
        title = (
            f"{seconds / 60:g} minutes at {self.load.rate:.0f} changes a second, {len(self.kills_s)} kills"
        )
        (self._folder / "soak.svg").write_text(drawing(lives, self.kills_s, title), encoding="utf-8")
        with (self._folder / "samples.jsonl").open("w", encoding="utf-8") as out:
            for pid, life in self.lives.items():
                out.writelines(json.dumps({"worker": pid, **asdict(sample)}) + "\n" for sample in life)
        return {
            "minutes": round(seconds / 60, 2),
            "rate": round(self.load.rate),
            "peak": round(self.peak),
            "not_judged_when_it_ended": self.left,
            "kills": sum(self.workers.kills.values()),
            "gave_up": self.workers.left,
            **figures,
            "warm_after_s": warm_s,
            "workers": [_life(life, warm_s) for life in lives],
            "findings": wrong + risen,
        }

    # -- parts

    def _measure_peak(self) -> None:
        """See how fast a backlog is judged whose changes are of the kinds that the load has; all records exist then."""
        for turn in range(1, FIRST_CHANGES + 1):
            self._backlog(turn * KEYS)
        before = time.time()
        self._backlog(FIRST_CHANGES * KEYS + RAMP_CHANGES)
        batches = [(at, n) for at, n in self.recorder.judged_at() if at >= before]
        seconds = (batches[-1][0] - batches[0][0]) if len(batches) > 1 else 0.0
        self.peak = sum(n for _, n in batches[1:]) / seconds if seconds else 0.0
        self.tell("peak", per_second=round(self.peak))

    def _backlog(self, changes: int) -> None:
        """Write as fast as can be until so many are written, and wait until they are judged."""
        while self.load.written < changes:
            self.load.write()
        self._until_judged(changes)

    def _until_judged(self, changes: int) -> None:
        deadline = time.monotonic() + REST_S
        while time.monotonic() < deadline:
            self.load.poll()
            self.workers.tend()
            if sum(n for _, n in self.recorder.judged_at()) >= changes:
                return
            time.sleep(2)
        raise TimeoutError(f"not judged within {REST_S:.0f} s: {changes} changes; see {self._folder}/workers")

    def _rest(self) -> None:
        self.left = self.load.acknowledged.total() - sum(n for _, n in self.recorder.judged_at())
        self.tell("rest", not_judged_yet=self.left)
        self._until_judged(self.load.acknowledged.total())

    def _kill(self) -> None:
        """The one that was started last: the other grows old, and in it a leak would show."""
        awake = self.workers.awake
        self._sample()  # what it judged since the last look would be missed
        if len(awake) == WORKERS and time.monotonic() - self._began > 1:
            awake[-1].process.kill()
            self.kills_s.append(time.monotonic() - self._began)

    def _sample(self) -> None:
        now = time.monotonic()
        for worker in self.workers.awake:
            try:
                process = psutil.Process(worker.process.pid)
                with process.oneshot():
                    held = process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()
            except psutil.Error:
                continue  # it was killed just now
            if not held[0]:
                continue  # it was killed, and nobody has taken note yet
            said = _metrics(worker)
            tasks = round(float(found[1])) if (found := TASKS.search(said)) else -1
            if said:
                self.judged[worker.process.pid] = sum(map(float, JUDGED.findall(said)))
            sample = Sample(now - self._began, now - worker.began_s, *held, tasks)
            self.lives.setdefault(worker.process.pid, []).append(sample)

    def _say(self) -> None:
        lives = (self.lives.get(worker.process.pid) for worker in self.workers.awake)
        held = ", ".join(f"{life[-1].rss_mib:.0f}" for life in lives if life)
        acknowledged = self.load.acknowledged.total()
        print(
            f"{time.monotonic() - self._began:.0f} s: {acknowledged} changes acknowledged, {len(self.kills_s)} kills; "
            f"memory {held} MiB; about {max(0, acknowledged - round(sum(self.judged.values())))} not judged yet",
            flush=True,
        )


def _metrics(worker: Worker) -> str:
    """What it says of itself; nothing while it starts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _life(life: list[Sample], warm_s: float) -> dict[str, Any]:
    """What one worker held, and by how much the line through its memory rose after it was warm."""
    warm = warmed_up(life, warm_s, LEAST_S)
    memory = trend([(sample.age_s, sample.rss_mib) for sample in warm]) if warm else None
    last = life[-1]
    return {
        "lived_s": round(last.age_s),
        "rss_mib": round(last.rss_mib, 1),
        "rss_rise_percent": round(100 * memory.rise / memory.begin, 2) if memory else None,
        "descriptors": last.descriptors,
        "threads": last.threads,
        "tasks": last.tasks,
    }


def run(folder: Path, *, minutes: float, kill_every_s: float, rate: float, seed: int) -> dict[str, Any]:
    """Run a soak in `folder`, which is emptied; returns the report, which stands there as report.json."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Cluster(folder / "kafka", heap_mib=512) as cluster:
        soak = Soak(cluster, folder, seed)
        try:
            soak.run(minutes * 60, kill_every_s, rate)
            report = soak.report(minutes * 60)
        finally:
            soak.close()
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    shutil.rmtree(folder / "kafka", ignore_errors=True)  # gigabytes
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--kill-every", type=float, default=5.0, help="minutes from one kill to the next")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="changes a second; 0 = half of the peak measured"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "soak")
    given = parser.parse_args()
    try:
        report = run(
            given.folder,
            minutes=given.minutes,
            kill_every_s=given.kill_every * 60,
            rate=given.rate,
            seed=given.seed,
        )
    except KeyboardInterrupt:
        print(CUT_SHORT)
        return INTERRUPTED
    print(json.dumps(report, indent=2))
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
