"""What people do meanwhile: a steward decides about cases, the clock ticks, somebody changes the ownership map."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import yaml
from confluent_kafka import Consumer, KafkaException, Producer

from broker.clock import now_ms
from broker.commands import command_value
from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import publish_map
from schemas.keys import partition_of
from schemas.registry import envelopes
from tests.chaos.recorder import Line
from tests.chaos.workers import Tell
from tests.estate import PARTITIONS, Estate, map_documents

COMMANDS = "commands.customer"
CASES_KEPT = 200
AHEAD_MS = 2000
POLICIES = ("quarantine", "reject", "propose")
CHOICES = ("redrive", "redrive", "redrive", "keep", "ask_owner")


def law_documents(handovers: list[dict[str, str]], number: int) -> dict[str, str]:
    """The texts of the campaign's n-th map: billing reads customers and owns nothing of them; see `change_map`."""
    documents = map_documents()
    document = yaml.safe_load(documents["customer.yaml"])
    document["description"] += f" ({number})"
    document["systems"]["erp"]["on_violation"] = POLICIES[number % len(POLICIES)]
    document["systems"]["billing"] = {"read": "all", "on_violation": "quarantine"}
    documents["customer.yaml"] = yaml.safe_dump(document | ({"handover": handovers} if handovers else {}))
    return documents


class People:
    """Commands and map changes, with the seed's choices; commands that Kafka acknowledged are noted."""

    def __init__(self, estate: Estate, seed: int, tell: Tell) -> None:
        self._estate, self._tell = estate, tell
        self._dice = random.Random(f"people/{seed}")
        self.lines: list[Line] = []
        options = {"acks": "all", "enable.idempotence": True, "delivery.timeout.ms": 600_000}
        self._steward = Producer({**estate.access("console").librdkafka_options(), **options})
        self._clock = Producer({**estate.access("control").librdkafka_options(), **options})
        self._handovers: list[dict[str, str]] = []
        self._cases: list[dict[str, Any]] = []
        self._changes = self._commands = 0
        self._reader = Consumer(
            {
                **estate.kafka.client_settings("admin"),
                "group.id": "chaos.people",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 2,
            }
        )
        self._reader.subscribe(["quarantine"])
        publish_map(estate.access("control"), law_documents([], 0), "chaos")

    def look(self) -> None:
        """Read some of the new cases; keep the latest."""
        for message in self._reader.consume(100, 0.05):
            if message.error() is None:
                self._cases.append(envelopes().codec.decode(message.value()))
        self._cases = self._cases[-CASES_KEPT:]
        self._steward.poll(0)
        self._clock.poll(0)

    def decide(self) -> None:
        """One decision about one case that is held."""
        if not self._cases:
            return
        case = self._dice.choice(self._cases)
        self._commands += 1
        names = ("case_id", "system", "headers", "value", "topic", "partition", "offset")
        command = self._dice.choice(CHOICES)
        value = command_value(
            command,
            command_id=f"chaos-{self._commands}",
            by="steward",
            note="decided in a campaign",
            issued_ms=now_ms(),
            fields=[verdict["field"] for verdict in case["verdicts"]],
            attempt=1,
            **{name: case[name] for name in names},
        )

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                where = {"partition": message.partition(), "offset": message.offset()}
                self.lines.append({"kind": "ordered", "topic": message.topic(), **where})

        place = partition_of(case["key"], PARTITIONS)
        self._steward.produce(COMMANDS, value, case["key"], place, on_delivery=delivered)

    def tick(self) -> None:
        """As control does every minute, only more often."""
        value = command_value("tick", command_id="tick", by="solesource", issued_ms=now_ms())
        for partition in range(PARTITIONS):
            self._clock.produce(COMMANDS, value, b"", partition)

    def change_map(self, *, handover: bool) -> None:
        """The next version: the telephone goes to the other system, or at least the ERP is answered otherwise."""
        self._changes += 1
        entries = list(self._handovers)
        if handover:
            to = "erp" if len(entries) % 2 == 0 else "crm"
            moment = datetime.fromtimestamp((now_ms() + AHEAD_MS) / 1000, UTC).isoformat()
            entries.append({"field": "phone", "to": to, "valid_from": moment})
        try:
            documents = law_documents(entries, self._changes)
            version = publish_map(self._estate.access("control"), documents, "chaos")
        except (KafkaRefused, KafkaException) as error:
            self._tell("map_not_published", error=str(error)[:200])
            return
        self._handovers = entries
        self._tell("map_published", version=version, handover=entries[-1] if handover else None)

    def finish(self) -> None:
        """Wait until everything that was ordered has been acknowledged."""
        self._steward.flush(60)
        self._clock.flush(60)
        self._reader.close()
