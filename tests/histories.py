"""Hypothesis strategies of whole histories: few systems, few values and few versions, so that everything collides.

A law and a history are generated; the same two go to tests/oracle.py and, as a map and as records, to the judge.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from broker.rules import Rules, rules_of
from tests.gate_parts import CUSTOMER, FIELDS, SYSTEMS, T0, Bench, Record, map_texts, money, object_document
from tests.oracle_words import Again, Handover, Law, Reset, Step, Tick, Write

FEWER = settings(max_examples=max(min(50, settings().max_examples), settings().max_examples // 4))
"""For properties that judge every history several times."""
TEXTS = (None, "a", "b")
SUMS = (None, money(1), money(2))
SETTABLE = (*FIELDS, "nonsense")
PAUSES_MS = (0, 1, 1_000, 2_500, 70_000, 3_599_999, 3_600_001, 8 * 3_600_000, 25 * 3_600_000)


@st.composite
def laws(draw: st.DrawFn, limit_owners: tuple[str, ...] = ("erp", "erp", "crm")) -> Law:
    """The CRM creates; who owns the limit, who deletes, the policies and what billing reads are drawn."""
    owners = dict.fromkeys(FIELDS, "crm") | {"credit_limit": draw(st.sampled_from(limit_owners))}
    policy = st.sampled_from(["quarantine", "reject", "propose"])
    readers: dict[str, frozenset[str] | None] = {"crm": None}
    if draw(st.booleans()) or owners["credit_limit"] == "erp":
        readers["erp"] = None
    billing = draw(st.sampled_from([None, frozenset({"name", "email"}), "nothing"]))
    if billing != "nothing":
        readers["billing"] = billing
    return Law(
        owners=owners,
        create="crm",
        delete=draw(st.sampled_from(["crm", "crm", "erp"])),
        policies={system: draw(policy) for system in ("crm", "erp", "billing")},
        readers=readers,
        observed=draw(
            st.sampled_from([frozenset(), frozenset(), frozenset({"billing"}), frozenset({"erp"})])
        ),
    )


@st.composite
def changing_laws(draw: st.DrawFn) -> Law:
    """A law under which fields, or the whole object, are handed over, perhaps for a time only, perhaps back."""
    law, from_ms = draw(laws()), T0
    handovers = []
    for _ in range(draw(st.integers(1, 3))):
        from_ms += draw(st.sampled_from(PAUSES_MS[2:]))
        lasting = draw(st.sampled_from([None, None, *PAUSES_MS[2:]]))
        until_ms = None if lasting is None else from_ms + lasting
        name, to = draw(st.sampled_from(["name", "credit_limit", "*"])), draw(st.sampled_from(SYSTEMS))
        handovers.append(Handover(name, to, from_ms, until_ms))
        from_ms = until_ms or from_ms
    return replace(law, handovers=tuple(handovers))


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def rules_of_law(law: Law, contract: dict[str, Any] = CUSTOMER, *, version: int = 1) -> Rules:
    """The same law as an ownership map."""
    return rules_of(map_texts(document_of_law(law), [contract]), version)


def document_of_law(law: Law) -> dict[str, Any]:
    """The same law as the values of an object's file."""

    def granted(system: str) -> Any:
        visible = law.readers.get(system, "none")
        return "all" if visible is None else visible if visible == "none" else sorted(visible)

    def state(system: str) -> str:
        return "observe" if system in law.observed else "live"

    return object_document(
        create=law.create,
        delete={"authority": law.delete, "consumers": "soft"},
        fields={name: {"system_of_record": owner} for name, owner in law.owners.items()},
        systems={
            system: {"read": granted(system), "on_violation": policy, "state": state(system)}
            for system, policy in law.policies.items()
        },
        handover=[
            {"field": h.field, "to": h.to, "valid_from": moment(h.from_ms)}
            | ({} if h.until_ms is None else {"until": moment(h.until_ms), "reason": "r", "approved_by": "a"})
            for h in law.handovers
        ],
    )


def events() -> st.SearchStrategy[str]:
    """Ids of the three kinds, few enough to come again, some of one version with two names."""
    number = st.integers(1, 6)
    return st.one_of(
        number.map(lambda n: f"seq:0:{n:04d}"),
        number.map(lambda n: f"seq:0:{n:04d}"),
        number.map(lambda n: f"seq:0:{n:04d}/other"),
        st.integers(1, 2).map(lambda n: f"seq:1:{n:04d}"),
        st.integers(1, 3).map(lambda n: f"time:0:2026-11-0{n}/C-1"),
        number.map(lambda n: f"any:0:{n}"),
        number.map(lambda n: f"plain-{n}"),
    )


@st.composite
def writes(draw: st.DrawFn, at_ms: int) -> Write:
    system = draw(st.sampled_from(["crm", "crm", "crm", "erp", "erp", "billing", "ghost"]))
    key = draw(st.sampled_from(["C-1", "C-1", "C-1", "C-2"]))
    values: dict[str, Any] = {name: draw(st.sampled_from(TEXTS)) for name in ("name", "email", "phone")}
    values |= {"customer_id": key, "credit_limit": draw(st.sampled_from(SUMS))}
    common = {"system": system, "event": draw(events()), "received_ms": at_ms, "key": key}
    shape = draw(st.sampled_from(["image", "image", "image", "some", "some", "unavailable", "delete"]))
    if shape == "delete":
        return Write(**common, values={}, deletes=True)
    names = st.frozensets(st.sampled_from(SETTABLE), min_size=1, max_size=3)
    fields = draw(names) if shape == "some" else None
    absent = draw(st.frozensets(st.sampled_from(FIELDS[1:]), min_size=1)) if shape == "unavailable" else ()
    return Write(**common, values=values, fields=fields, unavailable=frozenset(absent))


@st.composite
def histories(draw: st.DrawFn, max_size: int = 25) -> list[Step]:
    """Steps with pauses between them; now and then the broker's clock steps back."""
    at_ms, steps = T0, []
    for _ in range(draw(st.integers(1, max_size))):
        at_ms += draw(st.sampled_from([0, 0, 0, 0, 10, 10, *PAUSES_MS]))
        back = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 500]))
        if draw(st.integers(0, 7)) == 0:
            steps.append(Tick(at_ms))
        elif draw(st.integers(0, 15)) == 0:
            system = draw(st.sampled_from(SYSTEMS))
            steps.append(Reset(system, draw(st.integers(1, 2)), at_ms))
        elif (before := [s for s in steps if isinstance(s, Write)]) and draw(st.integers(0, 7)) == 0:
            steps.append(Again(draw(st.sampled_from(before)), at_ms))
        else:
            steps.append(draw(writes(at_ms - back)))
    return steps


def record_of(bench: Bench, step: Step) -> Record:
    """The record of a step in the log."""
    if isinstance(step, Tick):
        return bench.tick(at_ms=step.received_ms)
    if isinstance(step, Reset):
        order = {"command": "source_reset", "system": step.system, "incarnation": step.incarnation}
        return bench.command(order, key=b"", at_ms=step.received_ms)
    if isinstance(step, Again):
        held = record_of(Bench(rules=bench.rules, now_ms=bench.now_ms), step.write)
        # A place of its own, as every record of the log has: one that no later record of the history will have.
        held.offset = 1_000_000 + sum(bench.offsets.values())
        return bench.redrive(held, step.write.system, at_ms=step.received_ms)
    if step.deletes:
        return bench.delete(step.system, step.event, key=step.key, at_ms=step.received_ms)
    return bench.upsert(
        step.system,
        step.event,
        step.values,
        fields=step.fields,
        key=step.key,
        unavailable=step.unavailable,
        at_ms=step.received_ms,
    )
