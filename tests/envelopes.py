"""Envelopes as the gate and the sinks write them, for tests of the parts that read them. Only makers of records."""

from __future__ import annotations

import hashlib
from typing import Any

from schemas.hops import Sketch
from schemas.registry import envelopes

T0 = 1_795_000_000_000
"""A Wednesday in November 2026, in ms."""


def encode(envelope: str, record: dict[str, Any]) -> bytes:
    registry = envelopes()
    return registry.codec.encode(registry.id_of(envelope), record)


def verdict(
    field: str,
    verdict: str = "held",
    *,
    owner: str | None = "crm",
    authoritative: str | None = '"Ada"',
    attempted: str | None = '"Eve"',
    reason: str = "not_owner",
) -> dict[str, Any]:
    return {
        "field": field,
        "verdict": verdict,
        "reason": reason,
        "owner": owner,
        "authoritative": authoritative,
        "attempted": attempted,
        "epoch": 1,
    }


def case(case_id: str = "case-1", **changed: Any) -> dict[str, Any]:
    value = changed.pop("value", b"\0\0\0\0\x64attempted")
    record = {
        "case_id": case_id,
        "object": "customer",
        "key": b"C-1",
        "system": "erp",
        "event_id": "seq:0:01",
        "deletes": False,
        "source_time_ms": T0 - 900,
        "received_ms": T0,
        "gate_time_ms": T0 + 5,
        "topic": "changes.erp.customer",
        "partition": 0,
        "offset": 7,
        "sha256": hashlib.sha256(value).digest() if value is not None else b"",
        "outcome": "quarantined",
        "reason": "not_owner",
        "detail": "",
        "map_version": 3,
        "verdicts": [verdict("name")],
        "headers": {"ce_id": b"seq:0:01", "ce_source": b"/erp"},
        "value": value,
        "by_reference": False,
        "authoritative": b"\0\0\0\0\x64owners",
        "revision": 4,
    }
    return record | changed


def trail(kind: str, **changed: Any) -> dict[str, Any]:
    record = {
        "kind": kind,
        "object": "customer",
        "key": b"C-1",
        "system": "erp",
        "event_id": "seq:0:01",
        "topic": "changes.erp.customer",
        "partition": 0,
        "offset": 7,
        "reason": "",
        "fields": ["name"],
        "revision": 0,
        "map_version": 3,
        "received_ms": T0,
        "gate_time_ms": T0 + 10,
        "case_id": None,
        "by": None,
        "note": None,
        "result": None,
    }
    return record | changed


def ledger(sequence: int = 1, **changed: Any) -> dict[str, Any]:
    slot = changed.get("slot", 0)
    account = changed.pop("account", {"accepted": 3, "echo": 1})
    record = {
        "slot": slot,
        "sequence": sequence,
        "worker": "w1",
        "positions": {"changes.crm.customer/0": 4 * sequence},
        "map_version": 3,
        "gate_time_ms": T0 + sequence * 100,
        "received": sum(account.values()),
        "commands": 0,
        "account": account,
        "revisions": account.get("accepted", 0),
        "decisions_digest": b"d",
        "map_since_ms": T0,
        "watches": {"changes.crm.customer/0": {"judged": 4, "held": 0, "usual_permille": -1, "stale": 0}},
        "outputs": {"authoritative.customer/0": 7, "trail/0": -1},
        "previous_chain": f"{slot}/{sequence - 1}".encode() if sequence > 1 else b"",
        "chain": f"{slot}/{sequence}".encode(),
    }
    return record | changed


def sketch(*latencies_ms: int) -> Sketch:
    made = Sketch()
    for ms in latencies_ms:
        made.add(ms)
    return made


def acknowledgement(through: int = 10, *latencies_ms: int, **changed: Any) -> dict[str, Any]:
    hops = [sketch(*latencies_ms).record("end_to_end")] if latencies_ms else []
    record = {
        "system": "erp",
        "object": "customer",
        "partition": 0,
        "generation": 1,
        "from_offset": 0,
        "through_offset": through,
        "applied": len(latencies_ms),
        "skipped": 0,
        "failed": 0,
        "retries": 0,
        "applied_ms": T0 + 400,
        "last_source_ms": T0,
        "hops": hops,
        "failures": [],
    }
    return record | changed


def failure(offset: int = 3) -> dict[str, Any]:
    return {
        "key": b"C-9",
        "offset": offset,
        "revision": 2,
        "code": "target.rejected",
        "message": "the phone number is not valid there",
        "attempts": 5,
    }
