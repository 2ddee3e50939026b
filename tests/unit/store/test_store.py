"""The read model: what is written once stays once, in whatever order the topics are read."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import select, update

from broker.gate.decision import Outcome
from broker.store import ledger as ledger_rows
from broker.store.case_states import TRANSITIONS, CaseResult, CaseState, Standing, Step, fold
from broker.store.cases import CaseFilter, case_counts, causes, find_case, index_cases, list_cases
from broker.store.decisions import Decision, Sending, begin_decision, decisions_of_case, mark_decision
from broker.store.deliveries import open_deliveries, open_delivery_counts, settle_delivery
from broker.store.engine import Engine, clear_rebuilt, open_store, reading, writing
from broker.store.errors import PositionMovedError, StoreOutdatedError, StoreUnavailableError
from broker.store.ledger import account, index_ledger, input_positions, slot_standings
from broker.store.levels import index_acknowledgements, sink_standings, totals, windows_since
from broker.store.positions import advance, gap_count, read_positions, record_gap
from broker.store.syncs import SyncRow, read_syncs, write_syncs
from broker.store.tables import REBUILT, store_version
from broker.store.trail import index_trail, lines_of_case, outcome_counts, prune_trail
from tests.envelopes import T0, acknowledgement, case, failure, ledger, sketch, trail, verdict


def dump(store: Engine) -> dict[str, list[Any]]:
    with reading(store) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr) for table in REBUILT
        }


# --- positions


def test_a_position_moves_only_from_where_it_was_read(store: Engine):
    with writing(store) as connection:
        advance(connection, {("trail", 0): (None, 5)})
    with pytest.raises(PositionMovedError), writing(store) as connection:
        advance(connection, {("trail", 0): (None, 9)})
    with pytest.raises(PositionMovedError), writing(store) as connection:
        advance(connection, {("trail", 0): (4, 9)})
    with writing(store) as connection:
        advance(connection, {("trail", 0): (5, 9)})
        assert read_positions(connection, ["trail"]) == {("trail", 0): 9}


def test_rows_and_positions_are_undone_together(store: Engine):
    def write_and_fail() -> None:
        with writing(store) as connection:
            advance(connection, {("quarantine", 0): (None, 1)})
            index_cases(connection, [case()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert not any(dump(store).values())


def test_a_gap_is_kept_in_the_open(store: Engine):
    with writing(store) as connection:
        record_gap(connection, "trail", 0, 5, 90)
        assert gap_count(connection) == 1


# --- cases


def test_a_case_keeps_its_original_bytes(store: Engine):
    value = bytes(range(256)) * 3
    with writing(store) as connection:
        index_cases(connection, [case(value=value, key=b"\xff\x00", headers={"ce_id": b"\xfe\x01"})])
        found = find_case(connection, "case-1")
    assert found is not None
    assert (found.value, found.key, dict(found.headers)) == (value, b"\xff\x00", {"ce_id": b"\xfe\x01"})
    assert (found.state, found.held_fields, found.owners) == (CaseState.OPEN, ("name",), ("crm",))


def test_a_case_read_twice_is_one_case_and_is_counted_once(store: Engine):
    for _ in range(2):
        with writing(store) as connection:
            index_cases(connection, [case()])
            assert outcome_counts(connection) == [("customer", "erp", "quarantined", 1)]
            assert case_counts(connection) == {"open": 1}


STEPS = {
    "asked": trail("proposal_opened", case_id="case-1", by="ana"),
    "accepted": trail("proposal_closed", case_id="case-1", result="accepted", gate_time_ms=T0 + 20),
}


@pytest.mark.parametrize("order", list(itertools.permutations(["case", "asked", "accepted"])))
def test_a_case_ends_in_the_same_state_whatever_was_read_first(store: Engine, order: tuple[str, ...]):
    for name in order:
        with writing(store) as connection:
            if name == "case":
                index_cases(connection, [case()])
            else:
                index_trail(connection, [((0, 1 + list(STEPS).index(name)), STEPS[name])])
    with reading(store) as connection:
        found = find_case(connection, "case-1")
        steps = lines_of_case(connection, "case-1")
    assert found is not None
    assert (found.state, found.result, found.state_ms) == (CaseState.CLOSED, "accepted", T0 + 20)
    assert [step.kind for step in steps] == ["proposal_opened", "proposal_closed"]


def test_cases_are_listed_by_filter_and_page(store: Engine):
    made = [case(f"case-{number:02}", received_ms=T0 + number // 2, offset=number) for number in range(9)]
    made.append(
        case(
            "other",
            system="crm",
            reason="unowned",
            verdicts=[verdict("phone"), verdict("email", "unchanged")],
        )
    )
    with writing(store) as connection:
        index_cases(connection, made)
        index_trail(connection, [((0, 1), trail("case_closed", case_id="case-04", result="keep"))])
    with reading(store) as connection:
        seen: list[str] = []
        before = None
        while page := list_cases(connection, CaseFilter(), before=before, limit=4):
            seen += [found.case_id for found in page]
            before = (page[-1].received_ms, page[-1].case_id)
        assert len(seen) == len(set(seen)) == 9
        assert "case-04" not in seen
        by_field = list_cases(connection, CaseFilter(field="phone"))
        assert [found.case_id for found in by_field] == ["other"]
        assert not list_cases(connection, CaseFilter(field="email")), "an unchanged field needs nobody"
        assert [found.case_id for found in list_cases(connection, CaseFilter(state="closed"))] == ["case-04"]
        grouped = [(cause.reason, cause.system, cause.count) for cause in causes(connection, CaseFilter())]
    assert grouped == [("not_owner", "erp", 8), ("unowned", "crm", 1)]


def test_the_transition_table_ends_every_case_and_leaves_no_closed_one():
    for state, targets in TRANSITIONS.items():
        assert not targets or state is not CaseState.CLOSED
    results = {result for targets in TRANSITIONS.values() for _, result in targets.values() if result}
    assert results == set(CaseResult)


def test_a_case_with_two_questions_closes_with_the_last_answer_and_the_worse_result():
    opened = [Step("proposal_opened", (name,), None, number) for number, name in enumerate(("name", "phone"))]
    first = Step("proposal_closed", ("name",), "answered_otherwise", 10)
    second = Step("proposal_closed", ("phone",), "accepted", 20)
    assert fold(0, [*opened, first]).state is CaseState.ASKED
    assert fold(0, [*opened, first, second]) == Standing(CaseState.CLOSED, CaseResult.ANSWERED_OTHERWISE, 20)


# --- account


def test_the_account_is_the_sum_of_the_ledger_and_balances(store: Engine):
    with writing(store) as connection:
        index_ledger(connection, [(T0 + n, ledger(n)) for n in range(1, 4)])
        index_ledger(connection, [(T0 + n, ledger(n)) for n in range(2, 6)])
        found = account(connection)
        assert (found.received, found.outcomes["accepted"], found.outcomes["echo"]) == (20, 15, 5)
        assert found.balances
        assert input_positions(connection) == {("changes.crm.customer", 0): (20, T0 + 500)}
        assert [(s.slot, s.sequence, s.written_ms) for s in slot_standings(connection)] == [(0, 5, T0 + 5)]


@pytest.mark.parametrize(
    ("second", "fault"),
    [(ledger(2, received=9), "account"), (ledger(3), "sequence"), (ledger(2, previous_chain=b"x"), "chain")],
)
def test_a_ledger_that_does_not_add_up_is_never_smoothed_over(
    store: Engine, second: dict[str, Any], fault: str
):
    """I2: the account must balance, per batch and along the chain."""
    with writing(store) as connection:
        index_ledger(connection, [(T0, ledger(1)), (T0 + 1, second)])
        assert not account(connection).balances
    assert [row[2] for row in dump(store)["ledger_faults"]] == [fault]


def test_the_outcomes_are_those_of_the_gate():
    assert set(ledger_rows.OUTCOMES) == {outcome.value for outcome in Outcome}


# --- levels and deliveries


def test_acknowledgements_add_up_per_minute_and_for_ever(store: Engine):
    with writing(store) as connection:
        index_acknowledgements(
            connection, [(T0, acknowledgement(3, 7, 8)), (T0 + 1, acknowledgement(5, 900))]
        )
        index_acknowledgements(connection, [(T0 + 60_000, acknowledgement(9, 40))])
        minutes = windows_since(connection, 0)["customer", "erp"]
        assert [(window.applied, window.hops["end_to_end"].count) for window in minutes] == [(3, 3), (1, 1)]
        assert totals(connection)["customer", "erp"].hops["end_to_end"] == sketch(7, 8, 900, 40)
        (sink,) = sink_standings(connection)
    assert (sink.through_offset, sink.latency_ms, sink.changed_ms) == (9, 40, T0 + 60_000)


def test_what_was_applied_of_an_older_generation_says_nothing_of_the_next(store: Engine):
    """I9: offsets of two topics are not compared."""
    with writing(store) as connection:
        index_acknowledgements(connection, [(T0, acknowledgement(900, failures=[failure(3)]))])
        later = acknowledgement(5, failures=[failure(3)]) | {"generation": 2}
        index_acknowledgements(connection, [(T0 + 1, later)])
        found = {sink.stream: sink.through_offset for sink in sink_standings(connection)}
        assert found == {"customer": 900, "customer.2": 5}
        assert len(open_deliveries(connection)) == 2
        assert totals(connection).keys() == {("customer", "erp")}


def test_an_acknowledgement_without_a_change_keeps_what_the_last_change_took(store: Engine):
    with writing(store) as connection:
        index_acknowledgements(connection, [(T0, acknowledgement(3, 70)), (T0 + 9, acknowledgement(5))])
        (sink,) = sink_standings(connection)
    assert (sink.through_offset, sink.acknowledged_ms) == (5, T0 + 9)
    assert (sink.latency_ms, sink.changed_ms) == (70, T0)


def test_a_failed_update_waits_until_a_person_settles_it_also_after_a_rebuild(store: Engine):
    record = (T0, acknowledgement(4, failures=[failure(3)]))
    with writing(store) as connection:
        index_acknowledgements(connection, [record])
        (waiting,) = open_deliveries(connection)
        assert open_delivery_counts(connection) == {("customer", "erp"): 1}
        assert settle_delivery(connection, waiting.delivery_id, by="ana", note="done", at_ms=T0)
        assert not settle_delivery(connection, waiting.delivery_id, by="eve", note="again", at_ms=T0)
        assert not settle_delivery(connection, "no such", by="ana", note="", at_ms=T0)
    clear_rebuilt(store)
    with writing(store) as connection:
        index_acknowledgements(connection, [record])
        assert not open_deliveries(connection)


# --- decisions, syncs, trail


def test_a_decision_is_noted_once_and_survives_a_rebuild(store: Engine):
    decision = Decision("c" * 32, "case-1", "keep", "ana", "why", T0, Sending.SENDING)
    with writing(store) as connection:
        assert begin_decision(connection, decision)
        assert not begin_decision(connection, decision)
        mark_decision(connection, decision.command_id, Sending.SENT)
    clear_rebuilt(store)
    with reading(store) as connection:
        assert [found.delivery for found in decisions_of_case(connection, "case-1")] == [Sending.SENT]


def test_syncs_that_are_no_longer_promised_go(store: Engine):
    def row(source: str) -> SyncRow:
        return SyncRow("customer", source, "erp", "late", T0, T0, "s", "e", "n", {"hops": {}})

    with writing(store) as connection:
        write_syncs(connection, [row("crm"), row("shop")])
        write_syncs(connection, [row("crm")])
        assert read_syncs(connection) == [row("crm")]


def test_old_lines_of_the_trail_go_unless_a_case_needs_them(store: Engine):
    with writing(store) as connection:
        index_trail(
            connection, [((0, 1), trail("echo")), ((0, 2), trail("case_closed", case_id="c", result="keep"))]
        )
        assert prune_trail(connection, T0 + 99) == 1
        assert outcome_counts(connection) == [("customer", "erp", "echo", 1)], "counts outlive lines"


# --- the database itself


def test_tables_of_another_version_are_refused(store: Engine):
    url = store.url.render_as_string(hide_password=False)
    with writing(store) as connection:
        connection.execute(update(store_version).values(version=99))
    with pytest.raises(StoreOutdatedError):
        open_store(url)


def test_a_database_that_is_away_is_unavailable_not_a_crash():
    with pytest.raises(StoreUnavailableError):
        open_store("postgresql://nobody@127.0.0.1:1/nothing?timeout=2")


def test_writers_take_turns_and_none_is_lost(store: Engine):
    def count(partition: int) -> None:  # not the thread's own id: that of one that has ended is given again
        for number in range(10):
            with writing(store) as connection:
                index_trail(connection, [((partition, number), trail("echo"))])

    threads = [threading.Thread(target=count, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(store) as connection:
        assert outcome_counts(connection) == [("customer", "erp", "echo", 40)]
