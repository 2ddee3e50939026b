"""`solesource contract new | check | diff | docs | codegen`: what the records of an object are, and how that grows."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.files import settings_of, write
from broker.cli.output import DIFFERENCES, AsJson, CommandRefused, show, table_of
from broker.cli.registry import of_registry
from broker.rules import rules_of
from broker.settings import Settings
from ownership.errors import MapRefused
from schemas.codegen import pydantic_models, typed_dicts
from schemas.describe import Difference, difference, markdown
from schemas.errors import SchemaError
from schemas.register import KINDS, Given, faults, first_version, subject_of, versions_of, with_version
from schemas.registry import FileRegistry, RegisteredSchema, read_folder

app = typer.Typer(no_args_is_help=True, help="The contracts of objects, in files beside the ownership map.")
Object = Annotated[str, typer.Argument(metavar="OBJECT", help="The object, such as customer.")]
Folder = Annotated[Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")]
Out = Annotated[Path | None, typer.Option(help="Write it to this file, and say nothing.")]


class Style(StrEnum):
    """What the generated types are."""

    PYDANTIC = "pydantic"
    TYPED_DICT = "typeddict"


def _registry(folder: Path | None) -> FileRegistry:
    return FileRegistry(documents=_contracts(settings_of(folder)), own=False)


def _contracts(settings: Settings) -> dict[str, str]:
    return {name: text for name, text in settings.map_documents().items() if not name.endswith(".yaml")}


@app.command()
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the contracts; exit status 2 when something is."""
    columns = {"object": "Object", "code": "Code", "what": "What is wrong", "do": "What to do"}
    rows = [dict(zip(columns, fault, strict=True)) for fault in faults(_contracts(settings_of(folder)))]
    if not rows:
        show([], as_json=as_json, text="The contracts are in order.")
        return
    show(rows, as_json=as_json, table=table_of(rows, columns, "Contracts"))
    raise typer.Exit(DIFFERENCES)


@app.command()
def new(
    object_name: Object,
    source: Annotated[
        Path | None, typer.Option("--from", exists=True, dir_okay=False, help="Take this Avro schema.")
    ] = None,
    key: Annotated[str, typer.Option(help="Its key field, where no schema is given.")] = "",
    field: Annotated[
        list[str] | None, typer.Option(help=f"name:kind or name:kind:class, once for each; kinds: {KINDS}.")
    ] = None,
    doc: Annotated[str, typer.Option(help="What it is, in one sentence.")] = "",
    let_go: Annotated[
        list[str] | None, typer.Option(help="A field that this version shall not have any more.")
    ] = None,
    register: Annotated[
        bool, typer.Option(help="Register it in SOLESOURCE_REGISTRY_URL first, and take the id given there.")
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Add a contract, or its next version: the schema's file, and its line in registry.json."""
    settings = settings_of(folder)
    if settings.map_dir is None:
        raise CommandRefused("there is no folder of a map [contract.no_folder] Name it with --folder.")
    if (source is None) == (not key):
        raise CommandRefused(
            "say either --from or --key [contract.which] The one takes a schema, the other makes one."
        )
    document = _read(source) if source is not None else first_version(object_name, key, field or (), doc)
    texts = read_folder(settings.map_dir)
    changed = with_version(texts, object_name, document, let_go or ())
    if register:
        given = _given(settings, subject_of(object_name), document)
        changed = with_version(texts, object_name, document, let_go or (), given)
    elif any(known.registered for known in versions_of(texts, object_name)):
        msg = f"older versions of {object_name} are in the company's registry [contract.not_registered]"
        raise CommandRefused(f"{msg} Say --register, so that who reads by it can go on.")
    for name, text in changed.items():
        write(settings.map_dir / name, text)
    entry = FileRegistry(documents={**texts, **changed}, own=False).latest(object_name)
    told = {"object": object_name, "version": entry.version, "id": entry.schema_id, "file": entry.file}
    text = (
        f"{object_name} has version {entry.version}, schema id {entry.schema_id}, in {entry.file}. Commit it."
    )
    show(told, as_json=as_json, text=text)


def _given(settings: Settings, subject: str, document: Mapping[str, Any]) -> Given:
    found = of_registry(settings, lambda registry: registry.register(subject, document))
    return Given(found.schema_id, found.guid, subject)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path} cannot be read as JSON: {error} [contract.file] Give an Avro schema in JSON."
        raise CommandRefused(msg) from error


def _version(registry: FileRegistry, name: str, number: int | None, otherwise: int) -> RegisteredSchema:
    """A version of a contract by number, else the one that stands `otherwise` in the list."""
    versions = registry.versions(name)
    if number is not None:
        found = [entry for entry in versions if entry.version == number]
    else:
        found = versions[otherwise:][:1] if len(versions) >= -otherwise else []
    if not found:
        known = ", ".join(str(entry.version) for entry in versions) or "none"
        msg = f"{name} has no such version; it has {known} [contract.no_version] Look into registry.json."
        raise CommandRefused(msg)
    return found[0]


@app.command()
def diff(
    object_name: Object,
    older: Annotated[
        int | None, typer.Option("--from", help="Version; default the one before the newest.")
    ] = None,
    newer: Annotated[int | None, typer.Option("--to", help="Version; default the newest.")] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Say what a version changes, and who could not go on; exit status 2 when somebody could not."""
    registry = _registry(folder)
    one, other = _version(registry, object_name, older, -2), _version(registry, object_name, newer, -1)
    found = difference((one.version, one.document), (other.version, other.document))
    show(
        asdict(found), as_json=as_json, text="\n".join(_told(object_name, one.version, other.version, found))
    )
    if found.old_data or found.old_readers:
        raise typer.Exit(DIFFERENCES)


def _told(name: str, older: int, newer: int, found: Difference) -> list[str]:
    lines = [f"{name}, from version {older} to version {newer}:"]
    lines += [f"  {change.field}: {change.what}, {change.detail}" for change in found.changes] or [
        "  nothing"
    ]
    lines.append(
        "What was written before can be read."
        if not found.old_data
        else "What was written before CANNOT be read:"
    )
    lines += [f"  {clash}" for clash in found.old_data]
    stay = f"Who reads with version {older} can go on."
    lines.append(stay if not found.old_readers else f"Who reads with version {older} CANNOT go on:")
    return lines + [f"  {clash}" for clash in found.old_readers]


@app.command()
def docs(object_name: Object, out: Out = None, folder: Folder = None) -> None:
    """Write a page about a contract, in Markdown."""
    settings = settings_of(folder)
    entry = _version(_registry(folder), object_name, None, -1)
    classes = _classes(settings, object_name)
    _say(markdown(object_name, entry.version, entry.schema_id, entry.document, classes), out)


def _classes(settings: Settings, object_name: str) -> Mapping[str, str]:
    """What the map says that fields are, such as pii; nothing where there is no map of the object yet."""
    try:
        found = rules_of(settings.map_documents(), 0).ownership_map.objects.get(object_name)
    except (MapRefused, SchemaError):
        return {}
    return found.classes if found is not None else {}


@app.command()
def codegen(
    object_name: Object,
    style: Annotated[Style, typer.Option(help="What the types are.")] = Style.PYDANTIC,
    out: Out = None,
    folder: Folder = None,
) -> None:
    """Write Python types of a contract."""
    contract = _registry(folder).contract(object_name)
    _say(pydantic_models(contract) if style is Style.PYDANTIC else typed_dicts(contract), out)


def _say(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
