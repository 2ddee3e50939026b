"""The figures of a scrape, read from SQL at that moment. Names and meanings are in `broker.telemetry`."""

from __future__ import annotations

from broker.agents.service_levels import SyncState
from broker.store.cases import case_counts
from broker.store.deliveries import open_delivery_counts
from broker.store.engine import Connection, Engine, reading
from broker.store.errors import StoreUnavailableError
from broker.store.ledger import account, slot_standings
from broker.store.levels import COUNTS, totals
from broker.store.positions import gap_count
from broker.store.syncs import read_syncs
from broker.store.trail import outcome_counts
from broker.telemetry import Figures


def read_figures(engine: Engine) -> Figures:
    """Every figure of the moment; only `solesource_store_up` 0 while the database does not answer."""
    figures = Figures()
    try:
        with reading(engine) as connection:
            _account(connection, figures)
            _deliveries(connection, figures)
            _syncs(connection, figures)
    except StoreUnavailableError:
        figures = Figures()
        figures.put("solesource_store_up", 0)
        return figures
    figures.put("solesource_store_up", 1)
    return figures


def _account(connection: Connection, figures: Figures) -> None:
    found = account(connection)
    for outcome, count in found.outcomes.items():
        figures.put("solesource_changes", count, outcome)
    figures.put("solesource_received", found.received)
    figures.put("solesource_revisions", found.revisions)
    figures.put("solesource_account_faults", found.faults)
    for object_name, system, outcome, count in outcome_counts(connection):
        figures.put("solesource_not_accepted", count, object_name, system, outcome)
    for state, count in case_counts(connection).items():
        figures.put("solesource_cases", count, state)
    for slot in slot_standings(connection):
        stamp_s = slot.written_ms / 1000
        figures.put("solesource_slot_last_commit_timestamp_seconds", stamp_s, str(slot.slot))
    figures.put("solesource_index_gaps", gap_count(connection))


def _deliveries(connection: Connection, figures: Figures) -> None:
    for (object_name, system), window in totals(connection).items():
        for result in COUNTS:
            figures.put("solesource_updates", getattr(window, result), object_name, system, result)
        for hop, sketch in sorted(window.hops.items()):
            figures.sketches.append(((object_name, system, hop), sketch))
    for (object_name, system), count in open_delivery_counts(connection).items():
        figures.put("solesource_failed_updates_open", count, object_name, system)


def _syncs(connection: Connection, figures: Figures) -> None:
    rows = read_syncs(connection)
    for row in rows:
        for state in SyncState:
            labels = (row.object, row.source, row.sink, state.value)
            figures.put("solesource_sync_state", float(row.state == state), *labels)
    if rows:
        evaluated_s = min(row.evaluated_ms for row in rows) / 1000
        figures.put("solesource_sync_evaluated_timestamp_seconds", evaluated_s)
