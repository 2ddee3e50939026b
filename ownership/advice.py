"""What the gate does not mind, and a connection should not go live with: each named with file, line, path and remedy.

Pure; today reaches it as data, because a map must not become wrong by waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from ownership.changed import labelled, listed
from ownership.document import ObjectDocument, SlaDocument, SystemDocument, SystemsDocument, duration_text
from ownership.errors import Finding
from ownership.going_live import flows
from ownership.lint import Located
from ownership.map import ObjectMap
from ownership.reviews import due_after

GATE_MS = 150
"""What the gate is reckoned with in a promise: its p99 over 64 partitions (docs/reference/figures.md)."""
GUARDED = ("pii", "secret")
"""Classes that a system is cleared for, or reads as digests."""
_REACHED = ("mailto:", "https://")


def advise(
    systems: Located[SystemsDocument],
    objects: Sequence[Located[ObjectDocument]],
    entries: Mapping[str, ObjectMap],
    today: date,
) -> Iterator[Finding]:
    """Everything that should be otherwise before a connection goes live. `entries`: the objects compiled."""
    yield from _systems(systems, entries)
    for located in objects:
        entry = entries[located.document.object]
        yield from _people(located, today)
        yield from _steward(located, systems.document)
        yield from _handovers(located, today)
        yield from _promises(located, entry, systems.document.systems)
        yield from _clearance(located, entry, systems.document.systems)


def _systems(systems: Located[SystemsDocument], entries: Mapping[str, ObjectMap]) -> Iterator[Finding]:
    busy = {name for entry in entries.values() for name in entry.systems}
    for name, system in systems.document.systems.items():
        if not system.contact.startswith(_REACHED):
            detail = f"{system.contact!r} cannot be written to"
            yield systems.advice(
                "contact_unusable", ("systems", name, "contact"), detail, "Give a mailto: or an https: link."
            )
        if name not in busy and not system.objects:
            detail = f"{name} owns, reads and sends nothing"
            yield systems.advice("idle_system", ("systems", name), detail, "Give it a part, or remove it.")


def _people(located: Located[ObjectDocument], today: date) -> Iterator[Finding]:
    document = located.document
    if not document.steward.contact.startswith(_REACHED):
        detail = f"{document.steward.contact!r} cannot be written to"
        yield located.advice(
            "contact_unusable", ("steward", "contact"), detail, "Give a mailto: or an https: link."
        )
    if not document.conflicts.strip():
        detail = "it is not said how people decide when systems disagree"
        yield located.advice("no_conflicts", ("conflicts",), detail, "Say who decides, and by when.")
    if document.review.last is None:
        detail, remedy = "nobody has reviewed it yet", "Review it, and say when and by whom: `last`, `by`."
        yield located.advice("never_reviewed", ("review",), detail, remedy)
    elif (due := due_after(document.review.last, document.review.every)) < today:
        detail = f"its review was due on {due}, the last one was on {document.review.last}"
        yield located.advice("review_overdue", ("review", "last"), detail, "Review it, and say so.")
    for name, rule in document.fields.items():
        if rule.until is not None and rule.until.date() < today:
            detail = (
                f"nobody owns {name} since {rule.until:%Y-%m-%d}: other values than the one in force are held"
            )
            yield located.advice("term_ended", ("fields", name, "until"), detail, "Name an owner.")


def _steward(located: Located[ObjectDocument], systems: SystemsDocument) -> Iterator[Finding]:
    """A map that lists no teams at all says nothing of who is there."""
    team = located.document.steward.team
    if systems.teams and team not in systems.teams:
        detail = f"{team} is not among the teams of systems.yaml: nobody is known to speak for it"
        yield located.advice("steward_gone", ("steward", "team"), detail, "List it there, or name another.")


def _handovers(located: Located[ObjectDocument], today: date) -> Iterator[Finding]:
    """Files alone cannot tell history from a mistake; a plan refuses the mistake (`map.handover_past`)."""
    for index, rule in enumerate(located.document.handover):
        if rule.valid_from.date() < today and not rule.done:
            detail = f"is from {rule.valid_from:%Y-%m-%d}, and nobody says that it was in force"
            yield located.advice(
                "handover_not_done",
                ("handover", index, "valid_from"),
                detail,
                "Say `done: true` if it was; else give a moment to come.",
            )


def _promises(
    located: Located[ObjectDocument], entry: ObjectMap, systems: Mapping[str, SystemDocument]
) -> Iterator[Finding]:
    needed = flows(entry)
    promised = {sla.connection for sla in located.document.slas}
    for source, sink in sorted(needed - promised):
        path = ("systems", sink) if ("systems", sink) in located.lines else ("slas",)
        detail = f"{sink} reads what {source} owns, and nothing is promised for {source} -> {sink}"
        yield located.advice("no_promise", path, detail, "Add it to slas.")
    for index, sla in enumerate(located.document.slas):
        if sla.connection not in needed:
            detail = f"{sla.connection[1]} reads nothing that {sla.connection[0]} owns"
            yield located.advice(
                "promise_empty", ("slas", index, "connection"), detail, "Let it read, or remove the promise."
            )
        if not sla.alert.path.strip():
            yield located.advice(
                "no_alert_path", ("slas", index, "alert", "path"), "nobody is alerted", "Say where alerts go."
            )
        yield from _possible(located, index, sla, systems)


def _possible(
    located: Located[ObjectDocument], index: int, sla: SlaDocument, systems: Mapping[str, SystemDocument]
) -> Iterator[Finding]:
    source, sink = (systems[name] for name in sla.connection)
    looked, applied = source.polls_every or 0, sink.applies_within or 0
    if looked + GATE_MS + applied > sla.latency.p99:
        detail = (
            f"{duration_text(sla.latency.p99)} are promised, and it takes longer: up to {duration_text(looked)} until "
            f"{sla.connection[0]} is looked at, {duration_text(GATE_MS)} in the gate, {duration_text(applied)} until "
            f"{sla.connection[1]} has it"
        )
        remedy = "Promise more, or look more often."
        yield located.advice("promise_impossible", ("slas", index, "latency"), detail, remedy)
    if sla.failover is not None and (sla.failover.to not in systems or sla.failover.to in sla.connection):
        why = "is not in systems.yaml" if sla.failover.to not in systems else "is what has failed then"
        detail = f"nothing can fail over to {sla.failover.to}: it {why}"
        yield located.advice(
            "failover_unreachable", ("slas", index, "failover", "to"), detail, "Name another system."
        )


def _clearance(
    located: Located[ObjectDocument], entry: ObjectMap, systems: Mapping[str, SystemDocument]
) -> Iterator[Finding]:
    for reader in sorted(entry.readers):
        cleared = systems[reader].cleared
        seen = [
            name
            for name in entry.readable(reader)
            if entry.classes.get(name) in GUARDED
            and entry.classes[name] not in cleared
            and entry.owner_of(name) != reader
        ]
        if seen:
            detail = f"{reader} reads {labelled(entry, seen)} and is not cleared for it"
            classes = listed({entry.classes[name] for name in seen})
            remedy = f"Clear it in systems.yaml (`cleared`: {classes}), mask the fields, or take them out of `read`."
            path = ("systems", reader, "read") if ("systems", reader) in located.lines else ("systems",)
            yield located.advice("uncleared", path, detail, remedy)
