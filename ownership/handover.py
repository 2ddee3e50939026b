"""Handovers: from the terms that a map begins with to those in force from each moment on.

Pure. Which terms judge a record is settled by the broker's append time of that record, so every position of the log has
exactly one owner per field, whoever reads it and when. A break-glass change is a handover that ends; a term that ends
without a successor leaves nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from ownership.changed import moment
from ownership.document import HandoverRule, ObjectDocument
from ownership.map import ObjectMap, OwnershipMap

WHOLE = "*"


@dataclass(frozen=True, slots=True)
class _Turn:
    """What changes at one moment. `to` None = nobody."""

    at_ms: int
    fields: tuple[str, ...]
    to: str | None
    whole: bool = False
    ends: HandoverRule | None = None
    rule: HandoverRule | None = None


def at_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of a moment with its time zone."""
    return round(moment.timestamp() * 1000)


def handed_over(base: ObjectMap, document: ObjectDocument) -> ObjectMap:
    """`base` with the terms that its handovers bring about later."""
    turns = sorted(_turns(base, document), key=lambda turn: (turn.at_ms, turn.rule is not None))
    if not turns:
        return base
    terms: list[tuple[int, ObjectMap]] = []
    before: dict[int, ObjectMap] = {}
    now = base
    for turn in turns:
        if turn.rule is not None:
            before[id(turn.rule)] = now
        now = _turned(now, turn, before[id(turn.ends)] if turn.ends is not None else None)
        if terms and terms[-1][0] == turn.at_ms:
            terms.pop()
        terms.append((turn.at_ms, now))
    involved = frozenset().union(*(one.writers for one in (base, *(found for _, found in terms))))
    return replace(
        base,
        involved=involved,
        later=tuple((since, replace(found, involved=involved)) for since, found in terms),
    )


def _turns(base: ObjectMap, document: ObjectDocument) -> Iterator[_Turn]:
    for name, rule in document.fields.items():
        if rule.until is not None:
            yield _Turn(at_ms(rule.until), (name,), None)
    for handover in document.handover:
        whole = handover.field == WHOLE
        fields = base.fields if whole else (handover.field,)
        yield _Turn(at_ms(handover.valid_from), fields, handover.to, whole, rule=handover)
        if handover.until is not None:
            yield _Turn(at_ms(handover.until), fields, None, whole, ends=handover)


def _turned(now: ObjectMap, turn: _Turn, former: ObjectMap | None) -> ObjectMap:
    """The terms after one turn; `former` = the terms to go back to."""
    given = former.owners if former is not None else dict.fromkeys(turn.fields, turn.to) if turn.to else {}
    owners = {name: owner for name, owner in now.owners.items() if name not in turn.fields}
    owners |= {name: given[name] for name in turn.fields if name in given}
    changed = [name for name in turn.fields if owners.get(name) != now.owners.get(name)]
    readers = dict(now.readers if former is None else former.readers)
    for owner in owners.values():
        readers.setdefault(owner, None)  # whoever owns a field reads the record
    create, delete, record = now.create, now.delete, now.system_of_record
    if turn.whole and former is not None:
        create, delete, record = former.create, former.delete, former.system_of_record
    elif turn.whole and turn.to is not None:
        create = delete = record = turn.to
    return replace(
        now,
        owners=owners,
        readers=readers,
        create=create,
        delete=delete,
        system_of_record=record,
        epochs={**now.epochs, **{name: now.epochs.get(name, 1) + 1 for name in changed}},
        former={**now.former, **{name: _before(now, name) for name in changed}},
    )


def _before(now: ObjectMap, name: str) -> frozenset[str]:
    owner = now.owners.get(name)
    return now.former.get(name, frozenset()) | ({owner} if owner is not None else frozenset())


def into_the_past(before: OwnershipMap, wanted: OwnershipMap, now_ms: int) -> list[str]:
    """Handovers of `wanted` that `before` does not have, and that begin at a moment that is over, a sentence each.

    Terms are in force by append time: such a handover would say otherwise of changes that were judged already.
    """
    found = []
    for name, entry in sorted(wanted.objects.items()):
        was = before.objects.get(name)
        known = {since: terms.owners for since, terms in was.later} if was is not None else {}
        found += [
            f"a handover of {name} is from {moment(since)}, which is over: changes were judged since"
            for since, terms in entry.later
            if was is not None and since <= now_ms and known.get(since) != terms.owners
        ]
    return found
