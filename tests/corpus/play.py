"""Plays a scenario from its first step to its last, and gathers what came out otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from broker.gate.reason import Reason
from ownership.errors import MapRefused
from schemas.errors import SchemaError
from tests.corpus.compare import Difference, differences
from tests.corpus.form import NotUnderstood, Played, Scenario
from tests.corpus.sentences import repeated
from tests.corpus.stage import Happened, Stage, stage_of


def play(scenario: Scenario) -> tuple[list[Difference], list[Happened]]:
    """(what came out otherwise, what happened). Raises NotUnderstood."""
    try:
        stage = stage_of(scenario.base, scenario.changes)
    except (ValueError, OSError, MapRefused) as error:
        msg = f"{scenario.place}: the map: {error}"
        raise NotUnderstood(msg) from error
    found: list[Difference] = []
    happened: list[Happened] = []
    for number, played in enumerate([*scenario.history, *scenario.then], 1):
        told = f"step {number}: {played.step.said}"
        try:
            ones = [stage.play(step) for step in repeated(played.step)]
            happened += [one for one in ones if one is not None]
            compared = [always(one) for one in ones[:-1] if one is not None]
            if ones[-1] is not None:
                compared.append(_compared(ones[-1], stage, played))
            found += [Difference(scenario.place, told, *each) for one in compared for each in one]
        except (ValueError, MapRefused, SchemaError) as error:
            msg = f"{scenario.place}: {told}: {error}"
            raise NotUnderstood(msg) from error
    return found, happened


def _compared(one: Happened, stage: Stage, played: Played) -> Iterator[tuple[str, object, object]]:
    if played.expect is not None:
        yield from differences(one, stage, played.expect)
    elif one.decision is not None and one.outcome != "accepted":
        yield "outcome of a step of the history without `expect`", "accepted", f"{one.outcome} ({one.reason})"
    yield from always(one)


def always(one: Happened) -> Iterator[tuple[str, object, object]]:
    """What holds after every step, whatever is expected of it."""
    changes = int(one.decision is not None)
    if sum(one.judged.account.values()) != changes:  # I2
        yield "outcomes that the account counts", changes, sum(one.judged.account.values())
    if one.after.revision - one.before.revision != len(one.revisions):  # I4
        yield "revisions", len(one.revisions), one.after.revision - one.before.revision
    if one.decision is not None:  # I5
        reason = one.decision.reason.code if isinstance(one.decision.reason, Reason) else "none"
        again = (one.decision.outcome.value, reason)
        if again != (one.outcome, one.reason):
            yield "judged again from the same facts", again, (one.outcome, one.reason)
