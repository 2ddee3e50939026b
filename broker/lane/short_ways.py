"""The short ways as a judge takes them: by itself, or beside another one that judges the same changes by another map.

Pure. Two maps mostly differ in what few changes meet. Where their plans are equal, and the record's state is the very
same, the second judge takes what the first one found; which is nearly always, so that judging twice costs little more
than judging once. Where they differ, because a field is given away, a value is still walked once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

from broker.gate.change import Position
from broker.gate.echo import EchoPlan, echo
from broker.gate.express import ExpressPlan, Plan, advance, express
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import RecordState
from broker.rules import Rules
from schemas.envelope import Headers

Taken = tuple[RecordState, Outgoing] | None
Express = Callable[[ExpressPlan, RecordState | None, bytes, bytes | None, Headers, int], Taken]
"""See broker.gate.express.express."""
Echo = Callable[
    [EchoPlan, RecordState | None, bytes, bytes | None, Headers, Position, int, int], Outgoing | None
]
"""See broker.gate.echo.echo."""
Whose = tuple[str, str]
"""(system, object)."""
Found = TypeVar("Found")


class ShortWays(NamedTuple):
    """The two short ways."""

    express: Express
    echo: Echo


SHORT_WAYS = ShortWays(express, echo)


class SharedWays:
    """The short ways of two judges, the first of which has judged a whole batch before the second begins it.

    What is written stays unwritten: revisions have no headers.
    """

    def __init__(self, before: Rules, after: Rules) -> None:
        self._walks: dict[tuple[str, str], _Walk] = {}
        kept = {
            name
            for name, reader in before.readers.items()
            if name in after.readers and after.readers[name].contract == reader.contract
        }
        alike = _alike(before.express, after.express, kept)
        self._express = _Once(_advanced, alike)
        self._echo = _Once(echo, _alike(before.echoes, after.echoes, kept))
        self.ways = ShortWays(self._express.take, self._echo.take)
        self.rules = tuple(self._walking(rules, kept, alike) for rules in (before, after))
        """What the two judges go by. Where plans differ, a value that both compare with the same one is walked once."""

    def begin(self) -> None:
        """Forget the batch before."""
        self._express.found.clear()
        self._echo.found.clear()
        for walk in self._walks.values():
            walk.found.clear()

    def _walking(self, rules: Rules, kept: Collection[str], alike: Collection[Whose]) -> Rules:
        plans = {
            (system, name): replace(
                plan,
                differences=self._walk("differences", name, plan.differences),
                merging=self._walk("merging", name, plan.merging),
            )
            if name in kept and (system, name) not in alike
            else plan
            for (system, name), plan in rules.express.items()
        }
        return replace(rules, express=plans)

    def _walk(self, kind: str, name: str, walk: Callable[..., Any]) -> Callable[..., Any]:
        return self._walks.setdefault((kind, name), _Walk(walk)).take


class _Walk:
    """What a walk beside another value found of a new one, found again where it is beside the very same one."""

    def __init__(self, walk: Callable[..., Any]) -> None:
        self.found: dict[int, tuple[bytes, bytes, tuple[int, ...], Any]] = {}
        """A new value of this batch, by its identity, to what it was beside, and what was found."""
        self._walk = walk

    def take(self, new: bytes, there: bytes, *taken: int) -> Any:
        known = self.found.get(id(new))
        if known and known[0] is new and known[1] is there and known[2] == taken:
            return known[3]
        found = self._walk(new, there, *taken)
        self.found[id(new)] = new, there, taken, found
        return found


class _Once(Generic[Found]):
    """One short way: what it found of a record is found again where everything that it was given is the same."""

    def __init__(self, way: Callable[..., Found], alike: Collection[Whose]) -> None:
        self.found: dict[int, tuple[RecordState | None, bytes, bytes | None, tuple[Any, ...], Found]] = {}
        """A record of this batch, by its headers' identity, to what else was given, and what was found."""
        self._way = way
        self._alike = alike

    def take(
        self,
        plan: Plan,
        state: RecordState | None,
        key: bytes,
        value: bytes | None,
        headers: Headers,
        *when: Any,
    ) -> Found:
        known = self.found.get(id(headers))
        if known and known[0] is state and known[1] is key and known[2] is value and known[3] == when:
            return known[4]
        found = self._way(plan, state, key, value, headers, *when)
        if (plan.system, plan.object) in self._alike:
            self.found[id(headers)] = state, key, value, when, found
        return found


def _alike(
    before: Mapping[Whose, Plan], after: Mapping[Whose, Plan], kept: Collection[str]
) -> frozenset[Whose]:
    """Whose plans are equal; `kept`: the objects of which both maps have the same contract."""
    return frozenset(whose for whose, plan in before.items() if whose[1] in kept and after.get(whose) == plan)


def _advanced(plan: ExpressPlan, state: RecordState | None, key: bytes, *given: Any) -> Taken:
    found = advance(plan, state, key, *given)
    if found is None:
        return None
    return found[0], Outgoing(Destination.AUTHORITATIVE, key, found[0].value, (), plan.object)
