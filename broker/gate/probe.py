"""What the gate would take from a system: asked of `decide` itself, with changes that nobody sent.

Pure. For whoever compares what is said of the gate elsewhere with what it does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from broker.gate.change import Change, Position
from broker.gate.decide import decide
from broker.gate.decision import Decision, Outcome, Verdict
from broker.gate.state import NO_RECORD, RecordState
from ownership.map import ObjectMap

_NOWHERE = Position("", 0, 0)
_OTHER = "another value"


class Taken(NamedTuple):
    """What becomes of a system's writes under one object's terms."""

    own: frozenset[str]
    """Fields of which its value is accepted; the key aside, which is never another one."""
    creates: bool
    deletes: bool
    observed: bool
    """Nothing has an effect; the others say what would have."""


def taken(entry: ObjectMap, system: str) -> Taken:
    """The terms of `entry` itself are asked, not later ones."""
    there = RecordState(b"", 1, ((entry.system_of_record, "", None),))
    fields = frozenset(entry.fields) - {entry.key_field}
    written = _decided(entry, system, there, fields=fields, values=dict.fromkeys(fields, _OTHER))
    key = frozenset({entry.key_field})
    created = _decided(entry, system, NO_RECORD, fields=key, values={entry.key_field: _OTHER})
    ended = _decided(entry, system, there, deletes=True)
    return Taken(
        own=_accepted(written),
        creates=_accepted(created) == key,
        deletes=_accepted(ended) == key,
        observed=Outcome.OBSERVED in (written.outcome, created.outcome, ended.outcome),
    )


def _decided(entry: ObjectMap, system: str, state: RecordState, **said: Any) -> Decision:
    change = Change(entry.name, system, b"probe", _NOWHERE, 0, (), b"", event_id="seq:0:1", **said)
    return decide(entry, 0, state, change, 0, decode=lambda _: {}, encode=lambda _: b"")


def _accepted(decision: Decision) -> frozenset[str]:
    return frozenset(one.field for one in decision.verdicts if one.verdict is Verdict.ACCEPTED)
