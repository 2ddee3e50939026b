"""Defects that the simulation found, each as small as it goes. They stay mended."""

from __future__ import annotations

from typing import Any

from broker import topics
from broker.gate.state import RECENT_MS, RecordState
from broker.lane.fold import revised
from broker.rules import rules_of
from connectors.sdk.deliveries import next_update
from schemas.authoritative import AuthoritativeEnvelope
from tests.gate_parts import T0, Bench, Seen, map_texts, money, object_document

BOTH = {"crm": {"read": "all"}, "erp": {"read": "all"}}


def rules_with(owner: str, version: int) -> Any:
    """The limit is `owner`'s."""
    fields = {"credit_limit": {"system_of_record": owner}}
    return rules_of(map_texts(object_document(fields=fields, systems=BOTH)), version)


def handed_to(owner: str, *, before: str) -> tuple[Bench, Seen]:
    """A record whose limit was `before`'s; the map gives it to `owner`; the former owner writes it once more."""
    bench = Bench(rules=rules_with(before, 1))
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    bench.judge(bench.upsert(before, "seq:0:02", {"credit_limit": money(1)}, fields=["credit_limit"]))
    bench.rules = rules_with(owner, 2)
    return bench, bench.see(
        bench.upsert(before, "seq:0:03", {"credit_limit": money(2)}, fields=["credit_limit"])
    )


def test_a_reassertion_names_the_owner_of_today() -> None:
    # I11: the former owner's sink would drop the field as its own and stay as it is for good
    _, seen = handed_to("erp", before="crm")
    (envelope, _), *_ = seen.revisions
    assert envelope.reassert == ("crm", frozenset({"credit_limit"}))
    update = next_update(
        envelope,
        {"credit_limit": money(1)},
        system="crm",
        key="C-1",
        decided_ms=T0,
        before=None,
    )
    assert update is not None and "credit_limit" in update.write


def test_a_reassertion_does_not_write_a_field_to_its_new_owner() -> None:
    # I11: decided under the new map, delivered to the new owner as if it were another's
    bench, _ = handed_to("erp", before="crm")
    seen = bench.see(bench.upsert("erp", "seq:0:04", {"name": "Eve"}, fields=["name"]))
    (envelope, _), *_ = seen.revisions
    assert envelope.map_version == 2
    assert envelope.owned_by("erp", ["credit_limit"]) == {"credit_limit"}


def envelope_of(revision: int, owner: str) -> AuthoritativeEnvelope:
    return AuthoritativeEnvelope(
        object="customer",
        deleted=False,
        time_ms=T0,
        causation=("crm", f"seq:0:0{revision}"),
        revision=revision,
        changed=frozenset({"name"}),
        owners=(("crm", "seq:0:01", None), (owner, "seq:0:02", frozenset({"credit_limit"}))),
        map_version=revision,
        ingress_ms=T0,
        reassert=None,
    )


def test_a_new_reader_gets_a_field_that_was_once_its_own() -> None:
    # A sink that begins reads the history in one go: the limit was erp's at first, and is not any more.
    values = {"name": "Ada", "credit_limit": money(1)}
    update: Any = None
    for revision, owner in ((1, "erp"), (2, "crm")):
        envelope = envelope_of(revision, owner)
        update = next_update(envelope, values, system="erp", key="C-1", decided_ms=T0, before=update)
    assert update.created and update.write == update.writable == {"name", "credit_limit"}


def remembered_by_both() -> tuple[Bench, RecordState, RecordState]:
    """A record that was changed while the gate was behind: as its slot knows it, and as the log has it."""
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    state = RecordState()
    for _, outgoing in bench.written:
        if outgoing.destination.value == topics.authoritative("").rstrip("."):
            assert isinstance(outgoing.body, bytes)
            state = revised(state, outgoing.body, outgoing.headers)
    return bench, bench.state(), state


def test_an_opened_slot_decides_as_the_one_before_it() -> None:
    # I5: the value that was replaced comes back after an hour: a violation for the one, a late echo for the other
    bench, ran_on, opened = remembered_by_both()
    outcomes = []
    for state in (ran_on, opened):
        one = Bench(now_ms=bench.now_ms + RECENT_MS + 1_000, rules=bench.rules)
        one.memory.states["customer", 0] = {b"C-1": state}
        seen = one.see(one.upsert("erp", "seq:0:09", {"name": "Ada"}, fields=["name"]))
        outcomes.append((seen.outcome, seen.reason))
    assert outcomes[0] == outcomes[1]
    assert ran_on == opened


def test_an_owner_that_gets_a_field_back_is_not_taken_back_in_time() -> None:
    # I4: an old event of the owner, sent again after the field came back to it, is accepted a second time
    bench, _ = handed_to("erp", before="crm")
    bench.judge(bench.upsert("erp", "seq:0:05", {"credit_limit": money(5)}, fields=["credit_limit"]))
    bench.rules = rules_with("crm", 3)
    bench.judge(bench.upsert("crm", "seq:0:06", {"name": "Eve"}, fields=["name"]))
    again = bench.see(bench.upsert("crm", "seq:0:02", {"credit_limit": money(1)}, fields=["credit_limit"]))
    assert again.outcome in ("stale", "duplicate"), again.outcome


def test_a_partly_accepted_change_is_told_from_a_wholly_accepted_one() -> None:
    # I2: the account says partly accepted; no case, refusal, question or line of the trail does, so nobody can recount
    systems = BOTH | {"erp": {"read": "none", "on_violation": "propose"}}
    bench = Bench(rules=rules_of(map_texts(object_document(systems=systems)), 1))
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    for number in (1, 2):
        values = {"name": "Eve", "credit_limit": money(number)}
        seen = bench.see(bench.upsert("erp", f"seq:0:0{number}", values, fields=["name", "credit_limit"]))
        assert seen.outcome == "partly_accepted"
    told = [outgoing.destination.value for outgoing, _ in seen.judged.outgoing]
    assert set(told) - {"authoritative", "state"}, told


def test_an_owner_that_gets_a_field_back_in_a_new_life_is_not_taken_back_in_time() -> None:
    # I4: what it had said before the record ended was forgotten when another owner created the record anew
    bench = Bench(rules=rules_with("erp", 1))
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    old = bench.upsert("erp", "seq:0:04", {"credit_limit": money(4)}, fields=["credit_limit"])
    bench.judge(bench.upsert("erp", "seq:0:05", {"credit_limit": money(5)}, fields=["credit_limit"]))
    bench.judge(bench.delete("crm", "seq:0:02"))
    bench.rules = rules_with("crm", 2)
    bench.judge(bench.upsert("crm", "seq:0:03", {"name": "Ada", "credit_limit": money(9)}))
    bench.rules = rules_with("erp", 3)
    assert bench.see(old).outcome == "stale"
    assert bench.values()["credit_limit"] == money(9)
