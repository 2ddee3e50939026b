"""What must hold between the documents of a map; each fault names file, line, path, code and remedy.

Pure. A check belongs here when no single document can make it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Generic, TypeVar

from ownership.document import ObjectDocument, SystemsDocument, clock_text
from ownership.errors import Finding
from ownership.form import line_of
from ownership.lines import Path, dotted

_Document_co = TypeVar("_Document_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Located(Generic[_Document_co]):
    """A document and where its parts stand."""

    file: str
    document: _Document_co
    lines: Mapping[Path, int]

    def finding(self, code: str, path: Path, detail: str, remedy: str) -> Finding:
        """A finding at a path of this document."""
        return Finding(f"map.{code}", self.file, line_of(self.lines, path), dotted(path), detail, remedy)

    def advice(self, code: str, path: Path, detail: str, remedy: str) -> Finding:
        """Something that the gate does not mind."""
        return replace(self.finding(code, path, detail, remedy), warning=True)


def lint(
    systems: Located[SystemsDocument],
    objects: Sequence[Located[ObjectDocument]],
    contracts: Mapping[str, Mapping[str, str | None]],
) -> Iterator[Finding]:
    """Every fault between the documents."""
    listed = set(systems.document.systems)
    yield from _hours(systems)
    seen: dict[str, str] = {}
    for located in objects:
        name = located.document.object
        if name in seen:
            yield located.finding(
                "two_maps", ("object",), f"{name} is also mapped in {seen[name]}", "Keep one."
            )
        seen[name] = located.file
        if located.document.generation > 1 and located.document.partitions is None:
            detail = f"generation {located.document.generation} of {name} does not say its partitions"
            yield located.finding("no_partitions", ("generation",), detail, "Say as many as its topics have.")
        yield from _systems(located, listed)
        yield from _fields(located, contracts.get(name))
        yield from _slas(located)
        yield from _expected(located, systems.document.calendars)
        yield from _process(located, systems.document)
        yield from _handovers(located, contracts.get(name, {}))


def _hours(systems: Located[SystemsDocument]) -> Iterator[Finding]:
    for name, calendar in systems.document.calendars.items():
        if calendar.to <= calendar.from_:
            detail = f"ends at {clock_text(calendar.to)}, and begins at {clock_text(calendar.from_)}"
            yield systems.finding("calendar_hours", ("calendars", name), detail, "Swap them.")


def _expected(located: Located[ObjectDocument], calendars: Collection[str]) -> Iterator[Finding]:
    for index, sla in enumerate(located.document.slas):
        name = sla.freshness.calendar if sla.freshness else None
        if name is not None and name not in calendars:
            path: Path = ("slas", index, "freshness", "calendar")
            detail = f"{name} is not among the calendars of systems.yaml"
            yield located.finding("unlisted_calendar", path, detail, "List it there, or mend its name.")


def _systems(located: Located[ObjectDocument], listed: set[str]) -> Iterator[Finding]:
    document = located.document
    named: list[tuple[Path, str]] = [
        (("system_of_record",), document.system_of_record),
        (("create",), document.create),
        (("delete", "authority"), document.delete.authority),
        *((("systems", name), name) for name in document.systems),
        *(
            (("fields", name, "system_of_record"), rule.system_of_record)
            for name, rule in document.fields.items()
            if rule.system_of_record
        ),
        *((("handover", index, "to"), rule.to) for index, rule in enumerate(document.handover)),
    ]
    for path, system in named:
        if system not in listed:
            yield located.finding(
                "unlisted_system", path, f"{system} is not in systems.yaml", "List it there, with a contact."
            )


def _fields(located: Located[ObjectDocument], fields: Mapping[str, str | None] | None) -> Iterator[Finding]:
    document = located.document
    if fields is None:
        yield located.finding(
            "no_contract",
            ("contract",),
            f"no contract of {document.object} is registered",
            "Add it to registry.json beside the map.",
        )
        return
    if document.key not in fields:
        yield located.finding(
            "unknown_field", ("key",), f"{document.key} is not in the contract", "Mend its name."
        )
    yield from _said_of(located, fields)
    key_rule = document.fields.get(document.key)
    if key_rule and key_rule.system_of_record not in (None, document.create):
        yield located.finding(
            "key_owner",
            ("fields", document.key),
            "the key belongs to the system that creates",
            "Remove this owner.",
        )
    yield from _masks(located, fields)
    for system, rule in document.systems.items():
        if isinstance(rule.read, list):
            for name in rule.read:
                if name not in fields:
                    yield located.finding(
                        "unknown_field",
                        ("systems", system, "read"),
                        f"{name} is not in the contract",
                        "Mend its name.",
                    )


def _said_of(located: Located[ObjectDocument], fields: Mapping[str, str | None]) -> Iterator[Finding]:
    for name, told in located.document.fields.items():
        if name not in fields:
            yield located.finding(
                "unknown_field", ("fields", name), "is not in the contract", "Mend its name, or add it there."
            )
        elif told.class_ and fields[name] not in (None, told.class_):
            detail = f"{told.class_} here, {fields[name]} in the contract"
            yield located.finding(
                "class_contradicts", ("fields", name, "class"), detail, "Say it in the contract alone."
            )


def _masks(located: Located[ObjectDocument], fields: Collection[str]) -> Iterator[Finding]:
    document = located.document
    for system, rule in document.systems.items():
        path: Path = ("systems", system, "masked")
        readable = fields if rule.read == "all" else () if rule.read == "none" else rule.read
        for name in rule.masked:
            own = document.fields.get(name)
            owner = own.system_of_record if own and own.system_of_record else document.system_of_record
            if name not in readable:
                yield located.finding(
                    "masked_unread",
                    path,
                    f"{system} does not read {name}",
                    "Add it to read, or remove it here.",
                )
            elif name == document.key:
                yield located.finding(
                    "masked_key", path, "the key names every record and is not hidden", "Remove it here."
                )
            elif owner == system:
                yield located.finding(
                    "masked_own", path, f"{name} is {system}'s own", "Remove it here: who writes it knows it."
                )


def _slas(located: Located[ObjectDocument]) -> Iterator[Finding]:
    document = located.document
    seen: set[tuple[str, str]] = set()
    known = {document.system_of_record, document.create, document.delete.authority, *document.systems}
    known |= {rule.system_of_record for rule in document.fields.values() if rule.system_of_record}
    known |= {rule.to for rule in document.handover}
    for index, sla in enumerate(document.slas):
        path: Path = ("slas", index, "connection")
        if sla.connection in seen:
            yield located.finding("two_slas", path, "this connection has a promise already", "Keep one.")
        seen.add(sla.connection)
        for system in sla.connection:
            if system not in known:
                yield located.finding(
                    "sla_system", path, f"{system} has no part in this object", "Mend its name."
                )
        if sla.latency.p99 > sla.latency.max:
            yield located.finding("sla_latency", ("slas", index, "latency"), "p99 is above max", "Swap them.")


def _process(located: Located[ObjectDocument], systems: SystemsDocument) -> Iterator[Finding]:
    rule = located.document.conflict_process
    if rule is None:
        return
    path: Path = ("conflict_process",)
    if rule.unanswered == "escalate" and not rule.escalate_to:
        detail = "it is not said who is told when nobody decides"
        yield located.finding("no_escalation", path, detail, "Give `escalate_to`, or `unanswered: keep`.")
    for key, team in (("decides", rule.decides), ("escalate_to", rule.escalate_to)):
        if team is not None and systems.teams and team not in systems.teams:
            detail = f"{team} is not among the teams of systems.yaml"
            yield located.finding("unknown_team", (*path, key), detail, "Name it there, with its members.")


def _handovers(located: Located[ObjectDocument], fields: Collection[str]) -> Iterator[Finding]:
    document = located.document
    terms: dict[str, list[tuple[datetime, datetime | None, int]]] = {}
    for index, rule in enumerate(document.handover):
        path: Path = ("handover", index)
        if rule.field == document.key:
            yield located.finding(
                "key_owner",
                (*path, "field"),
                "the key belongs to the system that creates",
                "Hand over `*`, the whole object.",
            )
        elif rule.field != "*" and rule.field not in fields:
            yield located.finding(
                "unknown_field", (*path, "field"), f"{rule.field} is not in the contract", "Mend its name."
            )
        if rule.until is not None and rule.until <= rule.valid_from:
            yield located.finding("handover_ends", (*path, "until"), "ends before it begins", "Mend a date.")
        if rule.until is not None and not (rule.reason and rule.approved_by):
            yield located.finding(
                "break_glass",
                path,
                "a handover that ends is an exception, and says neither why nor who approved it",
                "Give `reason` and `approved_by`.",
            )
        for name in fields if rule.field == "*" else (rule.field,):
            terms.setdefault(name, []).append((rule.valid_from, rule.until, index))
    clashing = {
        following[2]
        for held in terms.values()
        for term, following in pairwise(sorted(held, key=lambda one: one[0]))
        if following[0] <= (term[1] or term[0])
    }
    for index in sorted(clashing):
        yield located.finding(
            "handovers_overlap",
            ("handover", index),
            "begins before an earlier one of the same field is over",
            "Mend a date.",
        )
