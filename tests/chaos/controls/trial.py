"""One trial of a stand-in gate: changes in, a fault, what a read_committed reader finds, and what the judge says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from broker.embedded.kafka import EmbeddedKafka
from tests.chaos.recorder import Line
from tests.chaos.report import judged
from tests.estate import ROOT

PARTITIONS, KEYS, CHANGES = 2, 20, 600
LIMIT_BYTES = 20_000
"""Most bytes of one batch in the output topic."""
WAIT_S = 40.0
QUIET_S = 3.0


@dataclass(frozen=True, slots=True)
class Control:
    """A stand-in gate, what happens to it, and the finding that must name it; empty = it is built as it should be."""

    program: str
    finding: str = ""
    fault: str = ""
    kill_at: int = 0
    pause_at: int = 0
    raise_at: int = 0
    kill_outside: bool = False
    large: bool = False


CONTROLS = {
    "stock_agent_killed": Control("stock_agent", "doubled", kill_outside=True),
    "stock_agent_raises": Control("stock_agent", "lost", raise_at=100),
    "futures_not_awaited": Control("standin", "lost", fault="not_awaited", large=True),
    "zombie_without_fencing": Control("standin", "doubled", fault="unfenced", pause_at=3),
    "no_transactions": Control("standin", "doubled", fault="no_transactions", kill_at=3),
    "right_and_killed": Control("standin", kill_at=3),
    "right_and_paused": Control("standin", pause_at=3),
}


def trial(kafka: EmbeddedKafka, name: str, folder: Path) -> dict[str, Any]:
    """Run one control; returns what the judge says of it."""
    large = CONTROLS[name].large
    admin = kafka.admin()
    topics = [
        NewTopic(f"{name}.in", PARTITIONS, 1),
        NewTopic(f"{name}.out", PARTITIONS, 1, config={"max.message.bytes": str(LIMIT_BYTES)}),
        NewTopic(f"{name}.positions", 1, 1),
    ]
    for made in admin.create_topics(topics).values():
        made.result(20)
    sent = _publish(kafka, name, large=large)
    with _consumer(kafka) as consumer:
        _suffer(kafka, consumer, name, folder)
        forwarded = list(_revisions(consumer, name))
    lines: list[Line] = [{"kind": "history", "holds": [], "readers": []}, _LAW, *sent, *forwarded]
    lines.append({"kind": "end", "lines": len(lines) + 1})
    told = folder / f"{name}.jsonl"
    told.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return judged(told)


def _suffer(kafka: EmbeddedKafka, consumer: Consumer, name: str, folder: Path) -> None:
    """The stand-in and its fault, until nothing more is forwarded."""
    control = CONTROLS[name]
    with _started(kafka, name, control, folder) as first:
        if control.kill_outside:
            _until(lambda: _written(consumer, name) >= CHANGES // 6)
            first.kill()
        if control.pause_at:
            _until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED)
        elif control.kill_at or control.kill_outside:
            first.wait(WAIT_S)
        else:
            _until_quiet(consumer, name)
            return
        before = _written(consumer, name)
        with _started(kafka, name, Control(control.program, fault=control.fault), folder):
            # One that was killed may have written nearly all of it: what is asked is what the next one does.
            _until(lambda: _written(consumer, name) > before)
            _until_quiet(consumer, name)
            first.send_signal(signal.SIGCONT)
            _until_quiet(consumer, name)


_LAW = {
    "kind": "law",
    "version": 0,
    "from_ms": 0,
    "owners": {"value": "crm"},
    "create": "crm",
    "deletes": "crm",
}


def _publish(kafka: EmbeddedKafka, name: str, *, large: bool) -> list[Line]:
    producer = Producer({**kafka.client_settings("admin"), "enable.idempotence": True, "linger.ms": 5})
    lines: list[Line] = []
    for number in range(CHANGES):
        key, event = f"k-{number % KEYS}", f"seq:{number:06d}"
        value = f"{number} " + "x" * (LIMIT_BYTES if large and number == CHANGES // 2 else 10)
        line = {
            "kind": "sent",
            "writer": "crm",
            "key": key,
            "event": event,
            "deletes": False,
            "fields": {"value": value},
        }

        def delivered(error: Any, message: Any, line: Line = line) -> None:
            assert error is None, error
            where = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            lines.append({**line, **where})

        place = number % KEYS % PARTITIONS
        headers = [("event", event.encode())]
        producer.produce(f"{name}.in", value, key, place, headers=headers, on_delivery=delivered)
    assert producer.flush(30) == 0
    return lines


def _revisions(consumer: Consumer, name: str) -> Iterator[Line]:
    """What was forwarded, numbered here: the stand-ins do not count."""
    numbers: Counter[str] = Counter()
    for message in _read(consumer, f"{name}.out"):
        key = message.key().decode()
        numbers[key] += 1
        yield {
            "kind": "revision",
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "key": key,
            "revision": numbers[key],
            "writer": "crm",
            "event": dict(message.headers())["event"].decode(),
            "again": False,
            "version": 0,
            "at_ms": 0,
            "values": {"value": message.value().decode()},
        }


@contextmanager
def _consumer(kafka: EmbeddedKafka) -> Iterator[Consumer]:
    """A client of its own for one trial: signing in takes longer than asking."""
    settings = {"group.id": "trial", "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer(
        {**kafka.client_settings("admin"), **settings, "enable.auto.commit": False, "log_level": 2}
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> Iterator[Any]:
    for partition in range(PARTITIONS):
        consumer.assign([TopicPartition(topic, partition, 0)])
        while (message := consumer.poll(10)) is not None:
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break


def _written(consumer: Consumer, name: str) -> int:
    """End offsets of what was forwarded, markers of transactions included."""
    places = [TopicPartition(f"{name}.out", number) for number in range(PARTITIONS)]
    return int(sum(consumer.get_watermark_offsets(place, 10)[1] for place in places))


def _until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not wanted():
        if time.monotonic() > deadline:
            raise TimeoutError("the stand-in did not come so far")
        time.sleep(0.05)


def _until_quiet(consumer: Consumer, name: str) -> None:
    """Until most was forwarded and nothing comes any more."""
    _until(lambda: _written(consumer, name) >= CHANGES - 2 * PARTITIONS * 50)
    before, since = _written(consumer, name), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        time.sleep(0.2)
        if (now := _written(consumer, name)) != before:
            before, since = now, time.monotonic()


@contextmanager
def _started(
    kafka: EmbeddedKafka, name: str, control: Control, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A stand-in as a process; it is gone afterwards."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "NAME": name,
        "ACCESS": json.dumps(kafka.aiokafka_settings("admin")),
        "BOOTSTRAP": kafka.bootstrap,
        "PASSWORD": kafka.credentials("admin"),
        "DATADIR": str(folder / name),
        "FAULT": control.fault,
        "KILL_AT": str(control.kill_at),
        "PAUSE_AT": str(control.pause_at),
        "RAISE_AT": str(control.raise_at),
    }
    with (folder / f"{name}.log").open("ab") as log:
        module = f"tests.chaos.controls.{control.program}"
        process = subprocess.Popen(
            [sys.executable, "-m", module, *(["worker"] if control.program == "stock_agent" else [])],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
