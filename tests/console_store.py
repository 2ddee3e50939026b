"""A store as a busy day leaves it, and a console on it: for tests of pages, of the API and in the browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI

from broker.access import KafkaAccess
from broker.agents.sentences import Names, explain
from broker.agents.service_levels import Evidence, Measured, Waiting, assess
from broker.clock import now_ms
from broker.console.app import ConsoleSettings, make_app
from broker.console.users import make_user
from broker.store.cases import index_cases, index_proposals
from broker.store.engine import Engine, open_store, writing
from broker.store.ledger import index_ledger
from broker.store.levels import index_acknowledgements
from broker.store.syncs import SyncRow, write_syncs
from broker.store.trail import index_trail
from ownership.map import Sla
from schemas.hops import HOPS, Sketch
from tests.envelopes import acknowledgement, case, failure, ledger, trail, verdict

PASSWORD = "a long enough password"
TITLES = {"crm": "CRM", "erp": "ERP", "billing": "Billing"}


@dataclass
class SentCommands:
    """A way into the log that remembers; `fails` makes it refuse, as a Kafka that is away."""

    sent: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    fails: bool = False

    async def send(self, object_name: str, key: bytes, value: bytes) -> None:
        if self.fails:
            raise TimeoutError
        self.sent.append((object_name, key, value))


def sla(source: str = "crm", sink: str = "erp", **changed: float | None) -> Sla:
    terms = {
        "latency_p99_ms": 5_000,
        "latency_max_ms": 60_000,
        "expect_every_ms": None,
        "alert_above": 0.01,
        "window_ms": 600_000,
        "retries_before_review": 5,
        "healthy_within_ms": 1_800_000,
    }
    return Sla(source=source, sink=sink, alert_path="customer-sync", **(terms | changed))


@cache
def _users_text() -> str:
    """Hashing passwords is slow on purpose; once is enough here."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "users.json"
        make_user(path, "ana", PASSWORD)
        make_user(path, "vic", PASSWORD, roles=["viewer"])
        return path.read_text("utf-8")


def console(folder: Path, *, port: int = 8088) -> tuple[FastAPI, Engine, SentCommands, ConsoleSettings]:
    users = folder / "users.json"
    users.write_text(_users_text(), "utf-8")
    engine = open_store(f"sqlite:///{folder / 'console.db'}")
    settings = ConsoleSettings(
        kafka=KafkaAccess("127.0.0.1:1"),
        database_url="",
        users_file=users,
        audit_key=folder / "audit" / "key.pem",
        anchors=folder / "audit" / "anchors.jsonl",
        port=port,
        titles=TITLES,
    )
    sender = SentCommands()
    return make_app(settings, engine, sender), engine, sender, settings


MINUTE = 60_000


def held(now: int) -> list[dict[str, Any]]:
    """Cases of every kind."""
    credit = verdict(
        "credit_limit", owner="erp", authoritative='"50000.00"', attempted='"75000.00"', reason="not_owner"
    )
    phone = verdict("phone", authoritative='"+44 20 7946 0958"', attempted='"020 7946 0000"')
    same = verdict("email", "unchanged", authoritative='"ada@example.com"', attempted='"ada@example.com"')
    name = verdict("name", "accepted", authoritative='"Ada Lovelace"', attempted='"Ada King"')
    return [
        case("case-phone", key=b"C-1042", verdicts=[phone, same], received_ms=now - 4 * MINUTE, offset=11),
        case(
            "case-credit",
            key=b"C-0007",
            system="crm",
            topic="changes.crm.customer",
            outcome="partly_accepted",
            verdicts=[name, credit, same],
            received_ms=now - 9 * MINUTE,
        ),
        case(
            "case-unknown",
            key=b"C-3000",
            system="billing",
            reason="system_not_listed",
            verdicts=[verdict("name", reason="system_not_listed")],
            received_ms=now - 30 * MINUTE,
        ),
        case(
            "case-asked",
            key=b"C-0815",
            verdicts=[phone],
            received_ms=now - 90 * MINUTE,
            gate_time_ms=now - 90 * MINUTE,
        ),
        case("case-closed", key=b"C-2000", received_ms=now - 200 * MINUTE, gate_time_ms=now - 200 * MINUTE),
        case(
            "case-unreadable",
            key=b"C-9999",
            outcome="unreadable",
            reason="unreadable",
            detail="13 bytes are not a datum of schema 100: EOFError",
            verdicts=[],
            received_ms=now - 50 * MINUTE,
        ),
    ]


def steps(now: int) -> list[dict[str, Any]]:
    """What the trail says of them."""
    return [
        trail(
            "proposal_opened",
            key=b"C-0815",
            case_id="case-asked",
            by="ana",
            note="Customer called us.",
            fields=["phone"],
            gate_time_ms=now - 80 * MINUTE,
        ),
        trail(
            "case_closed",
            key=b"C-2000",
            case_id="case-closed",
            by="ana",
            note="A typing mistake in ERP.",
            result="keep",
            gate_time_ms=now - 190 * MINUTE,
        ),
        trail("echo", key=b"C-1042", gate_time_ms=now - 60 * MINUTE),
    ]


def fill(engine: Engine) -> None:
    """A day's work."""
    now = now_ms()
    cases, lines = held(now), steps(now)
    with writing(engine) as connection:
        index_cases(
            connection,
            [
                c | {"gate_time_ms": c["received_ms"] + 8, "source_time_ms": c["received_ms"] - 700}
                for c in cases
            ],
        )
        index_trail(connection, (((0, number), line) for number, line in enumerate(lines)))
        question = {
            "proposal_id": "case-asked.phone",
            "object": "customer",
            "key": b"C-0815",
            "proposer": "erp",
            "by": "ana",
            "note": "",
            "fields": [],
            "case_id": "case-asked",
            "opened_ms": now - 80 * MINUTE,
            "expires_ms": now + 3 * 24 * 60 * MINUTE,
        }
        index_proposals(connection, "crm", [question])
        day = {
            "accepted": 1132,
            "partly_accepted": 1,
            "echo": 311,
            "stale": 4,
            "duplicate": 9,
            "quarantined": 5,
            "unreadable": 1,
        }
        index_ledger(connection, [(now - 5 * MINUTE, ledger(1, account=day)), (now - MINUTE, ledger(2))])
        ack = acknowledgement(20, 40, 380, failures=[failure()])
        index_acknowledgements(connection, [(now - 2 * MINUTE, ack)])
        write_syncs(connection, [evaluated("crm", "erp", now), evaluated("erp", "crm", now)])


def evaluated(source: str, sink: str, now: int, **changed: object) -> SyncRow:
    late = source == "erp"
    terms = sla(source, sink)
    evidence = Evidence(
        **(
            {
                "now_ms": now,
                "contact_ms": now,
                "gate_seen_ms": now - 900,
                "before_gate": Waiting(),
                "after_gate": Waiting(3, now - 190_000) if late else Waiting(),
                "acknowledged_ms": now - 30_000,
                "changed_ms": now - 30_000,
                "latency_ms": 400,
                "arrived_ms": now - 30_000,
                "windows": [Measured(now - 60_000, 40, 0, sketches())],
            }
            | changed
        )  # type: ignore[arg-type]
    )
    found = assess(terms, evidence)
    words = explain(
        Names("customer", TITLES[source], TITLES[sink], "sales-operations"), terms, evidence, found
    )
    hops = {
        hop: {"p50_ms": s.quantile_ms(0.5), "p99_ms": s.quantile_ms(0.99), "count": s.count}
        for hop, s in found.hops.items()
    }
    measures = {
        "hops": hops,
        "promise_p99_ms": terms.latency_p99_ms,
        "promise_max_ms": terms.latency_max_ms,
        "source_title": TITLES[source],
        "sink_title": TITLES[sink],
    }
    return SyncRow(
        "customer",
        source,
        sink,
        found.state,
        now - 190_000,
        now,
        words.sentence,
        words.effect,
        words.next_step,
        measures,
    )


def sketches() -> dict[str, Sketch]:
    spread = {"source_to_log": (80, 240), "log_to_decision": (22, 48), "decision_to_applied": (90, 600)}
    found = {hop: Sketch() for hop in HOPS}
    for number in range(40):
        for hop, (most, few) in spread.items():
            found[hop].add(few if number % 20 == 0 else most)
        found["end_to_end"].add(940 if number % 20 == 0 else 210)
    return found
