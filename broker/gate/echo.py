"""The short way for what comes back: a system that owns nothing of an object sends a value in force as it was given.

Pure. Half of what two-way systems send is that. It gives exactly what the long way gives (an outcome `echo` and a line
of the trail, nothing else), or None: then the long way is taken. A property test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.gate.change import Position
from broker.gate.express import Plan, event_id
from broker.gate.groups import is_first_count
from broker.gate.outgoing import Outgoing
from broker.gate.reason import Reason
from broker.gate.state import NO_MEMORY, RecordState
from broker.gate.trail import trail_line
from schemas.envelope import ALL_FIELDS, Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoPlan(Plan):
    """For a system that owns nothing of an object."""

    fields: tuple[str, ...]
    map_version: int = field(compare=False)


def echo(
    plan: EchoPlan,
    state: RecordState | None,
    key: bytes,
    value: bytes | None,
    headers: Headers,
    position: Position,
    received_ms: int,
    gate_time_ms: int,
) -> Outgoing | None:
    """The line of the trail, or None: take the long way. Neither the record nor what is remembered of it changes."""
    if state is None or value is None or value != state.value or not value.startswith(plan.frame):
        return None
    if state.memory is not NO_MEMORY:
        return None  # I7: a write that was held may stand there, and this may be that one sent again
    name = event_id(plan, headers, received_ms)
    if name is None or headers[5][1] != ALL_FIELDS or not is_first_count(event := name.decode()):
        return None
    return trail_line(
        kind="echo",
        object_name=plan.object,
        key=key,
        system=plan.system,
        event_id=event,
        position=position,
        reason=Reason.ECHO.code,
        fields=list(plan.fields),
        revision=state.revision,
        map_version=plan.map_version,
        received_ms=received_ms,
        gate_time_ms=gate_time_ms,
    )
