"""Whose a record's fields are after a revision, and what those who owned them before had said of them.

Pure. A revision names the owners of the terms under which it was decided, also where it only asserts values again:
by these names a sink knows which fields it must not write (I11).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from broker.gate.state import Memory, Owners, RecordState
from ownership.map import ObjectMap

Last = tuple[str, str]
"""(system, its last accepted event)."""


def under(
    entry: ObjectMap, state: RecordState, told: Last | None = None, written: frozenset[str] = frozenset()
) -> RecordState:
    """The state with the owners of today, after `written` fields were accepted from `told`."""
    if told is not None and entry.sole_owner == told[0] and written.issuperset(entry.fields):
        owners: Owners = ((*told, None),)
    else:
        owners = _owners(entry, state, told, written)
    if owners == state.owners:
        return state
    return state._replace(owners=owners, memory=parted(entry, state))


def _owners(entry: ObjectMap, state: RecordState, told: Last | None, written: frozenset[str]) -> Owners:
    """Per system of record its last accepted event; the largest group of the default's fields is not named."""
    last: dict[str, Last] = {}
    for name in entry.fields:
        owner = entry.owner_of(name)
        if owner is None:  # nobody's now: whose value it is stays known, and with it the version (I4)
            found = state.last_write(name)
            if found is not None:
                last[name] = found
        elif told is not None and name in written:
            last[name] = told
        else:
            last[name] = (owner, state.version_of(owner, name) or "")
    groups = grouped(last.items())
    of_record = [group for group in groups if group[0] == entry.system_of_record]
    rest = (entry.system_of_record, "")
    largest = max(of_record, key=lambda group: (len(groups[group]), group), default=rest)
    named = sorted((*group, names) for group, names in groups.items() if group != largest)
    return ((*largest, None), *named)


def grouped(last: Iterable[tuple[str, Last]]) -> dict[Last, frozenset[str]]:
    """Fields by (system, event)."""
    groups: defaultdict[Last, set[str]] = defaultdict(set)
    for name, write in last:
        groups[write].add(name)
    return {write: frozenset(names) for write, names in groups.items()}


def parted(entry: ObjectMap, state: RecordState) -> Memory:
    """The memory with the last events of those who own their fields no more.

    A field may come back to them; then what they had said before is not news (I4).
    """
    if len(state.owners) == 1 and state.owners[0][0] == entry.sole_owner:
        return state.memory
    gone = {
        (name, found[0]): found[1]
        for name in entry.fields
        if (found := state.last_write(name)) and found[1] and entry.owner_of(name) not in (None, found[0])
    }
    if not gone:
        return state.memory
    kept = {
        (name, system): event for system, event, names in state.memory.former for name in sorted(names or ())
    }
    groups: defaultdict[Last, set[str]] = defaultdict(set)
    for (name, system), event in (kept | gone).items():
        groups[system, event].add(name)
    former = tuple(sorted((*write, frozenset(names)) for write, names in groups.items()))
    return replace(state.memory, former=former)
