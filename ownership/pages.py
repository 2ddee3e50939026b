"""The map as the business reads it: a page for each object and one for all, in Markdown.

Pure. What is written here is what the gate enforces, taken from the compiled map; nothing is described twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from ownership.changed import MET, hands, labelled, listed, owner_line, settled, timeline, whose
from ownership.document import duration_text
from ownership.map import ObjectMap, OwnershipMap, Sla

Meanings = Mapping[str, Mapping[str, str]]
"""Object to its fields, each with what its contract says that it is."""


def pages(ownership_map: OwnershipMap, meanings: Meanings, told: str) -> dict[str, str]:
    """File name to Markdown: `index.md`, and a page for each object. `told`: which map this is, in words."""
    found = {"index.md": "\n".join(_index(ownership_map, told)) + "\n"}
    for name in sorted(ownership_map.objects):
        found[f"{name}.md"] = page_of(ownership_map, name, meanings.get(name, {}), told)
    return found


def page_of(ownership_map: OwnershipMap, name: str, meanings: Mapping[str, str], told: str) -> str:
    """The page of one object."""
    titles = {system: one.title for system, one in ownership_map.systems.items()}
    return "\n".join(_object(ownership_map.objects[name], meanings, titles, told)) + "\n"


def _index(ownership_map: OwnershipMap, told: str) -> Iterator[str]:
    yield from ("# Who owns what", "", told, "")
    yield from ("| object | what it is | systems of record | steward | reviewed |", "|---|---|---|---|---|")
    for name, entry in sorted(ownership_map.objects.items()):
        owners = listed(set(entry.owners.values())) if entry.owners else "nobody"
        reviewed = f"every {entry.review_every}, last {entry.review_last or 'never'}"
        steward = f"[{cell(entry.steward_team)}]({entry.steward_contact})"
        yield f"| [{name}]({name}.md) | {cell(entry.description)} | {owners} | {steward} | {reviewed} |"
    yield from (
        "",
        "## Systems",
        "",
        "| system | what it is | asked is | cleared for | owns something of | reads |",
    )
    yield "|---|---|---|---|---|---|"
    for name, system in sorted(ownership_map.systems.items()):
        entries = sorted(ownership_map.objects.items())
        owns = [one for one, entry in entries if name in {*entry.owners.values(), entry.create, entry.delete}]
        reads = [one for one, entry in entries if entry.readers.get(name, frozenset()) != frozenset()]
        cleared = listed(system.cleared) if system.cleared else "-"
        yield (
            f"| {name} | {cell(system.title)} ({cell(system.kind)}, {cell(system.environment)}) "
            f"| {cell(system.contact)} | {cleared} | {', '.join(owns) or '-'} | {', '.join(reads) or '-'} |"
        )


def _object(
    entry: ObjectMap, meanings: Mapping[str, str], titles: Mapping[str, str], told: str
) -> Iterator[str]:
    yield from (f"# {entry.name}", "", cell(entry.description), "", told, "")
    create, delete = timeline(entry, lambda e: e.create), timeline(entry, lambda e: e.delete)
    ended = "readers keep it, marked as ended" if entry.delete_softly else "readers remove it"
    yield f"- Steward: {cell(entry.steward_team)}, {entry.steward_contact}"
    yield f"- A record is created by {whose(create)} and ended by {whose(delete)}; {ended}."
    yield f"- Its key is `{entry.key_field}`."
    yield from ("", "```mermaid", *_diagram(entry, titles), "```", "", "## Fields", "")
    yield from ("| field | what it is | class | system of record | read by |", "|---|---|---|---|---|")
    for name in entry.fields:
        what, owner = cell(meanings.get(name, "")), whose(owner_line(entry, name))
        yield f"| `{name}` | {what} | {entry.classes.get(name, '')} | {owner} | {_readers(entry, name)} |"
    yield from ("", "## What each system may do", "")
    for system in sorted(entry.systems):
        yield f"- **{titles.get(system, system)}** (`{system}`) {'; '.join(_may(entry, system))}."
    yield from ("", "## When systems disagree", "", entry.conflicts or "Nothing is said.", "")
    if entry.conflict_process is not None:
        yield from (f"Decides: {cell(settled(entry))}.", "")
    yield from ("## What is promised", "")
    yield from _promises(entry)
    last = entry.review_last or "never"
    by = f" by {cell(entry.review_by)}" if entry.review_by else ""
    yield from ("", "## Review", "", f"Every {entry.review_every}; last: {last}{by}.")


def _readers(entry: ObjectMap, name: str) -> str:
    found = (
        f"{system} (digest)" if name in entry.masked.get(system, ()) else system
        for system in entry.readers_of(name)
    )
    return ", ".join(found) or "-"


def _may(entry: ObjectMap, system: str) -> Iterator[str]:
    owned = [name for name in entry.fields if system in hands(owner_line(entry, name))]
    if owned:
        yield f"owns {labelled(entry, owned)}"
    fields = entry.readers.get(system, frozenset())
    masked = entry.masked.get(system, frozenset())
    if fields is None:
        yield "reads whole records"
    elif shown := fields - masked:
        yield f"reads {labelled(entry, shown)}"
    if masked:
        yield f"gets a digest of {labelled(entry, masked)}"
    if not owned and fields is not None and not fields:
        yield "reads nothing"
    if system in entry.observed:
        yield "is only watched: what it sends has no effect"
    else:
        yield f"what it writes to somebody else's field is {MET[entry.policy_of(system)]}"


def _diagram(entry: ObjectMap, titles: Mapping[str, str]) -> Iterator[str]:
    """Owners on the left, readers on the right, as Mermaid draws it."""
    yield "flowchart LR"
    yield f'  object(["{entry.name}"])'
    owned: dict[str, int] = {}
    for owner in entry.owners.values():
        owned[owner] = owned.get(owner, 0) + 1
    for system, count in sorted(owned.items()):
        fields = "1 field" if count == 1 else f"{count} fields"
        yield f'  {_node("w", system)}["{_label(titles.get(system, system))}"] -->|"owns {fields}"| object'
    for system, read in sorted(entry.readers.items()):
        if read is None or read:
            seen = "all" if read is None else str(len(read))
            yield f'  object -->|"{seen}"| {_node("r", system)}["{_label(titles.get(system, system))}"]'


def _node(side: str, system: str) -> str:
    return f"{side}_{system.replace('-', '_')}"


def _label(text: str) -> str:
    return text.replace('"', "'")


def _promises(entry: ObjectMap) -> Iterator[str]:
    if not entry.slas:
        yield "Nothing is promised."
        return
    yield "| from -> to | 99 of 100 within | at most | expected | alert above | healthy again within | alerts go to |"
    yield "|---|---|---|---|---|---|---|"
    for sla in entry.slas:
        yield (
            f"| {sla.source} -> {sla.sink} | {duration_text(sla.latency_p99_ms)} | {duration_text(sla.latency_max_ms)} "
            f"| {_expected(sla)} | {sla.alert_above * 100:g}% over {duration_text(sla.window_ms)} "
            f"| {duration_text(sla.healthy_within_ms)} | {cell(sla.alert_path)} |"
        )


def _expected(sla: Sla) -> str:
    if sla.expect_every_ms is None:
        return "-"
    by = f", by the calendar {sla.calendar}" if sla.calendar else ""
    return f"something every {duration_text(sla.expect_every_ms)}{by}"


def cell(text: str) -> str:
    """A text that stays within its cell, and is not taken for markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def matrix(ownership_map: OwnershipMap) -> list[list[str]]:
    """A row for each field, a column for each system: for spreadsheets. The first row is the heading."""
    systems = sorted(ownership_map.systems)
    rows = [["object", "field", "class", "system of record", *systems]]
    for name, entry in sorted(ownership_map.objects.items()):
        for field in entry.fields:
            owner = entry.owner_of(field) or "nobody"
            cells = [_right(entry, field, system) for system in systems]
            rows.append([name, field, entry.classes.get(field, ""), owner, *cells])
    return rows


def _right(entry: ObjectMap, field: str, system: str) -> str:
    if entry.owner_of(field) == system:
        return "owns"
    if field in entry.masked.get(system, ()):
        return "digest"
    return "reads" if system in entry.readers_of(field) else ""


def which(ownership_map: OwnershipMap, today: date) -> str:
    """Which map this is: its version where it has one, else the digest of its files."""
    named = (
        f"version {ownership_map.version}" if ownership_map.version else f"files {ownership_map.digest[:12]}"
    )
    return f"By the ownership map, {named}, as of {today}."
