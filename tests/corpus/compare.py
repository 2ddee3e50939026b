"""Compares what is expected of a step with what came of it, and says every difference in words.

One function per expectation gives what was seen, in the form in which it is expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker.gate.outgoing import Destination
from tests.corpus.form import NONE, NOT_JUDGED, CaseForm, Expectation, RefusalForm
from tests.corpus.stage import Happened, Stage


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise."""

    place: str
    """File, line and name of the scenario."""
    step: str
    kind: str
    expected: Any
    seen: Any

    def __str__(self) -> str:
        return f"{self.place}\n  {self.step}\n  {self.kind}: expected {_shown(self.expected)}, seen {_shown(self.seen)}"


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to look at after a step."""

    happened: Happened
    stage: Stage
    expected: Any

    def to(self, destination: Destination) -> list[tuple[str, Any]]:
        return self.happened.to(destination)

    @property
    def trail(self) -> list[Any]:
        return [body for _, body in self.to(Destination.TRAIL)]


Seen = Callable[[Look], tuple[Any, Any]]
"""(what is expected, what was seen), in one form."""


def differences(happened: Happened, stage: Stage, expect: Expectation) -> list[tuple[str, Any, Any]]:
    """(kind, expected, seen) of all that differs. What is not said must be nothing, or as before."""
    found = []
    for kind, seen in KINDS.items():
        expected = getattr(expect, kind)
        if expected is None:
            continue
        wanted, was = seen(Look(happened, stage, expected))
        if wanted != was:
            found.append((kind, wanted, was))
    return found


def plain(value: Any) -> Any:
    """A value as a scenario writes it."""
    return f"{value:.2f}" if isinstance(value, Decimal) else value


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: plain(value) for name, value in values.items() if value is not None and name != "customer_id"
    }


def _record(look: Look) -> tuple[Any, Any]:
    def said(values: Mapping[str, Any] | None) -> Any:
        return NONE if values is None else _told(values)

    seen = said(look.happened.values)
    if look.expected == "unchanged":
        return said(look.happened.values_before), seen
    return look.expected if look.expected == NONE else _told(look.stage.typed(look.expected)), seen


def _case(look: Look) -> tuple[Any, Any]:
    bodies = [body for _, body in look.to(Destination.QUARANTINE)]
    wanted, seen = [], []
    for number, expected in enumerate(look.expected):
        body = bodies[number] if number < len(bodies) else None
        reason = look.happened.reason if expected is True else expected
        form = reason if isinstance(reason, CaseForm) else CaseForm(reason=reason)
        asked = form.model_dump(exclude_none=True)
        wanted.append(asked)
        seen.append(NONE if body is None else {name: _of_case(look, body, name, asked) for name in asked})
    return wanted, seen + [{"reason": body["reason"]} for body in bodies[len(wanted) :]]


def _of_case(look: Look, body: Any, name: str, asked: Mapping[str, Any]) -> Any:
    if name == "owner":
        return next((verdict["owner"] for verdict in body["verdicts"]), None)
    if name == "kept":
        whole = body["value"] == look.happened.record.value
        return "by reference" if body["by_reference"] and body["sha256"] else "whole" if whole else "altered"
    if name == "shows":
        verdicts = {verdict["field"]: verdict for verdict in body["verdicts"]}
        return {
            field: [json.loads(verdicts[field][side] or "null") for side in ("authoritative", "attempted")]
            for field in asked["shows"]
            if field in verdicts
        }
    return body[name]


def _refusal(look: Look) -> tuple[Any, Any]:
    found = look.to(Destination.REFUSALS)
    writer = look.happened.record.topic.split(".")[1]
    if look.expected == NONE:
        return NONE, [{"to": to, "reason": body["reason"]} for to, body in found] or NONE
    expected = RefusalForm() if look.expected is True else look.expected
    asked = {"to": writer, "reason": look.happened.reason} | expected.model_dump(exclude_none=True)
    seen = [{"to": to} | body for to, body in found]
    return [asked], [{name: told[name] for name in asked} for told in seen] or NONE


def _reasserted(look: Look) -> tuple[Any, Any]:
    seen: dict[str, list[str]] = {}
    for envelope, _ in look.happened.revisions:
        if envelope.reassert is not None:
            seen.setdefault(envelope.reassert[0], []).extend(sorted(envelope.reassert[1]))
    return {system: sorted(names) for system, names in look.expected.items()}, seen


def _asks(look: Look) -> tuple[Any, Any]:
    seen: dict[str, dict[str, Any]] = {}
    for owner, body in look.to(Destination.PROPOSALS):
        for one in body["fields"]:
            seen.setdefault(owner, {})[one["field"]] = json.loads(one["proposed"])
    return {owner: _typed(look, values) for owner, values in look.expected.items()}, seen


def _typed(look: Look, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in look.stage.typed(values).items()}


def _answers(look: Look) -> tuple[Any, Any]:
    closed = [line for line in look.trail if line["kind"] == "proposal_closed"]
    return sorted(look.expected), sorted(f"{line['fields'][0]} {line['result']}" for line in closed)


def _deleted(look: Look) -> tuple[Any, Any]:
    told = [envelope.deleted and outgoing.body is None for envelope, outgoing in look.happened.revisions]
    return look.expected, any(told)


def _verdicts(look: Look) -> tuple[Any, Any]:
    decision = look.happened.decision
    found = {verdict.field: verdict for verdict in (decision.verdicts if decision else ())}
    seen = {}
    for name, asked in look.expected.items():
        verdict = found.get(name)
        told: dict[str, Any] = {"verdict": NOT_JUDGED}
        if verdict is not None:
            reason = verdict.reason.code if verdict.reason else NONE
            told = {"verdict": verdict.verdict.value, "reason": reason, "owner": verdict.owner or "nobody"}
            told["epoch"] = verdict.epoch
        seen[name] = {part: told.get(part) for part in asked}
    return dict(look.expected), seen


def _changed(look: Look) -> tuple[Any, Any]:
    names: set[str] = set().union(*(envelope.changed for envelope, _ in look.happened.revisions))
    return sorted(look.expected), sorted(names)


def _owners(look: Look) -> tuple[Any, Any]:
    seen: dict[str, str] = {}
    for envelope, _ in look.happened.revisions[-1:]:
        for system, _, names in sorted(envelope.owners, key=lambda one: one[2] is not None):
            seen |= {
                name: system for name in (look.expected if names is None else names) if name in look.expected
            }
    return dict(look.expected), seen


def _waiting(look: Look) -> tuple[Any, Any]:
    reader = look.happened.bench.rules.readers["customer"]
    seen: dict[str, dict[str, Any]] = {}
    for parked in look.happened.after.memory.parked:
        values = reader.decode(parked.value)
        names = values.keys() if parked.fields is None else parked.fields
        seen.setdefault(parked.system, {}).update({name: plain(values[name]) for name in names})
    return {system: _typed(look, values) for system, values in look.expected.items()}, seen


def _acknowledges(look: Look) -> tuple[Any, Any]:
    return look.expected, sum(line["revision"] for line in look.trail if line["kind"] == "echo")


def _results(look: Look) -> tuple[Any, Any]:
    return look.expected, {
        line["kind"]: line["result"] for line in look.trail if line["kind"] in look.expected
    }


def _connections(look: Look) -> tuple[Any, Any]:
    wanted = {system: form.model_dump(exclude_none=True) for system, form in look.expected.items()}
    known = {system: told._asdict() for system, told in look.happened.connections.items()}
    seen = {s: {part: known[s][part] for part in asked} for s, asked in wanted.items() if s in known}
    return wanted, seen


def _map_version(look: Look) -> tuple[Any, Any]:
    return look.expected, look.happened.judged.ledger["map_version"]


KINDS: dict[str, Seen] = {
    "outcome": lambda look: (look.expected, look.happened.outcome),
    "reason": lambda look: (look.expected, look.happened.reason),
    "verdicts": _verdicts,
    "record": _record,
    "revision": lambda look: (look.expected, look.happened.after.revision),
    "changed": _changed,
    "owners": _owners,
    "deleted": _deleted,
    "case": _case,
    "refusal": _refusal,
    "reasserted": _reasserted,
    "asks": _asks,
    "answers": _answers,
    "waiting": _waiting,
    "acknowledges": _acknowledges,
    "trail": lambda look: (look.expected, [line["kind"] for line in look.trail]),
    "results": _results,
    "connections": _connections,
    "grave": lambda look: (look.expected, look.happened.after.memory.grave is not None),
    "map_version": _map_version,
}
"""Every expectation, in the order in which its differences are told."""


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_shown(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)
