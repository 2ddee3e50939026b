"""The breaker and the watch on an owner's versions: when they tell people, when they stop a system, and when not."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.connections import AS_MADE
from broker.gate.outgoing import Destination
from broker.gate.watch import HUNDRED, STALE_AT, Tally, Watch, watched
from broker.lane.judge import Judge
from broker.lane.memory import SlotMemory
from tests.gate_parts import Bench, Seen, encoded

SHELF = ("customer", 0)


def paused(bench: Bench, system: str = "crm") -> bool:
    return bench.memory.connections.get(SHELF, {}).get(system, AS_MADE).paused


def cases(seen: Seen, reason: str) -> list[dict[str, object]]:
    return [case for case in seen.to(Destination.QUARANTINE) if case["reason"] == reason]


def good(bench: Bench, count: int, begin: int = 0) -> None:
    bench.judge(
        *(bench.upsert("crm", f"seq:0:{begin + n:06}", {"name": f"N{begin + n}"}) for n in range(count))
    )


def bad(bench: Bench, number: int) -> Seen:
    """A write of crm to a field that nobody knows: held."""
    return bench.see(bench.upsert("crm", f"seq:0:{number:06}", {"name": "x"}, fields=["nonsense"]))


def test_a_step_in_what_is_held_pauses_the_system_and_names_the_map() -> None:
    bench = Bench()
    good(bench, HUNDRED)
    seen = [bad(bench, 1000 + number) for number in range(HUNDRED)]
    assert not any(cases(one, "holds_rose") for one in seen[:-1]) and paused(bench)
    (case,) = cases(seen[-1], "holds_rose")
    assert case["system"] == "crm" and case["verdicts"] == []
    assert "100 of its last hundred changes were held, 0 of a hundred before" in str(case["detail"])
    assert "map version 1 is in force since 2026-11-" in str(case["detail"])
    assert bench.memory.connections[SHELF]["crm"].by == "solesource"
    (line,) = [line for line in seen[-1].to(Destination.TRAIL) if line["kind"] == "paused"]
    assert line["by"] == "solesource" and line["note"] == case["detail"]
    for outgoing, _ in seen[-1].judged.outgoing:
        encoded(outgoing)


def test_a_field_more_beside_others_pauses_nobody() -> None:
    bench = Bench()
    good(bench, HUNDRED)
    for number in range(HUNDRED):
        seen = bench.see(
            bench.upsert(
                "crm", f"seq:0:{1000 + number:06}", {"name": f"N{number}"}, fields=["name", "nonsense"]
            )
        )
        assert seen.outcome == "partly_accepted" or seen.reason == "unknown_field"
    assert not paused(bench)


def test_a_paused_system_is_not_paused_again() -> None:
    bench = Bench()
    good(bench, HUNDRED)
    for number in range(HUNDRED):
        bad(bench, 1000 + number)
    good(bench, HUNDRED, 5000)  # fetched before the pause took force
    told = [bad(bench, 9000 + number) for number in range(HUNDRED)]
    lines = [line["kind"] for one in told for line in one.to(Destination.TRAIL)]
    assert paused(bench) and "paused" not in lines


def test_a_system_that_was_always_held_is_left_alone() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    for number in range(3 * HUNDRED):
        seen = bench.see(
            bench.upsert("billing", f"seq:0:{number:06}", {"name": f"B{number}"}, fields=["name"])
        )
        assert not cases(seen, "holds_rose")
    assert not paused(bench, "billing")


def test_a_person_who_lets_it_go_on_is_believed() -> None:
    bench = Bench()
    good(bench, HUNDRED)
    for number in range(HUNDRED):
        bad(bench, 1000 + number)
    bench.judge(bench.command({"command": "resume", "system": "crm"}, key=b""))
    for number in range(2 * HUNDRED):
        bad(bench, 2000 + number)
    assert not paused(bench), "what is held now is what is usual now"


def test_resuming_and_its_first_changes_in_one_batch() -> None:
    bench = Bench()
    good(bench, HUNDRED)
    for number in range(HUNDRED):
        bad(bench, 1000 + number)
    resume = bench.command({"command": "resume", "system": "crm"}, key=b"")
    held = [bench.upsert("crm", f"seq:0:{2000 + n}", {}, fields=["nonsense"]) for n in range(HUNDRED)]
    bench.judge(resume, *held)
    assert not paused(bench)
    assert bench.memory.watches["changes.crm.customer/0"] == Watch(usual_permille=1000)


def test_an_owner_whose_versions_went_back_is_told_once() -> None:
    bench = Bench()
    good(bench, 1, 500)
    seen = [
        bench.see(bench.upsert("crm", f"seq:0:{number:06}", {"name": "old"}))
        for number in range(2 * STALE_AT)
    ]
    told = [place for place, one in enumerate(seen, 1) if cases(one, "owner_went_back")]
    assert told == [STALE_AT] and {one.outcome for one in seen} == {"stale"}
    (case,) = cases(seen[STALE_AT - 1], "owner_went_back")
    assert "crm's versions went backwards: 20 writes in a row were older" in str(case["detail"])


def test_one_newer_write_ends_the_row() -> None:
    bench = Bench()
    good(bench, 1, 500)
    older = [bench.upsert("crm", f"seq:0:{number:06}", {"name": "old"}) for number in range(2 * STALE_AT - 2)]
    newer = bench.upsert("crm", "seq:0:000600", {"name": "new"})
    bench.judge(*older[: STALE_AT - 1])
    bench.judge(newer, *older[STALE_AT - 1 :])
    assert not [o for _, o in bench.written if o.destination is Destination.QUARANTINE]
    assert bench.memory.watches["changes.crm.customer/0"].stale == STALE_AT - 1


def test_a_slot_that_opens_counts_on() -> None:
    bench, other = Bench(), Bench()
    good(bench, HUNDRED)
    bad(bench, 1000)
    other.memory = SlotMemory(slot=0, partitions={"customer": 1})
    other.memory.follow(bench.ledger[-1])
    assert other.memory.watches == bench.memory.watches == {"changes.crm.customer/0": Watch(1, 1, 0, 0)}
    assert other.memory.map_since_ms == bench.memory.map_since_ms > 0
    old = {k: v for k, v in bench.ledger[-1].items() if k not in ("watches", "map_since_ms")}
    other.memory.follow(old)
    assert other.memory.watches == {} and other.memory.map_since_ms == 0


def test_a_new_map_version_has_its_own_beginning() -> None:
    bench = Bench()
    good(bench, 1)
    since = bench.memory.map_since_ms
    good(bench, 1, 10)
    assert bench.memory.map_since_ms == since
    bench.rules = replace(bench.rules, ownership_map=replace(bench.rules.ownership_map, version=2))
    good(bench, 1, 20)
    assert bench.memory.map_since_ms == bench.memory.gate_time_ms > since


def test_nothing_is_counted_before_the_commit() -> None:
    bench = Bench()
    judged = Judge(bench.memory, "worker").judge(
        bench.rules, [bench.upsert("crm", "seq:0:01", {"name": "x"})]
    )
    assert bench.memory.watches == {} and judged.watches["changes.crm.customer/0"].judged == 1


def test_the_step_is_measured_against_what_is_usual() -> None:
    usual = Watch(usual_permille=300)
    after, tripped = watched(usual, Tally(judged=100, held=79))
    assert tripped.share_permille == -1 and after.usual_permille == (900 + 790) // 4
    _, tripped = watched(usual, Tally(judged=100, held=80))
    assert (tripped.share_permille, tripped.usual_permille) == (800, 300)
    assert watched(usual, Tally(judged=99, held=99)) == (Watch(99, 99, 300, 0), watched(usual, Tally())[1])
