"""Documents to map: read, check against each other and the contracts, compile.

Pure: takes the texts of files, opens none. Any fault refuses the whole map (I7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from ownership.advice import advise
from ownership.document import ConflictRule, ObjectDocument, SlaDocument, SystemsDocument, Weekday
from ownership.errors import Finding, MapRefused
from ownership.form import faults_of_form, line_of
from ownership.handover import handed_over
from ownership.lines import Path, dotted, open_places, read_yaml
from ownership.lint import Located, lint
from ownership.map import Calendar, ConflictTerms, ObjectMap, OnViolation, OwnershipMap, Sla, System, Team

SYSTEMS_FILE = "systems.yaml"
_Model = TypeVar("_Model", bound=BaseModel)


def digest_of(documents: Mapping[str, str]) -> str:
    """SHA-256, in hex, over names and texts: the same documents always give the same digest."""
    whole = hashlib.sha256()
    for name in sorted(documents):
        whole.update(f"{name}\0{len(documents[name])}\0{documents[name]}".encode())
    return whole.hexdigest()


def load_map(
    documents: Mapping[str, str], contracts: Mapping[str, Mapping[str, str | None]], *, version: int
) -> OwnershipMap:
    """The compiled map of `{file name: YAML text}`.

    contracts: object to the fields of its contract, each with its class where the contract says one. Raises MapRefused
    with every fault found.
    """
    return _compiled(_located(documents, contracts), documents, contracts, version)


def load_advice(
    documents: Mapping[str, str], contracts: Mapping[str, Mapping[str, str | None]], *, today: date
) -> list[Finding]:
    """What the gate does not mind about a map, and should be otherwise. Raises MapRefused for one with faults."""
    located = _located(documents, contracts)
    entries = _compiled(located, documents, contracts, 0).objects
    return list(advise(located.systems, located.objects, entries, today))


@dataclass(frozen=True, slots=True)
class _Documents:
    """All documents of a map, without a fault."""

    systems: Located[SystemsDocument]
    objects: list[Located[ObjectDocument]]


def _located(documents: Mapping[str, str], contracts: Mapping[str, Mapping[str, str | None]]) -> _Documents:
    if SYSTEMS_FILE not in documents:
        raise MapRefused(
            [Finding("map.no_systems", SYSTEMS_FILE, 1, "", "file is missing", "List the systems.")]
        )
    findings: list[Finding] = []
    systems = _read(SYSTEMS_FILE, documents[SYSTEMS_FILE], SystemsDocument, findings)
    objects = [
        located
        for name in sorted(documents)
        if name != SYSTEMS_FILE and (located := _read(name, documents[name], ObjectDocument, findings))
    ]
    if systems is not None:
        findings += lint(systems, objects, contracts)
    if findings or systems is None:
        raise MapRefused(findings)
    return _Documents(systems, objects)


def _compiled(
    located: _Documents,
    documents: Mapping[str, str],
    contracts: Mapping[str, Mapping[str, str | None]],
    version: int,
) -> OwnershipMap:
    systems = located.systems.document
    compiled = {one.document.object: _compile(one.document, one.file, contracts) for one in located.objects}
    return OwnershipMap(
        version=version,
        digest=digest_of(documents),
        systems=_systems(systems),
        objects=compiled,
        teams=_teams(systems),
        calendars=_calendars(systems),
    )


def _systems(document: SystemsDocument) -> dict[str, System]:
    return {
        name: System(
            name=name,
            title=one.title,
            kind=one.kind,
            environment=one.environment,
            contact=one.contact,
            publishes=frozenset(one.objects),
            cleared=frozenset(one.cleared),
            polls_every_ms=one.polls_every,
            applies_within_ms=one.applies_within,
        )
        for name, one in document.systems.items()
    }


def _teams(document: SystemsDocument) -> dict[str, Team]:
    return {
        name: Team(name=name, contact=team.contact, members=frozenset(team.members))
        for name, team in document.teams.items()
    }


def _calendars(document: SystemsDocument) -> dict[str, Calendar]:
    return {
        name: Calendar(
            name=name,
            time_zone=one.time_zone,
            weekdays=tuple(day for day in get_args(Weekday) if day in one.weekdays),
            from_minute=one.from_,
            to_minute=one.to,
        )
        for name, one in document.calendars.items()
    }


def _read(file: str, text: str, model: type[_Model], findings: list[Finding]) -> Located[_Model] | None:
    lines: dict[Path, int] = {}
    try:
        values, lines = read_yaml(text, file)
        if left := [_open(file, lines, path) for path in open_places(values)]:
            findings += left
            return None
        return Located(file, model.model_validate(values), lines)
    except MapRefused as refused:
        findings += refused.findings
    except ValidationError as error:
        findings += faults_of_form(error, file, lines, "map", "See docs/reference/ownership-map.md.")
    return None


def _open(file: str, lines: Mapping[Path, int], path: Path) -> Finding:
    return Finding(
        "map.left_open",
        file,
        line_of(lines, path),
        dotted(path),
        "is left open",
        "Say it; nobody guesses it.",
    )


def _compile(
    document: ObjectDocument, file: str, contracts: Mapping[str, Mapping[str, str | None]]
) -> ObjectMap:
    classes = contracts[document.object]
    fields = tuple(classes)
    owners = _owners(document, fields)
    base = ObjectMap(
        name=document.object,
        file=file,
        description=document.description,
        key_field=document.key,
        steward_team=document.steward.team,
        steward_contact=document.steward.contact,
        system_of_record=document.system_of_record,
        create=document.create,
        delete=document.delete.authority,
        delete_softly=document.delete.consumers == "soft",
        fields=fields,
        generation=document.generation,
        partitions=document.partitions,
        owners=owners,
        classes={
            name: kind
            for name, rule in classes.items()
            if (kind := rule or (name in document.fields and document.fields[name].class_))
        },
        readers=_readers(document, owners),
        policies={system: OnViolation(rule.on_violation) for system, rule in document.systems.items()},
        observed=frozenset(name for name, rule in document.systems.items() if rule.state == "observe"),
        masked={name: frozenset(rule.masked) for name, rule in document.systems.items() if rule.masked},
        mask_keys={name: rule.mask_key for name, rule in document.systems.items() if rule.masked},
        conflicts=document.conflicts.strip(),
        conflict_process=_process(document.conflict_process),
        review_every=document.review.every,
        review_last=document.review.last,
        review_by=document.review.by,
        slas=tuple(_sla(sla) for sla in document.slas),
    )
    return handed_over(base, document)


def _process(rule: ConflictRule | None) -> ConflictTerms | None:
    if rule is None:
        return None
    above = rule.escalate_to if rule.unanswered == "escalate" else None
    return ConflictTerms(decides=rule.decides, within_ms=rule.within, escalate_to=above)


def _sla(sla: SlaDocument) -> Sla:
    return Sla(
        source=sla.connection[0],
        sink=sla.connection[1],
        latency_p99_ms=sla.latency.p99,
        latency_max_ms=sla.latency.max,
        expect_every_ms=sla.freshness.expect_every if sla.freshness else None,
        calendar=sla.freshness.calendar if sla.freshness else None,
        alert_above=sla.errors.alert_above,
        window_ms=sla.errors.window,
        retries_before_review=sla.errors.retries_before_review,
        failover_after_ms=sla.failover.after if sla.failover else None,
        failover_to=sla.failover.to if sla.failover else None,
        healthy_within_ms=sla.recovery.healthy_within,
        confirm=sla.recovery.confirm,
        alert_path=sla.alert.path,
    )


def _owners(document: ObjectDocument, fields: tuple[str, ...]) -> dict[str, str]:
    owners = {
        name: (
            rule.system_of_record
            if (rule := document.fields.get(name)) and rule.system_of_record
            else document.system_of_record
        )
        for name in fields
    }
    owners[document.key] = document.create  # the key belongs to the system that creates
    return owners


def _readers(document: ObjectDocument, owners: Mapping[str, str]) -> dict[str, frozenset[str] | None]:
    readers: dict[str, frozenset[str] | None] = dict.fromkeys(sorted(set(owners.values())))
    for system, granted in document.systems.items():
        if granted.read == "all":
            readers[system] = frozenset(owners) if granted.masked else None
        elif granted.read != "none":
            readers[system] = frozenset(granted.read)
        elif system not in owners.values():
            readers.pop(system, None)
    return readers
