"""Judges hostile records one by one, and looks at what became of each, how long it took and what it held."""

from __future__ import annotations

import gc
import hashlib
import resource
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from structlog.testing import capture_logs

from broker.gate.outgoing import Destination
from broker.rules import Rules, rules_of
from connectors.sdk.publish import change_record
from schemas.codec import VALUE_LENGTH_MAX
from tests.connector_parts import REGISTRY
from tests.foreign import Desk
from tests.fuzz.foreign import FORMS, HostileForeign
from tests.fuzz.foreign import desk as desk_of
from tests.fuzz.hostile import RICH, Hostile
from tests.gate_parts import Bench, Record, encoded, map_texts

CPU_MS_MAX, EXTRA_MIB_MAX = 50.0, 64.0
LIFE = 400
"""Records after which everything begins anew, so that no input profits from what others left."""
HELD = ("unreadable", "quarantined")


@dataclass
class Report:
    """What was seen."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    extra_mib: float = 0.0
    faults: list[str] = field(default_factory=list)


def fuzz(seed: int, inputs: int, said: Callable[[int], None] = lambda _: None) -> Report:
    """Judge so many; `said` hears how many were judged by then. The same seed gives the same records."""
    report, rules = Report(), rules_of(map_texts(contracts=[RICH]), 1)
    gc.disable()  # as the gate does between batches
    try:
        for life in range(-(-inputs // LIFE)):
            bench = Bench(rules=rules)
            hostile = Hostile(bench, seed * 1_000_003 + life)
            for number in range(4):
                assert bench.see(hostile.good("crm", f"C-{number}")).outcome == "accepted"
            for _ in range(min(LIFE, inputs - report.inputs)):
                _judge(report, bench, hostile.record(), f"seed {seed}, life {life}")
            gc.collect()
            said(report.inputs)
    finally:
        gc.enable()
    return report


def fuzz_foreign(seed: int, inputs: int, said: Callable[[int], None] = lambda _: None) -> Report:
    """The same for what adopters read: each is told, passed over, or sent as it is, to be held."""
    report = Report()
    for life in range(-(-inputs // LIFE)):
        form = FORMS[life % len(FORMS)]
        hostile, desk = HostileForeign(seed * 1_000_003 + life), desk_of(form)
        with capture_logs():
            for _ in range(min(LIFE, inputs - report.inputs)):
                _adopt(report, desk, hostile.record(form), f"seed {seed}, life {life}")
        said(report.inputs)
    return report


def in_parts(campaign: Callable[[int, int], Report], seed: int, inputs: int, parts: int) -> Report:
    """A campaign in so many processes, with seeds that follow each other."""
    whole = Report()
    with ProcessPoolExecutor(parts) as processes:
        for part in processes.map(campaign, range(seed, seed + parts), [inputs // parts] * parts):
            whole.inputs += part.inputs
            whole.outcomes += part.outcomes
            whole.slowest_ms = max(whole.slowest_ms, part.slowest_ms)
            whole.extra_mib = max(whole.extra_mib, part.extra_mib)
            whole.faults += part.faults
    return whole


def _measured(
    report: Report, place: str, took_ms: float, extra_mib: float, again: Callable[[], float]
) -> None:
    """Note what an input took; `again` tells how long it takes where another program had a say the first time."""
    report.slowest_ms, report.extra_mib = max(report.slowest_ms, took_ms), max(report.extra_mib, extra_mib)
    if took_ms > CPU_MS_MAX and (took_ms := min(took_ms, *(again() for _ in range(3)))) > CPU_MS_MAX:
        report.faults.append(f"{place}: {took_ms:.0f} ms")
    if extra_mib > EXTRA_MIB_MAX:
        report.faults.append(f"{place}: {extra_mib:.0f} MiB more")


def _judge(report: Report, bench: Bench, record: Record, where: str) -> None:
    report.inputs += 1
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        seen = bench.see(record)
        for outgoing, _ in seen.judged.outgoing:
            encoded(outgoing)
    except Exception as error:  # noqa: BLE001 - whatever it is, it would have stopped a slot
        report.faults.append(f"{where}, input {report.inputs}: {type(error).__name__}: {error}"[:300])
        return
    took_ms, after = 1000 * (time.process_time() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.outcomes[seen.outcome] += 1
    place = f"{where}, input {report.inputs} ({seen.outcome} {seen.reason}, {len(record.value or b'')} bytes)"
    _measured(report, place, took_ms, (after - before) / 1024, partial(_alone, bench.rules, record))
    if sum(seen.judged.account.values()) != 1:
        report.faults.append(f"{place}: outcomes {dict(seen.judged.account)}")
    if seen.outcome in HELD and not _kept(seen.to(Destination.QUARANTINE), record):
        report.faults.append(f"{place}: held without its bytes")


def _adopt(report: Report, desk: Desk, record: tuple[bytes | None, bytes | None], where: str) -> None:
    key, value = record
    report.inputs += 1
    where = f"{where}, input {report.inputs} ({len(value or b'')} bytes)"
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        event = desk.see(value, key=key)
        sent = event and change_record(event, "crm", REGISTRY.contract("customer"), REGISTRY.codec)
    except Exception as error:  # noqa: BLE001 - whatever it is, it would have stopped the adopter
        report.faults.append(f"{where}: {type(error).__name__}: {error}"[:300])
        return
    took_ms, after = 1000 * (time.process_time() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _measured(report, where, took_ms, (after - before) / 1024, partial(_again, desk, record))
    if event is None or sent is None:
        report.outcomes["passed over"] += 1
    elif event.original is not None:
        report.outcomes["unreadable"] += 1
        if not sent.value or sent.value[0] == 0:
            report.faults.append(f"{where}: held as what the gate could read")
    else:
        report.outcomes["deleted" if event.deletes else "accepted"] += 1
        if not event.deletes and (not sent.value or sent.value[0] != 0):
            report.faults.append(f"{where}: mapped, and yet it does not fit the contract")


def _again(desk: Desk, record: tuple[bytes | None, bytes | None]) -> float:
    key, value = record
    began = time.process_time()
    desk.see(value, key=key)
    return 1000 * (time.process_time() - began)


def _alone(rules: Rules, record: Record) -> float:
    """What a record takes once more, where another program may have had a say: ms of processor."""
    bench = Bench(rules=rules)
    hostile = Hostile(bench, 0)
    for number in range(2):
        bench.see(hostile.good("crm", f"C-{number}"))
    began = time.process_time()
    with suppress(Exception):
        bench.see(record)
    return 1000 * (time.process_time() - began)


def _kept(cases: list[dict[str, object]], record: Record) -> bool:
    """Whether a case holds the record's bytes, or names them where they are too large."""
    value = record.value
    digest = hashlib.sha256(value).digest() if value is not None else b""
    for case in cases:
        large = value is not None and len(value) > VALUE_LENGTH_MAX
        held = case["value"] is None and case["by_reference"] if large else case["value"] == value
        if (held and case["sha256"] == digest) or _prefixed(case, record):
            return True
    return False


def _prefixed(case: dict[str, object], record: Record) -> bool:
    """A value whose schema stood in a header is held with the prefix instead."""
    held = case["value"]
    return isinstance(held, bytes) and record.value is not None and held[5:] == record.value
