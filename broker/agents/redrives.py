"""Orders to judge held writes again: which cases can be, and in which order they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from broker.commands import command_value
from broker.gate.commands import ATTEMPTS_MAX, REDRIVE
from broker.gate.reason import BESIDE_AN_OUTCOME, BY_CODE
from broker.store.case_states import CaseState
from broker.store.cases import Case

Order = tuple[str, bytes, bytes]
"""Object, key, value."""


def orders_of(
    cases: Iterable[Case], tried: Mapping[str, int], *, by: str, note: str, issued_ms: int
) -> list[Order]:
    """The orders, oldest write first: the writes of one record are judged again in the order in which they came.

    `tried`: how many times each was judged again already. Left out: closed ones, those kept by reference only, those
    that tell how things have gone for a while, and those judged again too often.
    """
    able = [
        case
        for case in cases
        if case.state is not CaseState.CLOSED
        and not case.by_reference
        and BY_CODE[case.reason] not in BESIDE_AN_OUTCOME
        and tried.get(case.case_id, 0) < ATTEMPTS_MAX
    ]
    return [
        (
            case.object,
            case.key,
            _value(case, tried.get(case.case_id, 0) + 1, by, note, issued_ms),
        )
        for case in sorted(able, key=lambda case: (case.received_ms, *case.place))
    ]


def _value(case: Case, attempt: int, by: str, note: str, issued_ms: int) -> bytes:
    topic, partition, offset = case.place
    return command_value(
        REDRIVE,
        command_id=f"{REDRIVE}/{case.case_id}/{attempt}",
        by=by,
        note=note,
        case_id=case.case_id,
        system=case.system,
        fields=case.held_fields,
        value=case.value,
        headers=case.headers,
        topic=topic,
        partition=partition,
        offset=offset,
        attempt=attempt,
        issued_ms=issued_ms,
    )
