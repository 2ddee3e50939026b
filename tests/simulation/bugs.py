"""Bugs to plant: each takes one function of the product away and puts one in its place that is wrong in one way.

Every one has happened to somebody. `caught_by` names who must see it: a checker of the simulation, the oracle, or the
comparison of the short way with the long one. docs/how-to/simulate.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest

from broker import rules
from broker.gate import commands, conclude, decide, project, route
from broker.gate.decision import FieldVerdict, Outcome, Verdict
from broker.gate.express import ExpressPlan
from broker.gate.fields import same
from broker.gate.reason import Reason
from broker.gate.state import Memory
from broker.lane import fold, judge
from connectors.sdk import deliveries
from connectors.sdk.store import AppliedRevision
from ownership.map import ObjectMap
from schemas.authoritative import AuthoritativeEnvelope, format_owners
from tests.simulation import gate

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    """One bug. `caught_by`: the name that a finding bears, or `oracle`, or `short way`."""

    name: str
    caught_by: str
    plant: Callable[[Patch], None]


def stale_map(patch: Patch) -> None:
    real, before = rules.rules_of, {}

    def stale(documents: Any, version: int) -> Any:
        before[version] = documents
        return real(before.get(version - 1, documents), version)

    patch.setattr(rules, "rules_of", stale)


def no_dedupe(patch: Patch) -> None:
    patch.setattr(decide, "_judged_before", lambda *_: False)


def own_field_written_back(patch: Patch) -> None:
    patch.setattr(AuthoritativeEnvelope, "owned_by", lambda *_: frozenset())


def grave_forgotten(patch: Patch) -> None:
    patch.setattr(decide, "Memory", lambda **kept: Memory(**kept | {"grave": None}))


def reassertion_loop(patch: Patch) -> None:
    patch.setattr(conclude, "braked", lambda memory, _system, fields, _at: (memory, fields))


def _concluding(patch: Patch, wrong: Callable[..., Any]) -> None:
    """`wrong` gets the decision, then what it was made from."""
    real = decide.conclude
    patch.setattr(decide, "conclude", lambda *given: wrong(real(*given), *given))


def partial_accept_leaks_held_field(patch: Patch) -> None:
    def leaky(decision: Any, entry: ObjectMap, *given: Any) -> Any:
        verdicts, decode, encode = given[4], given[6], given[7]
        if decision.outcome is not Outcome.PARTLY_ACCEPTED:
            return decision
        held = {
            v.field: v.attempted for v in verdicts if v.verdict is Verdict.HELD and v.field in entry.fields
        }
        value = encode({**decode(decision.state.value), **held})
        return decision._replace(state=decision.state._replace(value=value))

    _concluding(patch, leaky)


def revision_reset_after_recreation(patch: Patch) -> None:
    def reset(decision: Any, _entry: Any, _version: Any, state: Any, *_: Any) -> Any:
        born = state.value is None and decision.writes
        return decision._replace(state=decision.state._replace(revision=1)) if born else decision

    _concluding(patch, reset)


def late_echo_swallows_edit(patch: Patch) -> None:
    real = decide.judge_field

    def swallow(judged: Any, name: str, current: Any, attempted: Any, earlier: Any) -> FieldVerdict:
        verdict = real(judged, name, current, attempted, earlier)
        late = any(same(record.get(name), attempted) for record in earlier)
        if verdict.verdict is Verdict.ACCEPTED and late:
            return verdict._replace(verdict=Verdict.UNCHANGED, reason=Reason.LATE_ECHO)
        return verdict

    patch.setattr(decide, "judge_field", swallow)


def position_not_in_transaction(patch: Patch) -> None:
    real = gate.Producer.send

    def send(self: Any, place: Any, key: Any, value: Any, headers: Any) -> None:
        if place[0] == "ledger":
            self._log.append(place, key, value, headers)
        else:
            real(self, place, key, value, headers)

    patch.setattr(gate.Producer, "send", send)


def parked_forgotten_on_rebuild(patch: Patch) -> None:
    real = fold.remembering
    patch.setattr(fold, "remembering", lambda state, memory: real(state, replace(memory, parked=())))


def version_compared_across_systems(patch: Patch) -> None:
    def standings(owners: Any, change: Any) -> Any:
        return frozenset(decide.standing(change.event_id, event) for _, event, _ in owners if event)

    patch.setattr(decide, "_standings", standings)


def owner_of_default_guesses(patch: Patch) -> None:
    patch.setattr(ObjectMap, "owner_of", lambda self, _name: self.system_of_record)


def unreadable_skipped(patch: Patch) -> None:
    real = judge.route

    def skipped(change: Any, decision: Any, *given: Any) -> Any:
        return [] if decision.outcome is Outcome.UNREADABLE else real(change, decision, *given)

    patch.setattr(judge, "route", skipped)


def short_way_ignores_key(patch: Patch) -> None:
    patch.setattr(rules, "ExpressPlan", lambda **plan: ExpressPlan(**plan | {"key_bit": 0}))


def chain_not_linked(patch: Patch) -> None:
    real = judge.Judge.keep

    def keep(self: judge.Judge, judged: judge.Judged) -> None:
        real(self, judged)
        self.memory.chain = b""

    patch.setattr(judge.Judge, "keep", keep)


def consumer_taken_back(patch: Patch) -> None:
    real = deliveries.next_update

    def unguarded(*given: Any, before: Any, **more: Any) -> Any:
        return real(*given, before=None if isinstance(before, AppliedRevision) else before, **more)

    patch.setattr(deliveries, "next_update", unguarded)


def anybody_deletes(patch: Patch) -> None:
    real = decide._decide_delete

    def deleted(entry: ObjectMap, version: int, state: Any, change: Any, *given: Any) -> Any:
        return real(replace(entry, delete=change.system), version, state, change, *given)

    patch.setattr(decide, "_decide_delete", deleted)


def echo_counted_as_accepted(patch: Patch) -> None:
    real = judge.Judge._count

    def miscounted(self: Any, judged: judge.Judged, change: Any, decision: Any) -> None:
        real(self, judged, change, decision)
        if decision.outcome is Outcome.ECHO:
            judged.account.update({"accepted": 1, "echo": -1})

    patch.setattr(judge.Judge, "_count", miscounted)


def parked_for_ever(patch: Patch) -> None:
    patch.setattr(decide, "PARKED_MS", 10**15)


def claim_believed(patch: Patch) -> None:
    real = judge.read

    def believing(*given: Any, **told: Any) -> Any:
        change = real(*given, **told)
        if change.fault is None or change.fault.reason is not Reason.CLAIM_MISMATCH:
            return change
        claimed = dict(told["headers"])["ce_source"].decode().removeprefix("/")
        return real(*given, **told | {"system": claimed})

    patch.setattr(judge, "read", believing)


def owed_reassertion_forgotten(patch: Patch) -> None:
    patch.setattr(judge, "pass_time", lambda _context, state: (state, []))


def drift_not_reasserted(patch: Patch) -> None:
    patch.setattr(conclude, "_drifted", lambda *_: frozenset())


def original_cut_off(patch: Patch) -> None:
    real = route._case_body

    def cut(*given: Any) -> dict[str, Any]:
        case = real(*given)
        return case | {"value": (case["value"] or b"")[:16] or None}

    patch.setattr(route, "_case_body", cut)


def decides_by_something_else(patch: Patch) -> None:
    real, calls = judge.decide, count()

    def moody(entry: Any, version: int, state: Any, change: Any, gate_time_ms: int, **codec: Any) -> Any:
        hour_ms = 3_600_000 if next(calls) % 5 == 0 else 0
        return real(entry, version, state, change, gate_time_ms + hour_ms, **codec)

    patch.setattr(judge, "decide", moody)


def redrive_as_duplicate(patch: Patch) -> None:
    real = commands.decide

    def once(*given: Any, again: bool, **codec: Any) -> Any:
        return real(*given, again=not again, **codec)

    patch.setattr(commands, "decide", once)


def projection_leaks_a_header(patch: Patch) -> None:
    patch.setattr(project, "_owners", lambda envelope, _: format_owners(envelope.owners))


def another_generation_is_the_same(patch: Patch) -> None:
    real = deliveries.next_update

    def same_for_all(*given: Any, generation: str, **more: Any) -> Any:
        return real(*given, **more)

    patch.setattr(deliveries, "next_update", same_for_all)


BUGS = (
    Bug("stale_map", "I1", stale_map),
    Bug("no_dedupe", "oracle", no_dedupe),
    Bug("own_field_written_back", "I11", own_field_written_back),
    Bug("grave_forgotten", "I4", grave_forgotten),
    Bug("reassertion_loop", "brake", reassertion_loop),
    Bug("redrive_as_duplicate", "oracle", redrive_as_duplicate),
    Bug("partial_accept_leaks_held_field", "I1", partial_accept_leaks_held_field),
    Bug("revision_reset_after_recreation", "I4", revision_reset_after_recreation),
    Bug("late_echo_swallows_edit", "owner heard", late_echo_swallows_edit),
    Bug("position_not_in_transaction", "I3", position_not_in_transaction),
    Bug("parked_forgotten_on_rebuild", "I5", parked_forgotten_on_rebuild),
    Bug("version_compared_across_systems", "oracle", version_compared_across_systems),
    Bug("owner_of_default_guesses", "I1", owner_of_default_guesses),
    Bug("unreadable_skipped", "I6", unreadable_skipped),
    Bug("short_way_ignores_key", "short way", short_way_ignores_key),
    Bug("chain_not_linked", "I3", chain_not_linked),
    Bug("consumer_taken_back", "I4", consumer_taken_back),
    Bug("anybody_deletes", "I1", anybody_deletes),
    Bug("echo_counted_as_accepted", "I2", echo_counted_as_accepted),
    Bug("parked_for_ever", "oracle", parked_for_ever),
    Bug("projection_leaks_a_header", "hidden", projection_leaks_a_header),
    Bug("another_generation_is_the_same", "liveness", another_generation_is_the_same),
    Bug("claim_believed", "I6", claim_believed),
    Bug("owed_reassertion_forgotten", "liveness", owed_reassertion_forgotten),
    Bug("drift_not_reasserted", "liveness", drift_not_reasserted),
    Bug("original_cut_off", "I6", original_cut_off),
    Bug("decides_by_something_else", "I5", decides_by_something_else),
)
