"""`solesource map plan | diff | apply | history | at`: what would change, how it takes force, what was in force."""

from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.files import settings_of, write
from broker.cli.governed import acting, looking
from broker.cli.maps import Folder, row_of
from broker.cli.moments import moment_ms, span_ms
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.cli.plan_words import markdown, told
from broker.cli.prepare import brought_up
from broker.cli.replaying import replay
from broker.clock import now_ms
from broker.governance import requests, taking_force
from broker.governance.maps import in_force
from broker.kafka.admin import CONTROL, KafkaRefused
from broker.kafka.estate import map_versions, moved, newest_map, publish_map
from broker.kafka.planning import compiled, differences, files_of, planned, version_at
from broker.lane.flips import Flips
from broker.published import PublishedMap
from broker.settings import Settings
from ownership.changed import moment
from ownership.handover import into_the_past
from ownership.map import OwnershipMap
from ownership.plan import Plan, fresh, read_plan, replayed, written

BackTo = Annotated[int | None, typer.Option(help="Plan an earlier version of the map instead of files.")]
Out = Annotated[Path | None, typer.Option(help="File for the plan; `map apply` takes it.")]
Since = Annotated[
    str | None,
    typer.Option("--replay", help="Judge what was sent since then under both maps, too, such as 7d."),
]
Words = Annotated[bool, typer.Option("--words", help="Say what each version changed.")]


def plan(
    folder: Folder = None,
    back_to: BackTo = None,
    since: Since = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Say what the files of a folder, or an earlier version, would change for whom; changes nothing."""
    made, newest, _ = _made(folder, back_to, since, quiet=as_json)
    if out is not None:
        write(out, written(made))
    text = told(made, newest, str(out or "PLAN"), is_file=out is not None)
    show(made.model_dump(mode="json"), as_json=as_json, text=text)


def diff(folder: Folder = None, since: Since = None) -> None:
    """Say in Markdown what the files of a folder would change, for a pull request; changes nothing."""
    typer.echo(markdown(*_made(folder, None, since, quiet=True)), nl=False)


def _made(
    folder: Path | None, back_to: int | None, since: str | None, *, quiet: bool
) -> tuple[Plan, PublishedMap, Flips | None]:
    """The plan, the map in force, and what replaying found."""
    settings = settings_of(folder)
    access = settings.access(CONTROL)
    newest = newest_map(access)
    documents = settings.map_documents() if back_to is None else files_of(map_versions(access), back_to)
    made = planned(newest, documents)
    if since is None or not newest.version:
        return made, newest, None
    at_ms = now_ms()
    found, flips = replay(access, newest, made, at_ms - span_ms(since), at_ms, quiet=quiet)
    return replayed(made, found), newest, flips


def apply(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="What `map plan --out` wrote.")],
    by: Annotated[str, typer.Option(help="Who applies it; stands in the map's history.")],
    without_approval: Annotated[
        str | None, typer.Option(help="Break the glass: why nobody is asked. Everybody is told.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a plan in force that was approved, unless the map in force is no longer the one that it was made for."""
    made = read_plan(text_of(file), str(file))
    settings = Settings()
    newest = newest_map(settings.access(CONTROL))
    if dict(newest.documents) == made.documents:
        _applied(newest.version, f"This is version {newest.version}, which is in force.", as_json=as_json)
        return
    if not newest.version or settings.approvals == "off":
        fresh(made, now_ms())
        version = put_in_force(settings, made, by)
    elif without_approval is not None:
        fresh(made, now_ms())
        version = put_in_force(settings, made, by)
        with acting(by, "map.without_approval", settings) as (session, actor):
            taking_force.break_glass(session, actor, made, without_approval, version)
    else:
        version = as_approved(settings, _approved(made), by)
    said = f"Version {version} is in force: each worker takes it up within two seconds, between two batches."
    _applied(version, said, as_json=as_json)


def _approved(made: Plan) -> str:
    """The request that this plan was approved as."""
    with looking() as session:
        row = taking_force.approved(session, made.hash)
        if row is None:
            msg = (
                f"nobody has approved the plan {made.hash[:16]} [map.not_approved] Ask for it with `solesource request "
                "draft PLAN` and `request propose`. In an emergency: --without-approval WHY; everybody is told."
            )
            raise CommandRefused(msg)
        return row.request_id


def as_approved(settings: Settings, name: str, by: str) -> int:
    """Put an approved request in force; the version that it became. Raises StepRefused for what stands in its way."""
    with looking() as session:
        row = requests.found(session, name)
        plan, there = requests.plan_of(row), in_force(session).published
        # Whoever was cut off between the map and the audit does the second part now.
        is_there = dict(there.documents) == plan.documents
        if not is_there:
            taking_force.ready(session, row, now_ms())
    version = there.version if is_there else put_in_force(settings, plan, by)
    with acting(by, "request.apply", settings) as (session, actor):
        taking_force.applied(session, actor, requests.found(session, name), version)
    return version


def put_in_force(settings: Settings, made: Plan, by: str) -> int:
    """Rights first, then the map; the version that it became. Raises KafkaRefused where the map moved meanwhile."""
    access = settings.access(CONTROL)
    newest = newest_map(access)
    if (newest.version, newest.digest) != (made.base_version, made.base_digest):
        raise moved(newest, made.base_version)
    _not_into_the_past(newest, made)
    brought_up(settings, made.documents)
    try:
        return publish_map(access, made.documents, by, after=made.base_version)
    except KafkaRefused:
        # I7: rights are those of the map in force, also when somebody else was quicker.
        brought_up(settings, dict(newest_map(access).documents))
        raise


def _not_into_the_past(newest: PublishedMap, made: Plan) -> None:
    wanted = compiled(PublishedMap(newest.version + 1, documents=made.documents))
    if newest.version and (said := into_the_past(compiled(newest), wanted, now_ms())):
        msg = f"{'; '.join(said)} [map.handover_past] Let it begin later, and plan again."
        raise CommandRefused(msg)


def text_of(file: Path) -> str:
    """A plan's file. Raises CommandRefused."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file} cannot be read: {error} [plan.not_one] Make a plan with `solesource map plan --out`."
        raise CommandRefused(msg) from error


def _applied(version: int, said: str, *, as_json: bool) -> None:
    show({"map_version": version}, as_json=as_json, text=said)


def history(words: Words = False, as_json: AsJson = False) -> None:
    """List every version of the map that has been in force: when, by whom, and what it changed."""
    versions = map_versions(Settings().access(CONTROL))
    befores = [PublishedMap(), *versions]
    rows: list[dict[str, Any]] = []
    for before, one in zip(befores, versions, strict=False):
        row: dict[str, Any] = {
            "version": one.version,
            "published": moment(one.published_ms),
            "by": one.by,
            "digest": one.digest,
            "files": _differing(before, one),
        }
        if words:
            row["changes"] = [change.words for change in differences(before, one)]
        rows.append(row)
    columns = {"version": "Version", "published": "In force from", "by": "By"}
    shown = [
        {**row, "files": ", ".join(row["files"]), "changes": "\n".join(row.get("changes", []))}
        for row in rows
    ]
    columns |= {"changes": "What changed"} if words else {"files": "Files that changed"}
    show(rows, as_json=as_json, table=table_of(shown, columns, "Versions of the ownership map"))


def _differing(before: PublishedMap, after: PublishedMap) -> list[str]:
    names = before.documents.keys() | after.documents.keys()
    return sorted(name for name in names if before.documents.get(name) != after.documents.get(name))


def at(
    when: Annotated[str, typer.Argument(help="A date, or a date and time; UTC where no zone is said.")],
    field: Annotated[str, typer.Argument(help="`customer.email`, or `customer` for all of its fields.")],
    as_json: AsJson = False,
) -> None:
    """Say who owned a field at a moment, and by which version of the map."""
    at_ms = moment_ms(when)
    published = version_at(map_versions(Settings().access(CONTROL)), at_ms)
    if published is None:
        msg = f"no map was in force at {moment(at_ms)} [map.none_then] See `solesource map history`."
        raise CommandRefused(msg)
    ownership_map = compiled(published)
    rows = _owners_at(ownership_map, field, at_ms)
    source = {
        "map_version": published.version,
        "by": published.by,
        "published": moment(published.published_ms),
    }
    title = (
        f"At {moment(at_ms)}, by version {published.version} of the map, "
        f"published by {published.by} on {moment(published.published_ms)}"
    )
    columns = {
        "field": "Field",
        "owner": "System of record",
        "term": "Term",
        "readers": "May read",
        "class": "Class",
    }
    show(
        {"at": moment(at_ms), **source, "fields": rows}, as_json=as_json, table=table_of(rows, columns, title)
    )


def _owners_at(ownership_map: OwnershipMap, field: str, at_ms: int) -> list[dict[str, Any]]:
    object_name, _, name = field.partition(".")
    entry = ownership_map.objects.get(object_name)
    if entry is None or (name and name not in entry.fields):
        known = ", ".join(sorted(ownership_map.objects)) if entry is None else ", ".join(entry.fields)
        msg = f"{field} was not in the map then, but {known} [map.at_field] Name one of them."
        raise CommandRefused(msg)
    terms = entry.at(at_ms)
    return [
        row_of(terms, one) | {"term": terms.epochs.get(one, 1)} for one in ([name] if name else entry.fields)
    ]
