"""docs/reference/decision-table.md executed: every reason in its order, with its sentence, and a worked row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.gate.change import Fault
from broker.gate.outgoing import Destination
from broker.gate.reason import BY_CODE, UNREADABLE_REASONS, Reason
from broker.lane.memory import SlotMemory
from broker.rules import rules_of
from schemas.codec import VALUE_LENGTH_MAX, frame
from schemas.keys import partition_of
from tests.gate_parts import CUSTOMER, Bench, Record, Seen, encoded, map_texts, money, object_document

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "decision-table.md"
HOUR_MS = 3_600_000


def tables() -> list[list[list[str]]]:
    """The cells of every row of every table of the page, without the headings."""
    found: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*PAGE.read_text("utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            found.append([[cell.strip("|` ") for cell in row] for row in rows[2:]])
            rows = []
    return found


REASONS, SENTENCES, OTHERS = tables()


def without(record: Record, name: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(pair for pair in record.headers if pair[0] != name)


WRONG: dict[str, Callable[[Bench, Record], Any]] = {
    "too_large": lambda _, r: setattr(r, "value", frame(100) + b"x" * VALUE_LENGTH_MAX),
    "bad_key": lambda _, r: setattr(r, "key", b""),
    "no_time": lambda _, r: setattr(r, "headers", without(r, "ce_time")),
    "as_erp": lambda _, r: setattr(r, "headers", (*without(r, "ce_source"), ("ce_source", b"/erp"))),
    "schema_999": lambda _, r: setattr(r, "value", frame(999) + r.value[5:]),
    "cut_off": lambda _, r: setattr(r, "value", r.value[:-1]),
    "other_key": lambda _, r: setattr(r, "key", b"C-2"),
}


def order(bench: Bench, record: Record) -> None:
    record.topic = "changes.crm.order"
    record.headers = (*without(record, "ce_type"), ("ce_type", b"order.upsert"))


def other_place(bench: Bench, record: Record) -> None:
    bench.memory.partitions = {"customer": 4}
    record.partition = (partition_of(b"C-1", 4) + 1) % 4


def phone_unowned(bench: Bench, record: Record) -> None:
    whole = bench.rules.ownership_map
    entry = whole.objects["customer"]
    owners = {name: owner for name, owner in entry.owners.items() if name != "phone"}
    changed = replace(whole, objects={"customer": replace(entry, owners=owners)})
    bench.rules = replace(bench.rules, ownership_map=changed)


def name_is_erps(bench: Bench, record: Record) -> None:
    handover = {"field": "name", "to": "erp", "valid_from": "2026-01-01T00:00:00Z"}
    bench.rules = rules_of(map_texts(object_document(handover=[handover]), [CUSTOMER]), 2)


def erp_is_observed(bench: Bench, record: Record) -> None:
    systems = {"erp": {"read": "all", "state": "observe"}}
    bench.rules = rules_of(map_texts(object_document(systems=systems), [CUSTOMER]), 2)


WRONG |= {
    "no_value": lambda _, r: setattr(r, "value", None),
    "name_is_erps": name_is_erps,
    "erp_is_observed": erp_is_observed,
}
WRONG |= {"order": order, "other_place": other_place, "phone_unowned": phone_unowned}


def record_of(bench: Bench, text: str) -> Record:
    """`crm seq:0:01 name=Ada fields=name !cut_off` as a record."""
    if text == "tick":
        return bench.tick()
    system, event, *words = text.split()
    if words == ["delete"]:
        return bench.delete(system, event)
    said = dict(word.split("=") for word in words if "=" in word)
    listed = {name: said.pop(name).split(",") for name in ("fields", "unavailable") if name in said}
    values: dict[str, Any] = {n: money(v) if n == "credit_limit" else v for n, v in said.items()}
    record = bench.upsert(system, event, values, **{"fields": None} | listed)
    for word in words:
        if word.startswith("!"):
            WRONG[word[1:]](bench, record)
    return record


def worked(after: str, this: str, fault: Fault | None = None) -> Seen:
    bench = Bench(memory=SlotMemory(slot=0, partitions={}))
    for step in filter(None, after.split("; ")):
        count, times, repeated = step.partition(" times ")
        if step.endswith("h"):
            bench.now_ms += int(step[:-1]) * HOUR_MS
        elif times:
            for number in range(1, int(count) + 1):
                bench.judge(record_of(bench, repeated.replace("##", f"{number:02}")))
        else:
            bench.judge(record_of(bench, step))
    seen = bench.see(record_of(bench, this.removesuffix(" !in_the_way")), fault)
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)
    return seen


def test_the_page_has_every_reason_in_the_order_of_precedence() -> None:
    codes = [reason.code for reason in Reason]
    assert [row[0] for row in REASONS] == [row[0] for row in SENTENCES] == codes
    assert [reason.rank for reason in Reason] == list(range(len(codes))) and list(BY_CODE) == codes


@pytest.mark.parametrize("row", SENTENCES, ids=lambda row: row[0])
def test_a_sentence_says_what_the_product_says(row: list[str]) -> None:
    reason = BY_CODE[row[0]]
    assert (reason.sentence, reason.what_to_do) == (row[1], row[2])


@pytest.mark.parametrize("row", REASONS, ids=lambda row: row[0])
def test_a_reason(row: list[str]) -> None:
    code, _, after, this, outcome = row
    seen = worked(after, this, Fault(BY_CODE[code], "") if this.endswith(" !in_the_way") else None)
    if outcome == "*(a case)*":
        (case,) = seen.to(Destination.QUARANTINE)
        assert case["reason"] == code and not seen.judged.account
        return
    if outcome.endswith(" *(and a case)*"):
        assert seen.outcome == outcome.split()[0] and seen.reason != code
        assert code in [case["reason"] for case in seen.to(Destination.QUARANTINE)]
        return
    assert (seen.outcome, seen.reason) == (outcome, code)
    assert (outcome == "unreadable") == (BY_CODE[code] in UNREADABLE_REASONS)
    held = seen.to(Destination.QUARANTINE)
    assert len(held) == (outcome in ("unreadable", "quarantined"))
    for case in held:
        assert case["reason"] == code and case["outcome"] == outcome


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row[0])
def test_no_reason(row: list[str]) -> None:
    _, after, this, outcome = row
    seen = worked(after, this)
    assert seen.outcome == outcome and len(seen.revisions) == (outcome != "observed")
    assert seen.reason == ("not_owner" if outcome in ("partly_accepted", "observed") else "")
