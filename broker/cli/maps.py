"""`solesource map lint | show`: are its files in order, and what do they say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.files import settings_of, write
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.clock import today
from broker.rules import advice_of, rules_of
from ownership.errors import MapRefused
from ownership.json_schema import Kind, json_schema
from ownership.map import ObjectMap

app = typer.Typer(no_args_is_help=True, help="The ownership map.")
Folder = Annotated[Path | None, typer.Argument(help="Folder of the map; default SOLESOURCE_MAP_DIR.")]


@app.command()
def lint(
    folder: Folder = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 2 for warnings, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the map; exit status 2 when it has faults. Warnings are what the gate does not mind."""
    documents = settings_of(folder).map_documents()
    try:
        rules_of(documents, 0)
        findings = advice_of(documents, today())
    except MapRefused as refused:
        findings = list(refused.findings)
    faults = sum(not finding.warning for finding in findings)
    text = "\n".join(str(finding) for finding in findings) or "The map is in order."
    if findings and not faults:
        text += f"\nThe map can be used; there are {len(findings)} warnings."
    show([asdict(finding) for finding in findings], as_json=as_json, text=text)
    if faults or (strict and findings):
        raise typer.Exit(DIFFERENCES)


@app.command()
def schema(
    of: Annotated[Kind, typer.Argument(help="`object` or `systems`.")],
    out: Annotated[Path | None, typer.Option(help="File to write it to.")] = None,
) -> None:
    """Write the JSON Schema of the map's files: editors complete and check them by it."""
    text = json.dumps(json_schema(of), indent=2) + "\n"
    if out is None:
        show(json_schema(of), as_json=True)
    else:
        write(out, text)


@app.command("show")
def show_map(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say who owns what, and who may read it."""
    ownership_map = rules_of(settings_of(folder).map_documents(), 0).ownership_map
    rows = [row_of(entry, name) for entry in ownership_map.objects.values() for name in entry.fields]
    columns = {"field": "Field", "owner": "System of record", "readers": "May read", "class": "Class"}
    show(rows, as_json=as_json, table=table_of(rows, columns, "Who owns what"))


def row_of(entry: ObjectMap, name: str) -> dict[str, Any]:
    """Who owns and who reads a field."""
    return {
        "field": f"{entry.name}.{name}",
        "owner": entry.owner_of(name) or "nobody",
        "class": entry.classes.get(name, ""),
        "readers": ", ".join(entry.readers_of(name)),
    }
