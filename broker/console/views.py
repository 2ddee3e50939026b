"""What each page shows, gathered from the store and put into words. No request, no answer and no HTML
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.agents.sentences import plural
from broker.agents.service_levels import SyncState
from broker.clock import now_ms
from broker.console import words
from broker.console.charts import Chart, latency_chart
from broker.console.decisions import ANSWER_EXPECTED_MS, Option, options
from broker.console.difference import Row, field_title, rows
from broker.console.errors import NotFoundError
from broker.store.case_states import CaseState
from broker.store.cases import (
    PAGE_LENGTH,
    Case,
    CaseFilter,
    case_counts,
    causes,
    filter_choices,
    find_case,
    list_cases,
    questions_of_case,
)
from broker.store.decisions import Decision, Sending, decisions_of_case
from broker.store.deliveries import FailedDelivery, open_deliveries
from broker.store.engine import Connection, Engine, reading
from broker.store.ledger import Account, account
from broker.store.positions import gap_count
from broker.store.syncs import SyncRow, read_syncs
from broker.store.trail import TrailLine, lines_of_case, lines_of_record

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class SyncView:
    """One sync on Today."""

    name: str
    """Stable within the page: object, source and sink."""
    title: str
    state: str
    words: words.StateWords
    sentence: str
    effect: str
    next_step: str
    since_ms: int
    evaluated_ms: int
    chart: Chart | None
    measures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history."""

    at_ms: int
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case in words."""

    case: Case
    title: str
    reason: words.ReasonWords
    state: words.StateWords
    result: str
    writer: str
    object_title: str
    key: str
    rows: list[Row]
    options: list[Option]
    history: list[Event]
    waiting: Decision | None
    overdue: bool
    """Whether the gate should have answered by now."""
    failed: Decision | None
    refused: bool
    """Whether the gate said that the last decision could not be carried out."""


class Views:
    """Reads the store for pages. Every method may raise StoreUnavailableError."""

    def __init__(self, engine: Engine, titles: Mapping[str, str]) -> None:
        self._engine = engine
        self.titles = dict(titles)

    def title(self, system: str | None) -> str:
        """What people call a system."""
        return self.titles.get(system, system) if system else "nobody"

    def syncs(self) -> list[SyncView]:
        """Every sync, worst first."""
        with reading(self._engine) as connection:
            return self._syncs(connection)

    def _syncs(self, connection: Connection) -> list[SyncView]:
        made = [self._sync(row) for row in read_syncs(connection)]
        order = {state: place for place, state in enumerate(words.WORST_FIRST)}
        return sorted(made, key=lambda sync: (order[SyncState(sync.state)], sync.title))

    def _sync(self, row: SyncRow) -> SyncView:
        source = row.measures.get("source_title", row.source)
        sink = row.measures.get("sink_title", row.sink)
        title = f"{plural(row.object)}: {source} to {sink}"
        state, sentence, effect, next_step = row.state, row.sentence, row.effect, row.next_step
        if now_ms() - row.evaluated_ms > words.STALE_EVALUATION_MS:  # I9: old news is no news
            state = SyncState.CANNOT_TELL
            sentence = (
                f"We cannot tell whether {plural(row.object).lower()} are up to date: nobody has looked "
                f"since {words.moment(row.evaluated_ms)}."
            )
            effect = "What is shown here may be out of date."
            next_step = "Tell the platform team that the control process does not run; no change is lost."
        return SyncView(
            name=f"{row.object}-{row.source}-{row.sink}",
            title=title,
            state=state,
            words=words.SYNC_STATES[state],
            sentence=sentence,
            effect=effect,
            next_step=next_step,
            since_ms=row.since_ms if state == row.state else row.evaluated_ms,
            evaluated_ms=row.evaluated_ms,
            chart=latency_chart(row.measures, title),
            measures=row.measures,
        )

    def today(self) -> dict[str, Any]:
        """Today: the syncs, the account of the last day, and how many cases wait."""
        with reading(self._engine) as connection:
            found: Account = account(connection, now_ms() - DAY_MS)
            largest = max(found.outcomes.values(), default=0)
            lines = [
                (
                    *words.OUTCOMES.get(name, (name, "")),
                    count,
                    round(100 * count / largest, 1) if largest else 0,
                )
                for name, count in found.outcomes.items()
            ]
            return {
                "syncs": self._syncs(connection),
                "account": found,
                "lines": lines,
                "counts": case_counts(connection),
                "deliveries": len(open_deliveries(connection)),
                "gaps": gap_count(connection),
            }

    def review(self, wanted: CaseFilter, before: tuple[int, str] | None) -> dict[str, Any]:
        """Needs review: causes, a page of cases, failed updates, and the choices of the filters."""
        with reading(self._engine) as connection:
            page = list_cases(connection, wanted, before=before, limit=PAGE_LENGTH + 1)
            systems, fields = filter_choices(connection)
            counts = case_counts(connection)
            return {
                "wanted": wanted,
                "causes": [(cause, words.reason_words(cause.reason)) for cause in causes(connection, wanted)],
                "cases": [self._listed(case) for case in page[:PAGE_LENGTH]],
                "next": page[PAGE_LENGTH - 1] if len(page) > PAGE_LENGTH else None,
                "systems": systems,
                "fields": fields,
                "counts": counts,
                "total": sum(counts.values()),
                "deliveries": open_deliveries(connection),
            }

    def _listed(self, case: Case) -> tuple[Case, str, words.ReasonWords, words.StateWords]:
        state = words.CASE_STATES[case.state]
        return case, self.case_title(case), words.reason_words(case.reason), state

    def case_title(self, case: Case) -> str:
        """`ERP tried to change name and phone of customer C-1`."""
        thing = f"{case.object.replace('_', ' ')} {words.key_text(case.key)}"
        writer = self.title(case.system)
        if case.deletes:
            return f"{writer} tried to delete {thing}"
        names = [field_title(name) for name in case.held_fields]
        if case.outcome == "unreadable" or not names:
            return f"{writer} sent something about {thing} that was held"
        return f"{writer} tried to change {words.listed(names)} of {thing}"

    def case(self, case_id: str) -> CaseView:
        """One case with its difference, choices and history. Raises NotFoundError."""
        with reading(self._engine) as connection:
            case = find_case(connection, case_id)
            if case is None:
                msg = "There is no such case."
                raise NotFoundError(msg)
            decided = decisions_of_case(connection, case_id)
            others = lines_of_record(connection, case.object, case.key)
            lines = [*lines_of_case(connection, case_id), *(line for line in others if line.case_id is None)]
            questions = questions_of_case(connection, case_id)
        waiting = _waiting(case, decided, lines)
        last = decided[-1] if decided else None
        open_still = case.state is not CaseState.CLOSED
        return CaseView(
            case=case,
            title=self.case_title(case),
            reason=words.reason_words(case.reason),
            state=words.CASE_STATES[case.state],
            result=words.RESULTS.get(case.result or "", ""),
            writer=self.title(case.system),
            object_title=case.object.replace("_", " "),
            key=words.key_text(case.key),
            rows=rows(case.verdicts),
            options=options(case, self.titles),
            history=self._history(case, decided, lines, questions),
            waiting=waiting,
            overdue=waiting is not None and now_ms() - waiting.issued_ms > ANSWER_EXPECTED_MS,
            failed=last if last is not None and last.delivery is Sending.FAILED else None,
            refused=open_still and last is not None and _was_refused(case, last, lines),
        )

    def _history(
        self,
        case: Case,
        decided: list[Decision],
        lines: list[TrailLine],
        questions: list[tuple[str, int, int]],
    ) -> list[Event]:
        first = f"{self.title(case.system)} sent the change; it was held."
        events = [Event(case.received_ms, first)]
        chosen = {"keep": "keep the owner's value", "ask_owner": "ask the owner"}
        for decision in decided:
            failed = " It could not be sent." if decision.delivery is Sending.FAILED else ""
            text = f"{decision.by} decided: {chosen.get(decision.decision, decision.decision)}.{failed}"
            events.append(Event(decision.issued_ms, text, decision.note))
        for line in lines:
            text = words.TRAIL.get(line.kind, "Something else happened.").format(
                system=self.title(line.system)
            )
            text = words.RESULTS.get(line.result or "", text) if line.kind == "proposal_closed" else text
            events.append(Event(line.gate_time_ms, text, line.note or ""))
        for owner, asked_ms, until_ms in questions:
            text = f"{self.title(owner)} has the question until {words.moment(until_ms)}."
            events.append(Event(asked_ms, text))
        return sorted(events, key=lambda event: event.at_ms)

    def delivery_title(self, delivery: FailedDelivery) -> str:
        """`ERP did not take an update of customer C-9`."""
        thing = f"{delivery.object.replace('_', ' ')} {words.key_text(delivery.key)}"
        return f"{self.title(delivery.system)} did not take an update of {thing}"


def _waiting(case: Case, decided: list[Decision], lines: list[TrailLine]) -> Decision | None:
    """The last decision whose effect the trail does not show yet: done means done, sent is not done."""
    last = next((d for d in reversed(decided) if d.delivery is not Sending.FAILED), None)
    if last is None or case.state is CaseState.CLOSED:
        return None
    kinds = {"keep": "case_closed", "ask_owner": "proposal_opened"}
    seen = any(line.case_id == case.case_id and line.kind == kinds.get(last.decision) for line in lines)
    return None if seen or _was_refused(case, last, lines) else last


def _was_refused(case: Case, decision: Decision, lines: list[TrailLine]) -> bool:
    told = (case.case_id, "command_refused", decision.by, decision.note)
    return any((line.case_id, line.kind, line.by, line.note) == told for line in lines)
