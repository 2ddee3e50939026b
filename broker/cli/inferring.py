"""`solesource map infer | coverage`: what was sent, and what it says about who owns what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from broker import topics
from broker.cli.files import write
from broker.cli.moments import span_ms
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.cli.traffic import Observed, observed
from broker.clock import now_ms
from broker.kafka.admin import CONTROL
from broker.kafka.estate import newest_map
from broker.kafka.planning import compiled
from broker.published import PublishedMap
from broker.settings import Settings
from ownership.changed import moment
from ownership.coverage import Covered, coverage, in_all, sentence
from ownership.coverage import as_json as covered_json
from ownership.inference import Traffic
from ownership.inferred import Inferred, inferred_from, share
from ownership.inferred import as_json as inferred_json
from ownership.inferred_file import file_of
from ownership.lines import OPEN, read_yaml
from ownership.load import SYSTEMS_FILE
from ownership.map import OwnershipMap
from schemas.learned import carried
from schemas.register import REGISTRY
from schemas.registry import FileRegistry, canonical_digest, read_folder, read_registry

Objects = Annotated[list[str] | None, typer.Argument(metavar="[OBJECTS]", help="Default: all of them.")]
Since = Annotated[
    str, typer.Option("--since", help="How far back, such as 30d; no further than Kafka keeps.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder for the files; what is there stays as it is.")
]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was sent, and by what it is read and judged."""

    newest: PublishedMap
    ownership_map: OwnershipMap
    contracts: Mapping[str, str]
    registry: FileRegistry
    found: Observed
    since: str


def infer(objects: Objects = None, since: Since = "30d", out: Out = None, as_json: AsJson = False) -> None:
    """Infer a map from what was sent: who is where each field's values come from, with the evidence."""
    seen = _seen(objects or [], since, quiet=as_json)
    if not seen.found.traffic and not seen.found.strange:
        msg = (
            "there is no topic for changes of any object [infer.no_topic] See docs/reference/wire-format.md."
        )
        raise CommandRefused(msg)
    found = [_inferred(seen, name) for name in sorted(seen.found.traffic)]
    written = _written(seen, found, out) if out is not None else []
    document = {
        "since": seen.since,
        "objects": [
            inferred_json(one, _in_force(seen, one.object)) | _unread(seen.found.traffic[one.object])
            for one in found
        ],
        "without_contract": seen.found.strange,
        "written": written,
    }
    rows = [row for one in found for row in _rows(one, _in_force(seen, one.object))]
    columns = {
        "field": "Field",
        "inferred": "Inferred",
        "evidence": "What was seen",
        "in_force": "Map in force",
    }
    title = f"What was sent since {seen.since}"
    show(document, as_json=as_json, table=table_of(rows, columns, title))
    if not as_json:
        for line in [*_notes(seen), *_told(written, out)]:
            typer.echo(line)


def cover(since: Since = "7d", as_json: AsJson = False) -> None:
    """Say which share of fields, and of what was sent, has an owner in the map in force."""
    seen = _seen([], since, quiet=as_json)
    fields = {name: seen.registry.latest(name).document["fields"] for name in seen.registry.subjects}
    names = {name: [str(one["name"]) for one in found] for name, found in fields.items()}
    covered = coverage(seen.ownership_map, names, seen.found.traffic)
    whole = in_all(covered)
    said = sentence(whole, seen.since)
    document = {
        "since": seen.since,
        "said": said,
        "map_version": seen.newest.version,
        "in_all": covered_json(whole),
        "objects": [covered_json(one) for one in covered],
        "contracts_without_object": [one.object for one in covered if not one.mapped],
        "without_contract": seen.found.strange,
    }
    if not as_json:
        typer.echo(said)
    columns = {
        "object": "Object",
        "fields": "Fields owned",
        "writes": "Writes of owned fields",
        "by_owner": "By the owner",
        "others": "By others",
        "repeated": "Only repeating",
    }
    rows = [_covered_row(one) for one in ([*covered, whole] if len(covered) > 1 else covered)]
    show(document, as_json=as_json, table=table_of(rows, columns))
    if not as_json:
        for line in [*_missing(covered), *_notes(seen)]:
            typer.echo(line)


def _seen(objects: Collection[str], since: str, *, quiet: bool) -> _Seen:
    settings = Settings()
    access, at_ms = settings.access(CONTROL), now_ms()
    since_ms = at_ms - span_ms(since)
    newest = newest_map(access)
    contracts = _contracts(newest.documents, settings.map_dir)
    ownership_map = compiled(newest)
    found = observed(access, contracts, ownership_map, objects, since_ms, quiet=quiet)
    registry = FileRegistry(documents=contracts, own=False)
    strange = {topics.object_of((topics.parse_changes(topic) or ("", ""))[1]) for topic in found.strange}
    if absent := sorted(set(objects) - found.traffic.keys() - strange):
        msg = (
            f"there is no topic for changes of {', '.join(absent)} [infer.no_topic] Map it, with every system "
            "observed, and ask again when they have sent something."
        )
        raise CommandRefused(msg)
    return _Seen(newest, ownership_map, contracts, registry, found, moment(since_ms))


def _contracts(published: Mapping[str, str], folder: Path | None) -> dict[str, str]:
    """The registry and its schemas: those in force, or the folder's where it has all of them and perhaps more."""
    in_force = _schemas(published)
    beside = read_folder(folder) if folder is not None and folder.is_dir() else {}
    if REGISTRY not in in_force and REGISTRY not in beside:
        msg = (
            "no contract is registered, so nothing that was sent can be read [infer.no_contracts] Add the contracts of "
            "the objects with `solesource contract new`, in the folder of SOLESOURCE_MAP_DIR."
        )
        raise CommandRefused(msg)
    if REGISTRY not in in_force:
        return beside
    if REGISTRY in beside and _known(in_force) <= _known(beside):
        return carried(in_force, beside)
    return in_force


def _schemas(documents: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in documents.items() if not name.endswith(".yaml")}


def _known(documents: Mapping[str, str]) -> set[tuple[int, str, str]]:
    found = read_registry(documents, REGISTRY)
    return {(one.schema_id, one.subject, canonical_digest(one.document)) for one in found}


def _inferred(seen: _Seen, name: str) -> Inferred:
    entry = seen.ownership_map.objects.get(name)
    contract = seen.registry.contract(name)
    return inferred_from(seen.found.traffic[name], contract.fields, entry.key_field if entry else "")


def _in_force(seen: _Seen, name: str) -> dict[str, str | None]:
    entry = seen.ownership_map.objects.get(name)
    return {one: entry.owner_of(one) for one in entry.fields} if entry else {}


def _unread(traffic: Traffic) -> dict[str, Any]:
    """What was sent, and what of it is not in the evidence."""
    return {
        "changes": dict(traffic.changes),
        "sent_again": traffic.sent_again,
        "records_let_go": traffic.let_go,
        "unreadable": [
            {"system": system, "reason": reason, "changes": count}
            for (system, reason), count in sorted(traffic.unreadable.items())
        ],
        "lacking": [
            {"system": system, "field": name, "writes": count}
            for (system, name), count in sorted(traffic.lacking.items())
        ],
    }


def _rows(one: Inferred, in_force: Mapping[str, str | None]) -> Iterator[dict[str, str]]:
    for found in one.owned:
        owner = in_force.get(found.name)
        otherwise = owner is not None and found.owner not in (owner, OPEN)
        yield {
            "field": f"{one.object}.{found.name}",
            "inferred": found.owner,
            "evidence": found.words,
            "in_force": f"the map says {owner}" if otherwise else owner or "nobody",
        }
    create = one.create.words("records named first", "nobody was seen to create one")
    delete = one.delete.words("records deleted", "nobody was seen to delete one")
    yield {"field": f"{one.object}: creates", "inferred": one.create.system, "evidence": create}
    yield {"field": f"{one.object}: deletes", "inferred": one.delete.system, "evidence": delete}
    for system, fields in one.readers.items():
        if fields:
            evidence = f"it repeats {', '.join(fields)}"
            yield {"field": f"{one.object}: reads", "inferred": system, "evidence": evidence}


def _notes(seen: _Seen) -> Iterator[str]:
    """What is not in the counts, and why."""
    for name, traffic in sorted(seen.found.traffic.items()):
        if not traffic.changes and not traffic.unreadable:
            yield f"{name}: nothing was sent."
        for (system, reason), count in sorted(traffic.unreadable.items()):
            yield f"{name}: of {system}'s changes {count:,} cannot be read ({reason})."
        for (system, field), count in sorted(traffic.lacking.items()):
            yield f"{name}: {system} sends {field} ({count:,}), which the contract does not have."
        if traffic.let_go:
            yield f"{name}: {traffic.let_go:,} records did not fit into memory and began anew when seen again."
    for topic, count in sorted(seen.found.strange.items()):
        yield (
            f"{topic} ({count:,}): nobody can read it, because no contract of the object is registered. "
            "Add one with `solesource contract new`."
        )


def _missing(covered: Iterable[Covered]) -> Iterator[str]:
    for one in covered:
        if not one.mapped:
            yield f"{one.object}: has a contract, and is not in the map. See `solesource map infer {one.object}`."
        elif one.unowned:
            yield f"{one.object}: nobody owns {', '.join(one.unowned)}."


def _covered_row(one: Covered) -> dict[str, str]:
    return {
        "object": one.object,
        "fields": f"{one.owned:,} of {one.fields:,} ({share(one.owned, one.fields)})",
        "writes": f"{one.owned_writes:,} of {one.writes:,} ({share(one.owned_writes, one.writes)})",
        "by_owner": f"{one.by_owner:,}",
        "others": f"{one.foreign + one.repeated:,}",
        "repeated": f"{one.repeated:,}",
    }


def _written(seen: _Seen, found: Iterable[Inferred], out: Path) -> list[str]:
    """Write the files; the names of those that were not there. Raises CommandRefused before anything is written."""
    texts: dict[str, str] = {}
    systems: set[str] = set()
    for one in found:
        entry = seen.ownership_map.objects.get(one.object)
        file = entry.file if entry else f"{one.object}.yaml"
        if (out / file).exists():
            msg = f"{one.object} has a file already: {out / file} [infer.exists] Name another folder."
            raise CommandRefused(msg)
        known = read_yaml(seen.newest.documents[entry.file], entry.file)[0] if entry else {}
        contract = seen.registry.latest(one.object).file
        texts[file] = file_of(one, known, contract, seen.since)
        systems |= seen.found.traffic[one.object].changes.keys()
    out.mkdir(parents=True, exist_ok=True)
    texts |= {SYSTEMS_FILE: _systems(seen.newest.documents.get(SYSTEMS_FILE, ""), systems), **seen.contracts}
    new = sorted(name for name in texts if not (out / name).exists())
    for name in new:
        write(out / name, texts[name])
    return new


def _systems(text: str, seen: Collection[str]) -> str:
    """`systems.yaml` of the map in force; who is not in it is added, with everything still to be said."""
    values = read_yaml(text, SYSTEMS_FILE)[0] if text else {"systems": {}}
    missing = sorted(set(seen) - values["systems"].keys())
    if not missing and text:
        return text
    more = {name: dict.fromkeys(("title", "kind", "contact"), OPEN) for name in missing}
    # What was read is remembered by text: a new dict, not the same one changed.
    whole = {**values, "systems": {**values["systems"], **more}}
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def _told(written: Collection[str], out: Path | None) -> Iterator[str]:
    if out is not None:
        yield (
            f"{', '.join(written)} in {out}. A ? is still to be said; then look at them: solesource map lint {out}"
        )
