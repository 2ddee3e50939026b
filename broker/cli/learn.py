"""`solesource contract learn`: take a schema of the company's registry, by which changes of an object are written."""

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.files import settings_of, write
from broker.cli.output import AsJson, CommandRefused, show
from broker.cli.registry import of_registry
from schemas.codec import guid_of
from schemas.contract import spellings_of
from schemas.learned import LEARNED, Learned, learned_from, read_learned, written
from schemas.registry import FileRegistry, read_folder
from schemas.remote import SchemaName


def learn(
    object_name: Annotated[str, typer.Argument(metavar="OBJECT", help="The object, such as customer.")],
    schema: Annotated[
        str, typer.Argument(help="The id in the registry, or the GUID, as the held case says it.")
    ],
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let an object's changes be written by a schema of the registry in SOLESOURCE_REGISTRY_URL, too."""
    settings = settings_of(folder)
    if settings.map_dir is None:
        raise CommandRefused("there is no folder of a map [contract.no_folder] Name it with --folder.")
    texts = read_folder(settings.map_dir)
    contract = FileRegistry(documents=texts, own=False).checked(object_name)
    name = _name(schema)
    found = of_registry(settings, lambda registry: registry.schema(name))
    if found is None:
        msg = f"the registry has no schema {schema} [registry.absent] Ask the sending system's team which one it uses."
        raise CommandRefused(msg)
    learned = learned_from(object_name, contract, found.schema_id, found.document, found.guid)
    known = [one for one in read_learned(texts, str(settings.map_dir)) if one.schema_id != learned.schema_id]
    text = written([*known, learned])
    FileRegistry(documents={**texts, LEARNED: text}, own=False)
    write(settings.map_dir / LEARNED, text)
    spelled = frozenset().union(*spellings_of(contract).values())
    more = [field["name"] for field in learned.document["fields"] if field["name"] not in spelled]
    told = {"object": object_name, "id": learned.schema_id, "fields_nobody_knows": more, "file": LEARNED}
    show(told, as_json=as_json, text=_told(object_name, learned, more))


def _told(object_name: str, learned: Learned, more: list[str]) -> str:
    said = (
        f"Changes of {object_name} may be written by schema {learned.schema_id} now; it stands in {LEARNED}."
    )
    if more:
        said += (
            f" Of what it has more ({', '.join(more)}) every value is held, until the contract has it too."
        )
    return (
        f"{said} Commit it and publish the map; "
        "`solesource quarantine redrive --reason unknown_schema` then judges what was held."
    )


def _name(text: str) -> SchemaName:
    try:
        return int(text) if text.isascii() and text.isdigit() else guid_of(text)
    except ValueError as error:
        msg = f"{text!r} is neither an id nor a GUID [registry.name] Take it from the held case."
        raise CommandRefused(msg) from error
