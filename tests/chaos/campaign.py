"""One campaign: faults by the schedule while writers write; then rest, and everything that came of it as a history."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from tests.chaos.answers import Answers
from tests.chaos.brokers import Brokers
from tests.chaos.cluster import REPLICAS, Cluster
from tests.chaos.people import People
from tests.chaos.readers import Sink
from tests.chaos.recorder import Line, Recorder
from tests.chaos.schedule import Fault, schedule
from tests.chaos.workers import Workers
from tests.chaos.workload import writers
from tests.estate import Estate

SYSTEMS = ("crm", "erp", "billing")
READERS = ("crm", "erp")
RATE = 100.0
REST_S = 240.0
LATE_S = 60.0
"""So long after its end a campaign goes on when there are faults that could not be done in time."""
AGAIN_S = {"retention": 10.0}
"""After so long a fault is tried again; others after a second. For this one, all workers had to be killed."""
DECIDE_EVERY_S, TICK_EVERY_S, SAY_EVERY_S = 2.0, 10.0, 5.0


class Campaign:
    """Everything that runs, and what is done to it."""

    def __init__(
        self, cluster: Cluster, folder: Path, *, seed: int, seconds: float, rate: float = RATE
    ) -> None:
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._timeline = (folder / "timeline.jsonl").open("w", encoding="utf-8")
        estate = self._estate = Estate(cluster, folder / "estate", replicas=REPLICAS)
        self.answers = Answers(cluster.ports)
        self.workers = Workers(estate, folder / "workers", self.tell, self.answers.environment)
        self.brokers = Brokers(cluster, self.tell)
        self.people = People(estate, seed, self.tell)
        self.sinks = {system: Sink(estate, system) for system in READERS}
        self._writers = writers(estate, rate, seed, self.sinks["erp"])
        self.recorder = Recorder(estate.kafka.client_settings("admin"), estate.registry, "customer")
        self.rebalances = 0
        self._cut: list[Line] = []
        self._kept: list[Line] = []

    def tell(self, what: str, **about: Any) -> None:
        """One line of the timeline."""
        at = round(time.monotonic() - self._began, 2)
        with self._lock:
            self._timeline.write(json.dumps({"kind": "fault", "at": at, "what": what, **about}) + "\n")
            self._timeline.flush()

    def close(self) -> None:
        """Nothing of it runs any more, however it ended."""
        self.workers.end()
        self.answers.close()
        self._timeline.close()

    # -- faults

    def run(self) -> None:
        """The faults, one after the other, as the schedule has them; then rest."""
        self._began = time.monotonic()
        self.workers.wanted = 2
        self.workers.tend()
        for thread in (self.brokers, *self.sinks.values(), *self._writers):
            thread.start()
        waiting = schedule(self.seed, self.seconds)
        every = {self.people.decide: DECIDE_EVERY_S, self.people.tick: TICK_EVERY_S, self._say: SAY_EVERY_S}
        due = dict.fromkeys(every, 1.0)
        while (now := time.monotonic() - self._began) < self.seconds + (LATE_S if waiting else 0.0):
            self.workers.tend()
            self.people.look()
            while waiting and waiting[0].at_s <= now:
                fault = waiting.pop(0)
                if not self._do(fault):
                    again_s = AGAIN_S.get(fault.what, 1.0)
                    waiting = sorted([*waiting, replace(fault, at_s=now + again_s)])
            for act, period in every.items():
                if now >= due[act]:
                    act()
                    due[act] = now + period
            time.sleep(0.1)
        self._rest()

    def _do(self, fault: Fault) -> bool:
        """Whether it could be done; otherwise it is tried again a second later."""
        match fault.what:
            case "kill" | "state_lost" | "zombie" | "rebalance" | "disk_full":
                return self._to_workers(fault)
            case "answer":
                self.answers.add(fault.how, fault.number)
                self.tell("answer", how=fault.how, late_s=fault.number)
            case "broker_killed" | "broker_hung" | "brokers_gone":
                self.brokers.busy = True
                self.brokers.faults.put(fault)
            case "reader_crash":
                sink = self.sinks[READERS[fault.number % len(READERS)]]
                sink.crash.set()
                self.tell("reader_crash", reader=sink.system)
            case _ if self.brokers.busy:
                return False  # what waits for brokers would make everything else wait with it
            case "map_change" | "handover":
                self.people.change_map(handover=fault.what == "handover")
            case "retention":
                return self._cut_off(f"changes.{fault.how}.customer", fault.number)
        return True

    def _to_workers(self, fault: Fault) -> bool:
        match fault.what:
            case "zombie":
                return self.workers.pause(fault.number)
            case "rebalance":
                self.rebalances += self.workers.scale(fault.number)
                self.tell("rebalance", workers=fault.number)
            case "disk_full":
                self.workers.disk.fill(fault.number)
                self.tell("disk_full", seconds=fault.number)
            case _:
                lost = fault.what == "state_lost"
                return self.workers.kill(fault.how or "anywhere", fault.number, lose_state=lost)
        return True

    def _cut_off(self, topic: str, partition: int) -> bool:
        """Delete changes that no worker has judged yet, as retention does to a gate that stands still too long."""
        if not self._judged().get(f"{topic}/{partition}"):
            return False  # nobody stands in it yet
        wanted = self.workers.wanted
        self.workers.kill_all()
        try:
            judged = self._judged().get(f"{topic}/{partition}", 0)
            deadline = time.monotonic() + 15
            while (high := self.recorder.ends(topic)[partition][1]) <= judged and time.monotonic() < deadline:
                time.sleep(0.5)
            if not 0 < judged < high:
                return False
            place = {"topic": topic, "partition": partition}
            kept = [li for li in self.recorder.received(topic) if li["kind"] == "received"]
            self._kept = [li for li in kept if (li["topic"], li["partition"]) == (topic, partition)]
            admin = self._estate.kafka.admin()
            for done in admin.delete_records([TopicPartition(topic, partition, high)]).values():
                done.result(timeout=20)
            self._cut.append({"kind": "cut", **place, "before": high})
            self.tell("retention", **place, judged=judged, before=high)
        except (KafkaException, TimeoutError) as error:
            self.tell("retention_failed", error=repr(error)[:200])
            return False
        finally:
            self.workers.wanted = wanted
        return True

    # -- rest

    def _rest(self) -> None:
        """Nothing fails any more: every change is judged, every reader has read."""
        self.tell("rest")
        self.answers.stop()
        self.brokers.finish()
        self._forget_what_came_back()
        for writer in self._writers:
            writer.finish()
        self.people.finish()
        self.workers.wanted = 2
        deadline = time.monotonic() + REST_S
        while time.monotonic() < deadline and (left := self._left()):
            print(f"at rest soon: {left} records to be judged", flush=True)
            for _ in range(20):
                self.workers.tend()
                time.sleep(0.1)
        self.tell("rested")
        self.workers.end()

    def _judged(self) -> dict[str, int]:
        ends: dict[str, int] = {}
        for batch in self.recorder.batches():
            ends |= {name: max(offset, ends.get(name, 0)) for name, offset in batch["positions"].items()}
        return ends

    def _left(self) -> int:
        """Records of the inputs that are not judged; those behind a gap do not count."""
        judged, left = self._judged(), 0
        cut = {(line["topic"], line["partition"]) for line in self._cut}
        for topic in (*(f"changes.{system}.customer" for system in SYSTEMS), "commands.customer"):
            for partition, (_, high) in self.recorder.ends(topic).items():
                left += 0 if (topic, partition) in cut else high - judged.get(f"{topic}/{partition}", 0)
        return left

    def _say(self) -> None:
        print(
            f"{time.monotonic() - self._began:.0f} s of {self.seconds:.0f}: {self.sent} changes acknowledged, "
            f"{sum(self.workers.kills.values())} kills, {self.workers.zombies} zombies, "
            f"{self.rebalances} rebalances, {self.brokers.faulted} faults of brokers",
            flush=True,
        )

    @property
    def sent(self) -> int:
        return sum(len(writer.lines) for writer in self._writers)

    # -- the history

    def history(self) -> Iterator[Line]:
        """Everything, in the form that the judge reads."""
        lines = [
            {"kind": "history", "holds": ["inputs", "ledger", "refusals"], "readers": list(READERS)},
            *(line for writer in self._writers for line in writer.lines),
            *self.people.lines,
            *self._recorded(),
        ]
        revisions = sum(line["kind"] == "revision" for line in lines)
        for sink in self.sinks.values():
            lines += sink.finish(revisions)
        yield from lines
        yield {"kind": "end", "lines": len(lines) + 1}

    def _recorded(self) -> Iterator[Line]:
        """What the topics hold, with what was deleted from an input on purpose."""
        cut = {(line["topic"], line["partition"]) for line in self._cut}
        yield from self._cut
        for line in self.recorder.lines(SYSTEMS):
            whole = line["kind"] == "input" and (line["topic"], line["partition"]) in cut
            yield {**line, "begin": 0} if whole else line
        yield from self._kept if cut else ()

    def _forget_what_came_back(self) -> None:
        """A broker writes down once a minute where its logs begin: killed before, it has the deleted records again."""
        for line in list(self._cut):
            if self.recorder.ends(line["topic"])[line["partition"]][0] < line["before"]:
                self.tell("retention_undone", topic=line["topic"], partition=line["partition"])
                self._cut.remove(line)
