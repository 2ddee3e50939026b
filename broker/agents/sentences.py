"""The sentence of a sync: state, because, effect, next; in words that operations use.

Pure. Words follow docs/glossary.md; a test reads every sentence for words that do not belong on a page.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.agents.service_levels import Assessment, Cause, Evidence, SlaTerms, SyncState

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a person reads."""

    sentence: str
    effect: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Names:
    """How a sync's parts are called on a page."""

    object: str
    source: str
    sink: str
    steward: str


def duration(ms: int) -> str:
    """`0.4 seconds`, `5 seconds`, `3 minutes`, `2 hours`, `4 days`; never finer than it matters."""
    for unit_ms, unit in ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute")):
        if ms >= unit_ms:
            count = round(ms / unit_ms)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    seconds = ms / SECOND_MS
    if ms < 0 or seconds >= 10 or seconds == int(seconds):
        count = round(seconds)
        return f"{count} second{'' if count == 1 else 's'}"
    return f"{seconds:.1f} seconds" if seconds >= 0.1 else "less than 0.1 seconds"


def plural(object_name: str) -> str:
    """How the records of an object are called at the start of a sentence: `Customer records`."""
    return f"{object_name.replace('_', ' ').capitalize()} records"


def explain(names: Names, sla: SlaTerms, evidence: Evidence, found: Assessment) -> Sentence:
    """Sentence, effect and next step for an assessment."""
    what = plural(names.object)
    sentence = (
        f"{_STATES[found.state].format(what=what, low=what.lower())}{_because(names, sla, evidence, found)}."
    )
    effect, next_step = _CONSEQUENCES[found.cause]
    facts = {
        "what": what,
        "low": what.lower(),
        "source": names.source,
        "sink": names.sink,
        "steward": names.steward,
    }
    return Sentence(sentence, effect.format(**facts), next_step.format(**facts))


_STATES = {
    SyncState.UP_TO_DATE: "{what} are up to date: ",
    SyncState.QUIET: "{what} are quiet, and everything that was sent has arrived: ",
    SyncState.LATE_SOON: "{what} will be late soon: ",
    SyncState.LATE: "{what} are late: ",
    SyncState.STOPPED: "{what} have stopped: ",
    SyncState.CANNOT_TELL: "We cannot tell whether {low} are up to date: ",
}


def _because(names: Names, sla: SlaTerms, evidence: Evidence, found: Assessment) -> str:
    now = evidence.now_ms
    arrived, confirmed, contact = evidence.arrived_ms, evidence.acknowledged_ms, evidence.contact_ms
    facts = {
        "source": names.source,
        "sink": names.sink,
        "promised": f"promised: within {duration(sla.latency_p99_ms)}",
        "longest": f"promised: never longer than {duration(sla.latency_max_ms)}",
        "waited": duration(found.waiting_ms),
        "took": duration(max(evidence.latency_ms or 0, 0)),
        "slow": duration(found.p99_ms or 0),
        "failed": str(found.failed),
        "tried": str(found.applied + found.failed),
        "every": duration(sla.expect_every_ms or 0),
        "silent": "yet" if arrived is None else f"for {duration(max(now - arrived, 0))}",
        "unconfirmed": "yet" if confirmed is None else f"for {duration(max(now - confirmed, 0))}",
        "lost": "" if contact is None else f" {duration(max(now - contact, 0))} ago",
    }
    if found.cause is Cause.ON_TIME and evidence.latency_ms is None:
        return "{sink} has confirmed everything that was sent to it ({promised})".format(**facts)
    return _REASONS[found.cause].format(**facts)


_WAITING = "a change from {source} has waited {waited} for {sink} ({longest})"
_SLOW = "1 in 100 changes took {slow} or more to reach {sink} ({promised})"
_SILENT = "nothing has come from {source} {silent}; something is expected every {every}"

_REASONS: dict[Cause, str] = {
    Cause.ON_TIME: "the last change from {source} reached {sink} {took} after it was made ({promised})",
    Cause.NOTHING_NEW: "nothing has come from {source} {silent}",
    Cause.WAITING_SOON: _WAITING,
    Cause.SLOW_SOON: _SLOW,
    Cause.SILENT_SOON: _SILENT,
    Cause.WAITING: _WAITING,
    Cause.SLOW: _SLOW,
    Cause.FAILING: "{sink} did not take {failed} of the last {tried} updates",
    Cause.SILENT: _SILENT,
    Cause.SINK_STOPPED: "{sink} has confirmed nothing {unconfirmed}, and changes are waiting for it",
    Cause.GATE_STOPPED: "changes from {source} are not being judged",
    Cause.GATE_SILENT: "the part that judges changes has given no sign of life for some minutes",
    Cause.CONTACT_LOST: "we lost contact with the event log{lost}",
    Cause.NEVER_CONFIRMED: "{sink} has not confirmed anything yet",
}

_FINE = ("{sink} shows what {source} shows.", "Nothing to do.")
_OLD_DATA = "{sink} may show older data than {source}."
_CHECK_SINK = "Check that {sink} answers; then tell {steward}."
_CHECK_SOURCE = "Check that {source} is running and connected; then tell {steward}."
_CHECK_GATE = "Tell the platform team: changes are kept and will be judged once it runs again."

_CONSEQUENCES: dict[Cause, tuple[str, str]] = {
    Cause.ON_TIME: _FINE,
    Cause.NOTHING_NEW: _FINE,
    Cause.WAITING_SOON: ("{sink} is about to fall behind {source}.", "Look again in a minute."),
    Cause.SLOW_SOON: ("Changes arrive, close to the promised time.", "Look again in a minute."),
    Cause.SILENT_SOON: ("No change is missing that we know of.", "Look again in a minute."),
    Cause.WAITING: (_OLD_DATA, _CHECK_SINK),
    Cause.SLOW: ("Changes arrive, but later than promised.", _CHECK_SINK),
    Cause.FAILING: (
        "Some records in {sink} differ from {source}.",
        "See Needs review for the updates it did not take.",
    ),
    Cause.SILENT: ("Newer changes of {source} may be missing in {sink}.", _CHECK_SOURCE),
    Cause.SINK_STOPPED: (_OLD_DATA, _CHECK_SINK),
    Cause.GATE_STOPPED: (_OLD_DATA, _CHECK_GATE),
    Cause.GATE_SILENT: ("Nothing is waiting that we know of.", _CHECK_GATE),
    Cause.CONTACT_LOST: (
        "What is shown here may be out of date.",
        "Tell the platform team; no change is lost.",
    ),
    Cause.NEVER_CONFIRMED: (
        "It is not known what {sink} shows.",
        "Start the connection of {sink}, or tell {steward}.",
    ),
}
