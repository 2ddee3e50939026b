"""One decision of the gate as a value, for tests that look at all of it: the record is read and decided, not judged."""

from __future__ import annotations

from typing import Any

from broker.gate.decide import decide
from broker.gate.decision import Decision, FieldVerdict, Verdict
from broker.gate.reason import Reason
from broker.rules import rules_of
from ownership.map import ObjectMap
from tests.gate_parts import CUSTOMER, Bench, Record, change_of, map_texts, object_document

POLICIES = {
    "crm": {"read": "all"},
    "erp": {"read": "all", "on_violation": "quarantine"},
    "billing": {"read": ["name", "email"], "on_violation": "propose"},
}
WEEK_MS = 7 * 24 * 3_600_000
PHONES = {"credit_limit": {"system_of_record": "erp"}, "phone": {"system_of_record": "erp"}}


def bench_of(contract: Any = CUSTOMER, **document: Any) -> Bench:
    return Bench(rules=rules_of(map_texts(object_document(systems=POLICIES) | document, [contract]), 7))


def decided(bench: Bench, record: Record, *, entry: ObjectMap | None = None, **more: Any) -> Decision:
    """The decision on a record, without judging it; the bench stays as it is."""
    rules = bench.rules
    change = change_of(rules, record)
    reader, again = rules.readers["customer"], more.pop("again", False)
    return decide(
        entry or rules.ownership_map.objects["customer"].at(record.timestamp),
        rules.ownership_map.version,
        bench.state(record.key or b""),
        change._replace(**more),
        max(bench.memory.gate_time_ms, record.timestamp),
        decode=reader.decode,
        encode=reader.encode,
        again=again,
    )


def held(name: str, reason: Reason, owner: str | None = "crm", *values: Any) -> FieldVerdict:
    return FieldVerdict(name, Verdict.HELD, reason, owner, *values)


def with_ada(bench: Bench, **values: Any) -> Bench:
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Ada"} | values))
    return bench
